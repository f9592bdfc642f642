"""Keep the house readable: no file above 300 lines, no function above 60, in the packages that we ship."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("slotwise", "service", "worker")
FILE_LINES = 300
FUNCTION_LINES = 60


def too_long(path: Path) -> Iterator[str]:
    """What is too long in one file, as `path:line: what`."""
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{path}:1: {lines} lines, {FILE_LINES} allowed"
    if path.suffix != ".py":
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, {FUNCTION_LINES} allowed"


def main() -> int:
    faults = [
        fault
        for package in PACKAGES
        for path in sorted(Path(package).rglob("*"))
        if path.suffix in (".py", ".lua", ".js", ".css") and "vendor" not in path.parts
        for fault in too_long(path)
    ]
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
