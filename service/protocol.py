"""HTTP as uvicorn speaks it, but that a request which turns out to be broken while it is answered ends quietly.

Uvicorn answers what is no HTTP with a 400 of its own. Where the request was under way, as with a chunked body that
is malformed further in, both it and the endpoint would answer: an error in the log, with a traceback, that any
client can bring about.
"""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Protocol(H11Protocol):
    """As uvicorn's own."""

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # what the endpoint has to say is not sent any more
            self.cycle.message_event.set()
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:  # an answer is half out, or to a HEAD may have no body
            self.transport.close()
