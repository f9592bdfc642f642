"""Waiting until Redis is back, or mended: the pauses between tries, and one line that says so."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Final

from slotwise.away import is_away, is_damage, said_of
from slotwise.errors import SlotwiseError

logger = logging.getLogger("arq.worker")

PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds; the last one for every further failure
TELL_SECONDS: Final = 10.0  # between lines that say that something is damaged


class Patience:
    """Counts the failures in a row. `reset` when something has worked."""

    def __init__(self) -> None:
        self._failures = 0
        self._told_at = -math.inf

    def reset(self) -> None:
        self._failures = 0

    async def sit_out(self, error: Exception) -> None:
        """Pause. Raises: `error`, if it is not that Redis is away, or a key in it damaged."""
        if is_damage(error):
            if time.monotonic() - self._told_at >= TELL_SECONDS:
                self._told_at = time.monotonic()
                logger.error("%s", error if isinstance(error, SlotwiseError) else said_of(error))
            await asyncio.sleep(PAUSES[-1])  # whatever else works meanwhile: it is not mended by itself
            return
        if not is_away(error):
            raise error
        if not self._failures:
            logger.warning("Redis is away (%s); trying again until it is back", error)
        await asyncio.sleep(PAUSES[min(self._failures, len(PAUSES) - 1)])
        self._failures += 1
