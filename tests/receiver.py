"""Receivers of webhooks: real HTTP servers, which answer as they are told and keep what they got."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.facts import wait_until

Answer = int | Callable[["Told"], int]


@dataclass
class Told:
    """A request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def type(self) -> str:
        kind: str = self.json["type"]
        return kind

    @property
    def job_id(self) -> str:
        job_id: str = self.json["data"]["job_id"]
        return job_id


@dataclass
class Receiver:
    """`answer`: a status, or what to do with a request. `open`: while it is clear, answers are held back."""

    answer: Answer = 200
    location: str = ""
    body: bytes = b"well"
    told: list[Told] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    scheme: str = "http"

    def __post_init__(self) -> None:
        self.open.set()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def of(self, job_id: str) -> list[Told]:
        return [told for told in list(self.told) if told.job_id == job_id]

    def types(self, job_id: str) -> list[str]:
        return [told.type for told in self.of(job_id)]

    def first(self, job_id: str, within: float = 60) -> Told:
        wait_until(lambda: self.of(job_id), within=within, what=f"the webhook of {job_id}")
        return self.of(job_id)[0]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        """A worker that was killed hangs up."""


@contextmanager
def receiving(receiver: Receiver | None = None, context: Any = None) -> Iterator[Receiver]:
    """A receiver on a port of its own (or on the one it had), until the end; with TLS by `context`."""
    kept = receiver or Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told = Told(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            kept.told.append(told)
            kept.open.wait(60)
            self.send_response(kept.answer if isinstance(kept.answer, int) else kept.answer(told))
            if kept.location:
                self.send_header("Location", kept.location)
            self.send_header("Content-Length", str(len(kept.body)))
            self.end_headers()
            self.wfile.write(kept.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = _Server(("127.0.0.1", kept.port), Handler)
    kept.port = server.server_address[1]
    if context is not None:
        server.socket, kept.scheme = context.wrap_socket(server.socket, server_side=True), "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        kept.open.set()
        server.shutdown()
        server.server_close()
        thread.join()
