"""Waiting until Redis is back: the pauses between tries, and one line that says so."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from slotwise.away import is_away

logger = logging.getLogger("arq.worker")

PAUSES: Final = (0.05, 0.1, 0.2, 0.5, 1.0)  # seconds; the last one for every further failure


class Patience:
    """Counts the failures in a row. `reset` when something has worked."""

    def __init__(self) -> None:
        self._failures = 0

    def reset(self) -> None:
        self._failures = 0

    async def sit_out(self, error: Exception) -> None:
        """Pause. Raises: `error`, if it is not that Redis is away."""
        if not is_away(error):
            raise error
        if not self._failures:
            logger.warning("Redis is away (%s); trying again until it is back", error)
        await asyncio.sleep(PAUSES[min(self._failures, len(PAUSES) - 1)])
        self._failures += 1
