"""The listening socket of the front end."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from service.__main__ import listen
from slotwise.errors import SlotwiseError
from slotwise.settings import Settings


def test_answers_are_sent_at_once(settings: Callable[..., Settings]) -> None:
    with listen(settings(port=0)) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "answers would wait for ACKs"


def test_a_port_that_is_taken_is_one_clear_line(settings: Callable[..., Settings]) -> None:
    with listen(settings(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SlotwiseError, match=f"cannot listen on 127.0.0.1 port {port}"):
            listen(settings(port=port))
