"""The jobs, page by page, from the indexes in Redis: `lua/list.lua` says how. Never writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from slotwise import scripts
from slotwise.away import reachable
from slotwise.job import Job, State
from slotwise.keys import ABORT, PER_JOB
from slotwise.record import as_heartbeat, read_job
from slotwise.store import Store

MOST_LOOKS: Final = 1_000  # at members of the indexes, a page: whoever else waits for Redis waits a few ms at most
MOST_BYTES: Final = 4_194_304  # of what the jobs of a page carry; the last may go beyond
MOST_IDS: Final = 1_000  # in one look at ids alone
ALL: Final = frozenset(State)
FIELDS: Final = (
    *("created", "incarnation", "state", "algorithm", "error", "priority", "timeout", "labels", "due", "started"),
    *("ended", "attempt", "max_attempts", "cancel_requested", "worker", "ready", "reason", "reopened"),
    *("ended_waiting", "progress", "progress_of", "account", "tenant"),
)


@dataclass(frozen=True)
class Place:
    """Where a page ended: a job's submission (ms) and id, as the index has them."""

    ms: str
    id: bytes


@dataclass(frozen=True)
class Filter:
    """Which jobs: all that is given holds. Times in ms since the epoch, both exclusive; None: any."""

    states: frozenset[State] = ALL
    algorithm: str | None = None
    label: tuple[str, str] | None = None
    error_type: str | None = None
    created_after_ms: int | None = None
    created_before_ms: int | None = None
    min_running_ms: int | None = None

    def within(self, states: frozenset[State]) -> Filter:
        """Of these, those in one of `states`, and in one in which they can be what else is asked for."""
        states &= self.states
        if self.error_type is not None:
            states &= {State.FAILED}
        if self.min_running_ms is not None:
            states &= {State.RUNNING}
        return replace(self, states=states)

    def args(self) -> list[scripts.Arg]:
        """As list.lua takes it."""
        name, value = self.label or ("", "")
        times = (self.created_after_ms, self.created_before_ms, self.min_running_ms)
        texts = [" ".join(sorted(self.states)), self.algorithm or "", name, value, self.error_type or ""]
        return [*texts, *("" if ms is None else ms for ms in times)]


@dataclass(frozen=True)
class Page:
    """`after`: where the next one begins; None: nothing follows. A page may be short and not be the last."""

    jobs: list[Job] = field(default_factory=list)
    after: Place | None = None


async def page(
    store: Store, wanted: Filter, *, most: int, after: Place | None = None, whole: bool = False
) -> Page:
    """The newest behind `after`; `whole`: with params and results. Raises: SlotwiseError `store-unavailable`."""
    rows, place = await _look(store, wanted, most, after, "whole" if whole else "jobs")
    return Page([job for row in rows if (job := _job(row)) is not None], place)


async def ids(store: Store, wanted: Filter) -> AsyncIterator[list[str]]:
    """The ids of all such jobs, some at a time; as Redis has them, also what is no UTF-8 (surrogateescape)."""
    place: Place | None = None
    while True:
        rows, place = await _look(store, wanted, MOST_IDS, place, "ids")
        yield [id.decode("utf-8", "surrogateescape") for id in rows]
        if place is None:
            return


async def _look(
    store: Store, wanted: Filter, most: int, after: Place | None, tell: Literal["ids", "jobs", "whole"]
) -> tuple[list[Any], Place | None]:
    wanted, own = wanted.within(ALL), store.keys
    if not wanted.states:
        return [], None
    keys = [own.queue, ABORT, own.workers, own.pending_of, own.running_of, *PER_JOB, *own.of_index]
    place: Sequence[scripts.Arg] = ("", "") if after is None else (after.ms, after.id)
    args = ["", most, MOST_LOOKS, MOST_BYTES, *wanted.args(), *place, tell, store.whose, *FIELDS]
    with reachable():
        _, goes_on, rows = await scripts.LIST.run(store.redis, keys, args)
    return rows, Place(goes_on[0].decode(), goes_on[1]) if goes_on else None


def _job(row: Sequence[Any]) -> Job | None:
    id, values, score, expires_ms, abort, payload, envelope, seen = row
    record = {name.encode(): value for name, value in zip(FIELDS, values, strict=False) if value is not None}
    job = read_job(
        id.decode("utf-8", "replace"),
        record,
        payload or None,
        envelope or None,
        float(score) if score else None,
        expires_ms,
        float(abort) if abort else None,
    )
    return job and replace(job, heartbeat_ms=as_heartbeat(seen or None, job.started_ms))
