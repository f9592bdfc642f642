"""What an error tells its caller."""

from __future__ import annotations

import pytest

from slotwise.errors import queue_full


@pytest.mark.parametrize(
    ("places", "cap", "hold_ms", "seconds"),
    [
        (1, 10, b"", 5),
        (1, 0, b"100", 60),
        (1, 10, b"100", 1),
        (100, 10, b"2500", 25),
        (100, 1, b"99999999", 3600),
    ],
)
def test_a_full_queue_tells_when_it_will_have_drained(places: int, cap: int, hold_ms: bytes, seconds: int) -> None:
    assert queue_full(1000, places, cap, hold_ms).retry_after_seconds == seconds
