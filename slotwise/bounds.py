"""Why a submit or a retry is refused for want of room: a script's reply, as the error that says what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from slotwise.errors import SlotwiseError, queue_full
from slotwise.rate import Quota, Rate


def refused(reply: Sequence[Any], *, max_pending: int, jobs: int) -> SlotwiseError:
    """From the cap, for how long jobs hold slots, and what binds the tenant ([] = the fleet's bound does)."""
    cap, hold_ms, *own = reply
    if not own:
        return queue_full(max_pending, jobs, cap, hold_ms)
    kind, *told = own[0]
    if kind == b"many":
        return queue_full(told[0], jobs, cap, hold_ms, whose="of this API key's ")
    if kind == b"wide":
        text = f"this API key may submit {told[0]} jobs at once, as many as its rate lets through: send fewer"
        return SlotwiseError("invalid-request", text)
    wait_ms, quota = told
    left = Quota(*map(int, quota))
    return SlotwiseError(
        "rate-limited",
        f"this API key may submit {Rate(left.count, left.window_ms)}: try again later",
        retry_after_seconds=max(1, math.ceil(int(wait_ms) / 1000)),
        quota=left,
    )


def reused() -> SlotwiseError:
    """The error of an idempotency key that stands for something else."""
    text = (
        "this Idempotency-Key belongs to another request, or to one whose jobs are kept no longer: use a new key"
    )
    return SlotwiseError("idempotency-key-reused", text)
