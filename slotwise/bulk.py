"""The moves of one job, made for many: each in a step of its own, so that nobody else waits for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import NoScriptError

from slotwise import scripts
from slotwise.away import reachable
from slotwise.errors import SlotwiseError
from slotwise.store import Store

CANCELS_AT_ONCE: Final = 100  # in one round trip
RETRIES_AT_ONCE: Final = 20


async def cancel(store: Store, ids: Sequence[str], *, keep_ms: int) -> int:
    """End or ask for the end of each: of how many. Those that have ended meanwhile stay as they are.

    Raises: SlotwiseError `store-unavailable`; what was done then stays done.
    """
    done = 0
    for at in range(0, len(ids), CANCELS_AT_ONCE):
        calls = [store.cancel_call(id, keep_ms) for id in ids[at : at + CANCELS_AT_ONCE]]
        outcomes = await _run(store, calls)
        done += sum(outcome in (b"cancelled", b"requested") for outcome in outcomes)
    return done


async def _run(store: Store, calls: Sequence[tuple[list[str], list[scripts.Arg]]]) -> list[Any]:
    with reachable():
        for _ in range(2):
            async with store.redis.pipeline(transaction=False) as pipeline:
                for keys, args in calls:
                    pipeline.execute_command(*scripts.CANCEL.call(keys, args))
                replies = await pipeline.execute(raise_on_error=False)
            if not any(isinstance(reply, NoScriptError) for reply in replies):
                break
            await scripts.CANCEL.load(store.redis)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
    return replies


async def retry(store: Store, ids: Sequence[str], *, level_ms: float, max_pending: int) -> int:
    """Let each wait again: how many do. Those that others have moved, or whose parameters are not kept, do not.

    Raises: SlotwiseError `queue-full` where there is no place for the first, `store-unavailable`.
    """
    done, ids = 0, [id for id in ids if _is_text(id)]
    for at in range(0, len(ids), RETRIES_AT_ONCE):
        outcomes = await asyncio.gather(
            *(_retry(store, id, level_ms, max_pending) for id in ids[at : at + RETRIES_AT_ONCE])
        )
        done += sum(outcome is None for outcome in outcomes)
        full = next((error for error in outcomes if error and error.code == "queue-full"), None)
        if full:
            if not done:
                raise full
            break
    return done


def _is_text(id: str) -> bool:
    """Whether the id is UTF-8: no path names another either."""
    return not any("\ud800" <= each <= "\udfff" for each in id)


async def _retry(store: Store, id: str, level_ms: float, max_pending: int) -> SlotwiseError | None:
    try:
        await store.retry(id, level_ms=level_ms, max_pending=max_pending)
    except SlotwiseError as error:
        if error.code == "store-unavailable":
            raise
        return error
    return None
