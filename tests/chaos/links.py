"""A process with a TCP proxy on each link to the server, told by lines of JSON what goes wrong on which.

A silent link reads nothing from either side: as in a network that drops packets, what was sent arrives when it
heals. A half-open one is gone for the server alone.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast


class End(asyncio.Protocol):
    """One end of a pair; what it hears goes to the other."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.transport: asyncio.Transport | None = None
        self.waiting: list[bytes] = []
        self.free_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.pair.link.silent:
            self.transport.pause_reading()
        for data in self.waiting:
            self.transport.write(data)
        self.pair.made()

    def data_received(self, data: bytes) -> None:
        self.pair.heard(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        self.pair.lost(self)

    def send(self, data: bytes) -> None:
        if self.transport is None:
            self.waiting.append(data)
        elif not self.transport.is_closing():
            self.transport.write(data)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Pair:
    def __init__(self, link: Link) -> None:
        self.link = link
        self.client, self.server = End(self), End(self)
        self.swallows = False  # the reply to what the server has just got
        self.half_open = False

    def made(self) -> None:
        if self.server.transport is None and self.client.transport is not None:
            self.link.loop.create_task(self._reach_server())

    async def _reach_server(self) -> None:
        try:
            await self.link.loop.create_connection(lambda: self.server, "127.0.0.1", self.link.target)
        except OSError:
            self.client.abort()

    def heard(self, end: End, data: bytes) -> None:
        if self.half_open:
            return
        if end is self.client:
            if self.link.loses and b"EVALSHA" in data:
                self.link.loses -= 1
                self.swallows = True
            self._pass(self.server, data)
        elif self.swallows:  # executed, and nobody will hear
            self.cut()
        else:
            self._pass(self.client, data)

    def _pass(self, to: End, data: bytes) -> None:
        now = self.link.loop.time()
        to.free_at = max(to.free_at, now + self.link.delay)
        if to.free_at <= now:
            to.send(data)
        else:
            self.link.loop.call_at(to.free_at, to.send, data)
            to.free_at += 1e-6  # in their order

    def lost(self, end: End) -> None:
        if self.half_open and end is self.server:
            return
        self.cut()

    def cut(self) -> None:
        self.link.pairs.discard(self)
        self.client.abort()
        self.server.abort()

    def listen(self, silent: bool) -> None:
        for end in (self.client, self.server):
            if end.transport is not None and not end.transport.is_closing():
                end.transport.pause_reading() if silent else end.transport.resume_reading()


class Link:
    def __init__(self, loop: asyncio.AbstractEventLoop, target: int) -> None:
        self.loop, self.target = loop, target
        self.pairs: set[Pair] = set()
        self.delay = 0.0
        self.loses = 0
        self.silent = False
        self.port = 0
        self._server: asyncio.Server | None = None

    def _new(self) -> End:
        pair = Pair(self)
        self.pairs.add(pair)
        return pair.client

    async def open(self) -> dict[str, Any]:
        if self._server is None:
            self._server = await self.loop.create_server(self._new, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        return {"port": self.port}

    async def refuse(self) -> dict[str, Any]:
        """Cut what there is, and take no more connections until `open`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        return await self.cut()

    async def cut(self) -> dict[str, Any]:
        for pair in list(self.pairs):
            pair.cut()
        return {}

    async def silence(self, on: bool) -> dict[str, Any]:
        self.silent = on
        for pair in list(self.pairs):
            pair.listen(on)
        return {}

    async def slow(self, seconds: float) -> dict[str, Any]:
        self.delay = seconds
        return {}

    async def lose(self, replies: int) -> dict[str, Any]:
        """Cut the link in place of the next replies to scripts."""
        self.loses = replies
        return {"left": self.loses}

    async def half_open(self) -> dict[str, Any]:
        for pair in list(self.pairs):
            pair.half_open = True
            pair.server.abort()
        return {}


async def serve() -> None:
    loop = asyncio.get_running_loop()
    links: dict[str, Link] = {}
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        link = links.setdefault(order["link"], Link(loop, order["target"]))
        answer = await getattr(link, order["do"])(**order["how"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


class Links:
    """The process, for who gives the orders. Blocking: an order is a line each way."""

    def __init__(self, target: int, root: Path) -> None:
        self._target = target
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root, text=True
        )

    def order(self, link: str, do: str, **how: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"link": link, "target": self._target, "do": do, "how": how}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        with suppress(OSError):
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


if __name__ == "__main__":
    asyncio.run(serve())
