"""Bytes become events, wherever the connection cuts them."""

from __future__ import annotations

import pytest

from slotwise.client.model import Event
from slotwise.client.problems import UnexpectedAnswer
from slotwise.client.stream import Parser

BYTES = (
    '\ufeff: ping\n\nid: 1\nevent: log\ndata: {"text":"é€😀"}\n\n'
    'id: 2\r\nevent:progress\r\ndata: {"percent":\r\ndata: 5}\r\n\r\n'
    "id: 3\revent: end\rretry: 5\rdata: {}\r\revent: empty\n\n"
    'data: {"unnamed": 1}\n\nid: 9\nevent: lost\ndata: {"half": 1}\n'
).encode()
EVENTS = [
    Event("log", {"text": "é€😀"}, "1"),
    Event("progress", {"percent": 5}, "2"),
    Event("end", {}, "3"),
    Event("message", {"unnamed": 1}, "3"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_found_whatever_the_pieces(size: int) -> None:
    parser = Parser()
    pieces = [BYTES[at : at + size] for at in range(0, len(BYTES), size)]
    assert [event for piece in pieces for event in parser.feed(piece)] == EVENTS


@pytest.mark.parametrize("data", ["", "x", "[1]", '{"a"'])
def test_data_that_is_no_object(data: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        list(Parser().feed(f"data: {data}\n\n".encode()))
