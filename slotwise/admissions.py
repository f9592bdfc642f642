"""Reads the admission log, page by page, and has it replayed. Never writes.

Beside `store`, because it shares nothing with the moves of a job but the connection: up to 50,000 entries, off the
hot path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from redis.exceptions import ResponseError

from slotwise.away import reachable
from slotwise.entry import Entry, StreamId, shown, stream_id_of
from slotwise.proof import Present, Replay
from slotwise.store import Store
from slotwise.verdict import Verdict

PAGE: Final = 200  # entries a call: bounds the memory, and for how long the event loop is held (under 5 ms)
MAX_WINDOW_SECONDS: Final = 604_800
DEFAULT_WINDOW_SECONDS: Final = 3_600

Row = tuple[bytes, Mapping[bytes, bytes]]


@dataclass(frozen=True)
class _Opening:
    """What one instant shows: the server, the log's last entry, and the last one ahead of the window."""

    present: Present
    last: StreamId
    before: list[Row]


async def prove(store: Store, window_seconds: int) -> Verdict:
    """Replay the last `window_seconds` of the log. Raises: SlotwiseError `store-unavailable`.

    Where it ends is fixed when it begins, so a busy fleet cannot make it run for ever.
    """
    with reachable():
        since_ms = _ms(await store.redis.time()) - window_seconds * 1000
        opening = await _open(store, since_ms)
        replay = Replay(since_ms, _readable(opening.before))
        reached = stream_id_of(opening.before[0][0]) if opening.before else None
        while reached is None or reached < opening.last:
            start = str(since_ms) if reached is None or reached[0] < since_ms else f"({shown(reached)}"
            head, page = await _page(store, start, shown(opening.last))
            if reached and head and head > reached:
                replay = replay.anew()  # trimmed meanwhile, perhaps past what was read
            if not page:
                break
            for row in page:
                _take(replay, row)
            reached = stream_id_of(page[-1][0])
    return replay.end(opening.present)


async def _open(store: Store, since_ms: int) -> _Opening:
    log = store.keys.log
    async with store.redis.pipeline(transaction=True) as tr:
        tr.time()
        tr.zrange(store.keys.running, 0, -1)
        tr.xrevrange(log, f"({since_ms}-0", "-", count=1)
        tr.xinfo_stream(log)
        now, running, before, info = await tr.execute(raise_on_error=False)
    for reply in (now, running, before):
        if isinstance(reply, Exception):
            raise reply
    if isinstance(info, ResponseError) and "no such key" in str(info):
        info = {}
    elif isinstance(info, Exception):
        raise info
    ids = frozenset(id.decode("utf-8", "surrogateescape") for id in running)
    removed = stream_id_of(info.get("max-deleted-entry-id", b"0-0"))  # a server before Redis 7 does not remember
    last = stream_id_of(info.get("last-generated-id", b"0-0"))
    return _Opening(Present(_ms(now), ids, removed), last, before)


async def _page(store: Store, start: str, end: str) -> tuple[StreamId | None, list[Row]]:
    """The log's first entry, and a page of the entries from `start` to `end`, of one instant."""
    async with store.redis.pipeline(transaction=True) as tr:
        tr.xrange(store.keys.log, count=1)
        tr.xrange(store.keys.log, start, end, count=PAGE)
        head, page = await tr.execute()
    return stream_id_of(head[0][0]) if head else None, page


def _take(replay: Replay, row: Row) -> None:
    try:
        entry = Entry.of(*row)
    except ValueError as error:
        replay.unreadable(stream_id_of(row[0]), str(error))
    else:
        replay.take(entry)


def _readable(rows: list[Row]) -> Entry | None:
    """The entry ahead of the window; what cannot be read there is no fault of the window."""
    try:
        return Entry.of(*rows[0]) if rows else None
    except ValueError:
        return None


def _ms(time: tuple[int, int]) -> int:
    return int(time[0]) * 1000 + int(time[1]) // 1000
