"""No bytes become code: no pickle is read, nothing is evaluated, no module is imported by a client's word."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("slotwise", "service", "worker")
READERS = {
    "pickle",
    "cPickle",
    "_pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "joblib",
    "yaml",
    "jsonpickle",
}
CALLS = {"eval", "exec", "compile", "__import__", "execfile"}
# module: what it may take from there, and why
MAY = {
    ("worker/loop.py", "pickle"): {"dumps"},  # what arq's own class writes, for a user who gives it no serializer
}
PLAIN = ("pickle", None)
IMPORTS = {  # where a module is imported by a name that is not written there
    "slotwise/binary.py",  # its own
    "slotwise/__init__.py",  # its own
    "worker/registry.py",  # the operator's: ALGORITHMS
}


def test_no_bytes_become_code() -> None:
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(files) > 100
    assert [fault for path in files for fault in faults(path)] == []


def test_the_walk_finds_what_it_looks_for(tmp_path: Path) -> None:
    for source in (
        "import pickle\npickle.loads(b'')",
        "from marshal import loads",
        "eval('1')",
        "__import__('os')",
        "import importlib\nimportlib.import_module('os')",
        "from importlib import import_module as load\nload('os')",
        "import yaml",
    ):
        path = tmp_path / "some.py"
        path.write_text(source)
        assert list(faults(path)), source


def faults(path: Path) -> Iterator[str]:
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for what in uses(node):
            module, _, attribute = what.partition(".")
            if attribute not in MAY.get((name, module), ()) and not (module == "importlib" and name in IMPORTS):
                yield f"{name}:{getattr(node, 'lineno', 0)}: {what}"


def uses(node: ast.AST) -> Iterator[str]:
    """What a node takes of what reads code: "module.attribute", or a builtin's name."""
    if isinstance(node, ast.ImportFrom):
        module = (node.module or "").partition(".")[0]
        if module in READERS or (
            module == "importlib" and any(each.name == "import_module" for each in node.names)
        ):
            yield from (f"{module}.{each.name}" for each in node.names)
    elif isinstance(node, ast.Import):
        # a module that may be used in part is held to that part where it is used
        yield from (
            each.name for each in node.names if each.name in READERS - {"pickle"} or each.asname == "pickle"
        )
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        if node.value.id in READERS or (node.value.id, node.attr) == ("importlib", "import_module"):
            yield f"{node.value.id}.{node.attr}"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        yield node.func.id
