"""A connection as uvicorn serves it, within bounds: deadlines, sizes, and one way to read a request.

Uvicorn gives a connection all the time it wants to send a request and to read an answer, and answers what is no
HTTP in plain text, also where the request was under way and the endpoint answers too.
"""

from __future__ import annotations

import math
import secrets
from typing import Any, Final

import h11
import uvicorn
from pydantic_core import to_json
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.connections import Connections
from service.framing import Connection
from service.problems import TABLE, problem_object
from slotwise.errors import Code, SlotwiseError

LINGER_SECONDS: Final = 2.0  # in which one who was answered early may go on sending, so that he reads the answer
SLACK_BYTES: Final = 1 << 20  # that he may send meanwhile
OF_STATUS: Final[dict[int, Code]] = {413: "payload-too-large", 431: "headers-too-large"}
NEVER: Final = math.inf


class Config(uvicorn.Config):
    """Uvicorn's, with the door that connections come in by."""

    def __init__(self, app: Any, door: Connections, **options: Any) -> None:
        super().__init__(app, http=Protocol, timeout_keep_alive=door.keep_alive_seconds, **options)
        self.door: Final = door


class Protocol(H11Protocol):
    """One connection."""

    config: Config

    def __init__(self, config: Config, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        self.door: Final = config.door
        self.conn: Connection = Connection(self.door.max_body_bytes + SLACK_BYTES)
        self._phase = "head"
        self._due = NEVER  # the loop's time by which what comes in has to be whole
        self._unread = NEVER  # the loop's time at which a sweep first saw an answer that is not being read
        self._refused = False

    def connection_made(self, transport: Any) -> None:
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else None
        self._due = self.loop.time() + self.door.header_seconds
        if self.door.enter(self, address):
            super().connection_made(transport)
            return
        self._refused = True
        self.transport = transport
        self._say("too-many-connections", "As many connections are open as may be. Use fewer, or come back later.")

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.leave(self)
        if not self._refused:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def handle_events(self) -> None:
        super().handle_events()
        self._set_due()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._due = min(self._due, self.loop.time() + LINGER_SECONDS)

    def resume_writing(self) -> None:
        self._unread = NEVER
        if not self._refused:
            super().resume_writing()

    def pause_writing(self) -> None:
        if not self._refused:
            super().pause_writing()

    def send_400_response(self, msg: str) -> None:
        fault = self.conn.fault
        status = 400 if fault is None else fault.error_status_hint
        code = OF_STATUS.get(status, "malformed-request")
        self._say(code, f"This is no request that is read in one way only: {fault or msg}.")

    def check(self, now: float) -> None:
        """What the sweep does at time `now`: end what is past its deadline."""
        if not self.transport.get_write_buffer_size():
            self._unread = NEVER
        elif self._unread == NEVER:
            self._unread = now
        elif now - self._unread >= self.door.unread_seconds:
            self.transport.abort()
        if now >= self._due:
            self._due = NEVER
            self._end_late()

    def _set_due(self) -> None:
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            phase = "body"
        else:
            phase = "head" if state is h11.IDLE and self.conn.trailing_data[0] else ""
        if phase != self._phase:
            self._phase = phase
            if phase:  # a part that came along with the request before: uvicorn counts as if nothing had
                self._unset_keepalive_if_required()
            seconds = {"head": self.door.header_seconds, "body": self.door.body_seconds}.get(phase, NEVER)
            self._due = self.loop.time() + seconds

    def _end_late(self) -> None:
        if self.transport.is_closing():
            return
        if self._phase == "body" or self.conn.trailing_data[0]:
            self._say("request-timeout", "The request was not whole in time.")
        else:
            self.transport.close()

    def _say(self, code: Code, detail: str) -> None:
        """Answer with a problem where none is half out, and close."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # what the endpoint has to say is not sent any more
            self.cycle.message_event.set()
        name = secrets.token_hex(16)
        body = to_json(problem_object(SlotwiseError(code, detail), "/", name))
        headers = [
            ("Content-Type", "application/problem+json"),
            ("Content-Length", str(len(body))),
            ("X-Request-Id", name),
            ("Connection", "close"),
        ]
        if code == "too-many-connections":
            headers.append(("Retry-After", "5"))
        try:
            for event in (h11.Response(status_code=TABLE[code][0], headers=headers), h11.Data(data=body)):
                self.transport.write(self.conn.send(event))
            self.conn.send(h11.EndOfMessage())
        except h11.LocalProtocolError:  # an answer is half out, or to a HEAD may have no body
            pass
        self.transport.close()
