"""A witness outside Redis: each body holds a connection to it from start to death, and the kernel reports both."""

from __future__ import annotations

import os
import select
import selectors
import socket
import threading
import time
from collections import defaultdict
from contextlib import suppress

ADDRESS = "SLOTWISE_WITNESS"


def stay(connection: socket.socket, seconds: float) -> None:
    """Called by a body: block for so long, or until the witness lets go of it."""
    select.select([connection], [], [], seconds)


def attend(name: str = "") -> socket.socket:
    """Called by a body: a connection that ends when its process (or the body) does. Keep it."""
    host, port = os.environ[ADDRESS].split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(f"{name}\n".encode())
    return connection


class Witness:
    """Counts the bodies alive: now, at most, and for how long each number was alive."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.alive = 0
        self.peak = 0
        self.seen = 0
        self.names: list[str] = []
        self.company: defaultdict[str, set[int]] = defaultdict(set)  # how many were alive when one of a name came
        self.present: dict[socket.socket, str] = {}
        self._seconds: dict[int, float] = {}
        self._since = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def seconds_at(self, alive: int) -> float:
        """For how long exactly so many bodies were alive."""
        with self._lock:
            self._count(0)
            return self._seconds.get(alive, 0.0)

    def let_go(self) -> None:
        """Those bodies that are present need not stay any longer."""
        for connection in list(self.present):
            with suppress(OSError):  # its body has ended meanwhile
                connection.send(b"\n")

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._hear_all(timeout=0.05):
                self._accept()

    def _hear_all(self, timeout: float) -> bool:
        """Take in what the connections say; whether a new one waits."""
        arrived = False
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._listener:
                arrived = True
            else:
                self._hear(key.fileobj)  # type: ignore[arg-type]
        return arrived

    def _accept(self) -> None:
        """Count the newcomers, each after every end before it: the kernel tells no order between them."""
        with suppress(BlockingIOError):
            while True:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._hear_all(timeout=0)
                self._selector.register(connection, selectors.EVENT_READ)
                with self._lock:
                    self.present[connection] = ""
                    self.seen += 1
                    self._count(1)

    def _hear(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            name = data.decode().strip()
            self.present[connection] = name
            self.names.append(name)
            self.company[name].add(self.alive)
            return
        self._selector.unregister(connection)
        connection.close()
        with self._lock:
            del self.present[connection]
            self._count(-1)

    def _count(self, change: int) -> None:
        now = time.monotonic()
        self._seconds[self.alive] = self._seconds.get(self.alive, 0.0) + now - self._since
        self._since = now
        self.alive += change
        self.peak = max(self.peak, self.alive)
