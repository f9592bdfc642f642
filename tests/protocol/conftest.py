"""A server of these tests' own, on a private socket: what is on it is theirs alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server


@pytest.fixture(scope="package")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("protocol")
    server = Server(directory, options=("--unixsocket", str(directory / "socket")))
    server.start()
    yield directory / "socket"
    server.stop()
