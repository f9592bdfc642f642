"""Say how many tests of a JUnit report ran; in CI (the variable CI is set) a skipped one is a failure."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from xml.etree import ElementTree


def main(report: Path) -> int:
    if not report.stat().st_size:
        sys.stdout.write("tests: none ran\n")
        return 1
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    passed = len(cases) - len(failed) - len(skipped)
    refused = skipped if os.environ.get("CI") else []
    for case in refused:
        sys.stdout.write(f"skipped, which is a failure in CI: {case.get('classname')}.{case.get('name')}\n")
    sys.stdout.write(f"tests: {passed} passed, {len(failed)} failed, {len(skipped)} skipped\n")
    return 1 if refused or failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
