"""Accept, as RFC 9110 has it."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from service import accept
from slotwise.errors import SlotwiseError


@pytest.mark.parametrize(
    ("asked", "fine"),
    [
        ([], True),
        ([""], True),
        (["*/*"], True),
        (["text/*"], True),
        (["text/event-stream"], True),
        (["Text/Event-Stream; q=0.1"], True),
        (["application/json, text/event-stream"], True),
        (["application/json", "text/event-stream"], True),
        (["application/json"], False),
        (["application/json, text/plain"], False),
        (["text/event-stream;q=0"], False),
        (["text/event-stream;q=0.000, */*"], False),
        (["*/*;q=0, text/event-stream"], True),
        (["text"], False),
    ],
)
def test_what_is_asked_for(asked: list[str], fine: bool) -> None:
    headers = Headers(raw=[(b"accept", value.encode()) for value in asked])
    try:
        accept.check(headers, "text/event-stream")
    except SlotwiseError as error:
        assert (error.code, fine) == ("not-acceptable", False)
    else:
        assert fine
