"""A TCP proxy on the link to the server, that can cut a connection after the server has executed a command."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable


class Proxy:
    """Forwards to `target`, a port. `swallow(request)` True: the server gets the request, then the link is cut.

    With `tls` it is what a client sees of a server that speaks it.
    """

    def __init__(self, target: int, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._tls = tls
        self.swallow: Callable[[bytes], bool] = lambda _: False
        self.cut = 0
        self.links = 0
        self._silent: set[asyncio.Event] = set()
        self._dropped: set[asyncio.Event] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait()

    def silence(self) -> None:
        """From now on, say nothing on the links that are there, and keep them open."""
        self._loop.call_soon_threadsafe(lambda: [link.set() for link in self._silent])

    def drop(self) -> None:
        """Cut every link that is there."""
        self._loop.call_soon_threadsafe(lambda: [link.set() for link in self._dropped])

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._link, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
        swallowed, silent, dropped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._silent.add(silent)
        self._dropped.add(dropped)

        async def replies() -> None:
            while data := await server_reader.read(1 << 16):
                if swallowed.is_set():  # the server has executed it: nobody will hear
                    break
                if not silent.is_set():
                    writer.write(data)

        async def requests() -> None:
            while data := await reader.read(1 << 20):
                if self.swallow(data):
                    self.cut += 1
                    swallowed.set()
                server_writer.write(data)

        try:
            await asyncio.wait(
                [asyncio.create_task(each) for each in (replies(), requests(), dropped.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for side in (writer, server_writer):
                side.transport.abort()
