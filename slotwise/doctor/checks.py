"""Each illness and its signs: pure rules over what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from slotwise.doctor.fleet import Fleet
from slotwise.doctor.looks import GONE, NO_TTL, Look
from slotwise.doctor.report import Finding, finding, shown
from slotwise.job import TERMINAL
from slotwise.keys import HIDDEN, PAYLOAD, RECORD, SAID

CRON_MARK_MS: Final = 60_000  # for which arq keeps the in-progress key of a cron job that has ended
ABORT_MS: Final = 60_000  # for which arq remembers a request to abort
CLOCK_MS: Final = 60_000  # by which clocks may differ
_ENDED: Final = frozenset(state.encode() for state in TERMINAL)


def of_fleet(fleet: Fleet, damaged: Iterable[str]) -> Iterator[Finding]:
    """`damaged`: keys that are of another type."""
    yield from finding("damaged-key", damaged)
    yield from finding("dead-worker", fleet.dead)
    yield from finding("slot-without-holder", fleet.running - fleet.held)


def of_jobs(looks: Sequence[Look], fleet: Fleet, *, stock_alive: bool) -> Iterator[Finding]:
    """`stock_alive`: a worker that is none of ours has given a sign of life on this queue."""
    yield from finding("damaged-key", (key for each in looks for key in each.damaged))
    yield from _of_abort(looks, fleet)
    yield from _of_running(looks, alive=fleet.alive or stock_alive)
    yield from _of_waiting(looks, fleet, stock_alive=stock_alive)
    yield from _of_keys(looks)


def _of_abort(looks: Iterable[Look], fleet: Fleet) -> Iterator[Finding]:
    asked = [(each, each.abort_ms) for each in looks if each.abort_ms is not None]
    ahead = {each.id for each, at in asked if at > fleet.now_ms + CLOCK_MS}
    yield from finding("abort-ahead-of-time", ahead)
    if not fleet.ours:  # a claim of ours knows that a request from before a job's time was not meant for it
        yield from finding(
            "leftover-abort",
            (
                each.id
                for each, at in asked
                if each.id not in ahead
                and at < fleet.now_ms - ABORT_MS
                and not (each.queued or each.elsewhere or each.in_progress_ttl != GONE)
            ),
        )


def _of_running(looks: Iterable[Look], *, alive: bool) -> Iterator[Finding]:
    """A stock worker sets a TTL, and Redis does not know it: its key is stuck for certain only if nobody lives."""
    yield from finding(
        "stuck-in-progress",
        (each.id for each in looks if each.in_progress_ttl != GONE and not each.runs and _is_stuck(each, alive)),
    )


def _is_stuck(look: Look, alive: bool) -> bool:
    if look.in_progress_ttl == NO_TTL:
        return True
    if look.queued:
        return not alive
    return not look.elsewhere and look.in_progress_ttl > CRON_MARK_MS


def _of_waiting(looks: Sequence[Look], fleet: Fleet, *, stock_alive: bool) -> Iterator[Finding]:
    waiting = [each for each in looks if each.waits]
    yield from finding("lost-payload", (each.id for each in waiting if each.kind == "none"))
    yield from finding("unreadable-payload", (each.id for each in waiting if each.kind == "unreadable"))
    if fleet.ours:
        yield from finding("pickled-payload", (each.id for each in waiting if each.kind == "pickle"))
        hidden = (each.id for each in waiting if each.lost_from_sight and each.id not in fleet.reserved)
        yield from finding("hidden-job", hidden)
    if not (fleet.alive or stock_alive):
        due = (each.id for each in waiting if (each.score or 0) <= fleet.now_ms or (each.score or 0) >= HIDDEN)
        yield from finding("no-worker", due)
    elif fleet.alive:  # what a stock worker serves stands nowhere
        orphans = [each for each in waiting if each.function and each.function not in fleet.served]
        names = Counter(shown(each.function or b"") for each in orphans)
        told = ", ".join(f"{name} ({count})" for name, count in names.most_common(10))
        yield from finding("unserved-function", (each.id for each in orphans), told)


def _of_keys(looks: Iterable[Look]) -> Iterator[Finding]:
    """Keys without their partners: what no queue knows, and nothing will remove."""
    gone = [each for each in looks if not (each.queued or each.elsewhere or each.runs)]
    lost = {each.id for each in gone if each.record_ttl == NO_TTL and each.state not in _ENDED}
    yield from finding("lost-job", lost)
    keys = {RECORD: "record_ttl", PAYLOAD: "payload_ttl", SAID: "said_ttl"}
    kept = [
        _key(prefix, each)
        for each in gone
        if each.id not in lost
        for prefix, ttl in keys.items()
        if getattr(each, ttl) == NO_TTL
    ]
    yield from finding("kept-for-ever", kept)


def _key(prefix: str, look: Look) -> bytes:
    return prefix.encode() + look.id
