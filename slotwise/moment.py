"""Moments as people and clients read them; everywhere inside they are milliseconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, overload

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


@overload
def timestamp(ms: int) -> str: ...
@overload
def timestamp(ms: int | None) -> str | None: ...
def timestamp(ms: int | None) -> str | None:
    """Milliseconds since the epoch as RFC 3339 in UTC, with milliseconds and `Z`."""
    if ms is None:
        return None
    moment = EPOCH + timedelta(milliseconds=min(max(ms, 0), LAST_MS))
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
