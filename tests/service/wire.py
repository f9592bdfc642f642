"""HTTP/1.1 over a bare socket: what is sent goes out as it is, several requests at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import IO

from httpx2 import Headers, Response

from tests.service.mutations import Sent

SECONDS = 30
STREAM = "text/event-stream"


def exchange(address: tuple[str, int], requests: Sequence[Sent]) -> Iterator[tuple[Sent, Response]]:
    """Send all of them, then read their answers, as many as come; of a stream of events, the head."""
    with socket.create_connection(address, timeout=SECONDS) as connection, connection.makefile("rb") as answers:
        connection.sendall(b"".join(each.encoded() for each in requests))
        if requests[-1].broken:
            connection.shutdown(socket.SHUT_WR)
        for request in requests:
            try:
                answer = _answer(request.method, answers)
            except ConnectionError:
                return
            if answer is None:
                return
            yield request, answer
            if answer.headers.get("content-type", "").startswith(STREAM):
                return


def _answer(method: str, answers: IO[bytes]) -> Response | None:
    """None at the end of the connection."""
    status = 100
    while status < 200:
        line = answers.readline()
        if not line.endswith(b"\n"):
            return None
        assert line.startswith(b"HTTP/1.1 "), line
        status = int(line.split(b" ")[1])
        rows = [row.partition(b": ") for row in iter(answers.readline, b"\r\n")]
    headers = Headers([(name, value.strip()) for name, _, value in rows])
    if headers.get("content-type", "").startswith(STREAM):
        return Response(status, headers=headers)
    return Response(status, headers=headers, content=_content(method, status, headers, answers))


def _content(method: str, status: int, headers: Headers, answers: IO[bytes]) -> bytes:
    if headers.get("connection") == "close":  # to what is no HTTP, whatever its method may be
        return answers.read()
    if method == "HEAD" or status == 204:
        return b""
    if headers.get("transfer-encoding") != "chunked":
        return answers.read(int(headers.get("content-length", 0)))
    content = b""
    while size := int(answers.readline(), 16):
        content += answers.read(size)
        answers.readline()
    answers.readline()
    return content
