"""Check what scripts/release.sh has made: that the sdist, the wheel and the list of parts are whole, and agree."""

from __future__ import annotations

import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.metadata import Metadata

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("slotwise", "service", "worker")
LEFT_OUT = ("__pycache__", ".env", ".slotwise", ".venv")


def faults(directory: Path) -> Iterator[str]:
    """Each thing that is wrong, in a line."""
    (sdist,), (wheel,), (parts,) = (
        list(directory.glob(pattern)) for pattern in ("*.tar.gz", "*.whl", "*.cdx.json")
    )
    with tarfile.open(sdist) as tar:
        source = {name.partition("/")[2] for name in tar.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        built = set(archive.namelist())
        (where,) = (name for name in built if name.endswith(".dist-info/METADATA"))
        metadata = Metadata.from_email(archive.read(where), validate=True)
    yield from _missing(source, built)
    if {sdist.name.removesuffix(".tar.gz"), wheel.name.split("-py3-")[0]} != {f"slotwise-{metadata.version}"}:
        yield f"{sdist.name}, {wheel.name} and the version {metadata.version} do not agree"
    locked = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    listed = json.loads(parts.read_text())["components"]
    if {part["name"] for part in listed} != locked:
        yield f"{parts.name} lists other packages than requirements.lock"
    # a library is where it came from and what its bytes hash to, or it is nobody's
    bare = [part["name"] for part in listed if "purl" not in part or not _hashed(part)]
    if bare:
        yield f"{parts.name} has no hashes of {', '.join(bare)}"


def _hashed(part: dict[str, list[dict[str, object]]]) -> bool:
    return any(reference.get("hashes") for reference in part.get("externalReferences", ()))


def _missing(source: set[str], built: set[str]) -> Iterator[str]:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    yield from (f"{name} is not in the wheel" for name in sorted(wanted - built))
    yield from (f"{name} is not in the sdist" for name in sorted(wanted - source))
    alien = {name for name in built if name.split("/")[0] not in PACKAGES and ".dist-info/" not in name}
    yield from (f"{name} is in the wheel" for name in sorted(alien))
    spilt = {name for name in source | built if set(name.split("/")) & set(LEFT_OUT)}
    yield from (f"{name} was packed" for name in sorted(spilt))


def main(directory: Path) -> int:
    found = list(faults(directory))
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
