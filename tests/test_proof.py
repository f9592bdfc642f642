"""The replay as a function: honest logs pass, from wherever they are read; every way of doctoring one is found."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slotwise.entry import Entry, StreamId
from slotwise.proof import Present, Replay
from slotwise.verdict import MAX_FINDINGS, Verdict

START_MS = 1_700_000_000_000


class Log:
    """Writes an honest log: its own accounts are a set, as in Redis."""

    def __init__(self, cap: int = 3) -> None:
        self.cap = cap
        self.running: set[str] = set()
        self.entries: list[Entry] = []
        self.now_ms = START_MS

    def step(self, move: str, *ids: str, **fields: Any) -> Log:
        self.now_ms += 1_000
        if move == "claim":
            self.running |= set(ids)
        else:
            self.running -= set(ids)
        entry = Entry((self.now_ms, 0), self.now_ms, move, ids, len(self.running), self.cap)
        self.entries.append(replace(entry, **fields))
        return self

    def claim(self, *ids: str, **fields: Any) -> Log:
        return self.step("claim", *ids, **fields)

    def finish(self, *ids: str, **fields: Any) -> Log:
        return self.step("finish", *ids, **fields)

    def set_cap(self, cap: int, **fields: Any) -> Log:
        self.cap = cap
        return self.step("cap", **fields)


def verdict(
    log: Log,
    entries: list[Entry] | None = None,
    *,
    before: Entry | None = None,
    removed: StreamId | None = None,
    running: set[str] | None = None,
) -> Verdict:
    replay = Replay(START_MS, before)
    for entry in log.entries if entries is None else entries:
        replay.take(entry)
    return replay.end(Present(log.now_ms, frozenset(log.running if running is None else running), removed))


def kinds(found: Verdict) -> list[str]:
    return [finding.kind for finding in found.violations.first]


def test_an_honest_log() -> None:
    log = Log().claim("a", "b").finish("a").claim("c", "d").step("reap", "b", "c").claim("b").finish("b", "d")
    found = verdict(log)
    assert (found.violations.first, found.notes.first) == ([], [])
    assert (found.admitted, found.released, found.max_running, found.entries, found.running) == (5, 5, 3, 6, 0)
    assert found.covered_since_ms == START_MS + 1_000
    assert found.max_running_at_ms == START_MS + 3_000
    assert found.caps == [(START_MS + 1_000, 3)]


def test_a_job_may_run_again_and_again() -> None:
    log = Log()
    for move in ("finish", "release", "reap", "leave"):
        log.claim("a").step(move, "a")
    assert verdict(log).holds


def test_a_log_that_says_nothing() -> None:
    found = verdict(Log(), running={"a"})
    assert (found.holds, found.covered_since_ms, found.max_running, found.caps) == (True, None, 1, [])


def test_over_the_cap() -> None:
    found = verdict(Log(cap=2).claim("a", "b").claim("c").finish("a").finish("b", "c"))
    assert kinds(found) == ["over-cap"]
    (finding,) = found.violations.first
    assert finding.as_dict() == {
        "at": "2023-11-14T22:13:22.000Z",
        "kind": "over-cap",
        "detail": "a claim of 1 left 3 running under a cap of 2",
        "entry": f"{START_MS + 2_000}-0",
        "running": 3,
        "max_concurrent": 2,
    }
    assert found.max_running == 3


def test_a_lowered_cap_drains_and_a_claim_above_it_is_a_violation() -> None:
    log = Log(cap=3).claim("a", "b", "c").set_cap(1).finish("a")
    assert verdict(log).holds
    assert kinds(verdict(log.claim("d"))) == ["over-cap"]


def test_a_claim_while_paused() -> None:
    assert kinds(verdict(Log(cap=1).set_cap(0).claim("a"))) == ["over-cap"]


def test_admitted_twice() -> None:
    found = verdict(Log().claim("a", "b").claim("a").finish("a", "b"))
    assert kinds(found) == ["admitted-twice"]
    assert found.violations.first[0].facts["job_id"] == "a"
    assert kinds(verdict(Log().claim("a", "a"))) == ["admitted-twice"]


def test_released_without_being_admitted() -> None:
    found = verdict(Log().claim("a").finish("b").finish("a"))
    assert kinds(found) == ["not-admitted"]
    assert found.violations.first[0].facts["job_id"] == "b"
    assert kinds(verdict(Log().claim("a").finish("a").step("reap", "a"))) == ["not-admitted"]


@pytest.mark.parametrize("running", [0, 1, 3])
def test_a_count_that_does_not_fit(running: int) -> None:
    found = verdict(Log().claim("a").claim("b", running=running).finish("a").finish("b"))
    assert kinds(found)[0] == "count"
    assert found.violations.first[0].facts["replayed"] == 2


def test_a_removed_step_is_one_violation() -> None:
    log = Log().claim("a").claim("b").finish("a").claim("c").finish("b", "c")
    for at in range(1, 5):
        left = log.entries[:at] + log.entries[at + 1 :]
        assert len(kinds(verdict(log, left))) == 1, at


def test_removed_steps_that_cancel_out_are_known_to_the_server_only() -> None:
    log = Log().claim("a").claim("b").finish("b").finish("a")
    left, removed = [log.entries[0], log.entries[3]], log.entries[2].id
    assert verdict(log, left).holds
    assert kinds(verdict(log, left, removed=removed)) == ["removed"]
    assert kinds(verdict(log, [], removed=removed)) == ["removed"]
    trimmed = (START_MS + 500, 0)  # deleted, and everything up to it trimmed since
    assert verdict(log, removed=trimmed).holds


def test_an_inserted_step() -> None:
    log = Log().claim("a").finish("a")
    forged = Entry((START_MS + 1_500, 0), START_MS + 1_500, "claim", ("x",), 2, 3)
    assert kinds(verdict(log, [log.entries[0], forged, log.entries[1]])) == ["count"]
    at_the_end = replace(forged, id=(log.now_ms, 1), at_ms=log.now_ms, running=1)
    assert kinds(verdict(log, [*log.entries, at_the_end])) == ["running-now"]


def test_backwards_time() -> None:
    log = Log().claim("a").finish("a")
    first, second = log.entries
    assert kinds(verdict(log, [first, replace(second, at_ms=first.at_ms - 1)])) == ["time"]
    assert kinds(verdict(log, [first, replace(second, id=first.id)])) == ["time"]
    assert kinds(verdict(log, [first, replace(second, id=(first.id[0] - 1, 9))])) == ["time"]
    assert kinds(verdict(log, [second], before=replace(second, id=(second.id[0], 1), running=1))) == ["time"]


def test_a_clock_that_was_set_back_is_a_note() -> None:
    log = Log().claim("a").finish("a")
    first, second = log.entries
    found = verdict(log, [first, replace(second, id=(first.id[0], 1), at_ms=first.at_ms - 60_000)])
    assert found.holds
    assert [note.kind for note in found.notes.first] == ["clock-set-back"]


def test_the_present_is_held_against_the_log() -> None:
    log = Log().claim("a", "b").finish("b")
    assert verdict(log, running={"a"}).holds
    assert kinds(verdict(log, running=set())) == ["running-now"]
    assert kinds(verdict(log, running={"a", "x"})) == ["running-now"]
    assert kinds(verdict(log, running={"x"})) == ["running-now", "running-now"]


def test_jobs_from_before_the_log_begins() -> None:
    log = Log(cap=4).claim("a", "b", "c").finish("a").claim("d").finish("b").finish("d").finish("c")
    for at in range(1, len(log.entries)):
        assert verdict(log, log.entries[at:]).holds, at
        found = verdict(log, log.entries[at:], before=log.entries[at - 1])
        assert found.holds, at
        assert found.covered_since_ms == START_MS
    assert verdict(log, log.entries[3:]).max_running == 3  # what ran before the first step counts
    assert kinds(verdict(log, log.entries[2:], before=log.entries[0])) == ["count"]


def test_once_all_from_before_are_released_every_id_is_known() -> None:
    log = Log().claim("a", "b").finish("a").finish("b").finish("b")
    assert kinds(verdict(log, log.entries[1:])) == ["not-admitted"]


def test_a_release_that_passes_for_one_from_before_shows_at_the_end() -> None:
    log = Log().claim("a", "b").claim("c").finish("c")
    forged = replace(log.entries[2], id=(log.now_ms + 1, 0), ids=("x",), running=1)  # as if "a" had ended
    assert kinds(verdict(log, [*log.entries[1:], forged])) == ["running-now"]


def test_a_job_from_before_that_is_admitted_again() -> None:
    log = Log().claim("a", "b").claim("c").claim("a").finish("c")
    assert kinds(verdict(log, log.entries[1:])) == ["count"]


class TestCap:
    def test_steps(self) -> None:
        log = Log(cap=2).claim("a").set_cap(5).claim("b").set_cap(1).finish("a", "b")
        found = verdict(log)
        assert (found.holds, found.notes.count) == (True, 0)
        assert found.caps == [(START_MS + 1_000, 2), (START_MS + 2_000, 5), (START_MS + 4_000, 1)]

    def test_a_step_that_no_entry_tells_is_a_note(self) -> None:
        log = Log(cap=2).claim("a")
        log.cap = 3
        found = verdict(log.finish("a"))
        assert found.holds
        assert [note.kind for note in found.notes.first] == ["cap-step"]
        assert found.caps == [(START_MS + 1_000, 2), (START_MS + 2_000, 3)]

    def test_a_step_against_what_the_entries_tell_is_a_violation(self) -> None:
        log = Log().set_cap(2).claim("a", "b")
        log.cap = 4
        log.claim("c").claim("d").finish("a", "b", "c", "d")
        assert kinds(verdict(log)) == ["cap", "over-cap"]

    def test_an_override_ends_at_its_own_instant(self) -> None:
        ends = START_MS + 2_500
        log = Log(cap=2).set_cap(5, until_ms=ends, reverts_to=2).claim("a")
        log.cap = 2
        log.claim("b")
        found = verdict(log)
        assert (found.holds, found.notes.count) == (True, 0)
        assert found.caps == [(START_MS + 1_000, 5), (ends, 2)]
        later = verdict(log, log.entries[1:], before=log.entries[0])
        assert (later.holds, later.caps) == (True, [(START_MS, 5), (ends, 2)])

    def test_an_override_that_has_ended_and_is_obeyed(self) -> None:
        log = Log(cap=2).set_cap(5, until_ms=START_MS + 1_500, reverts_to=2).claim("a", "b", "c")
        assert kinds(verdict(log)) == ["cap", "over-cap"]

    def test_an_override_that_ends_after_the_last_step(self) -> None:
        log = Log(cap=2).set_cap(5, until_ms=START_MS + 1_500, reverts_to=2)
        log.now_ms += 5_000
        assert verdict(log).caps == [(START_MS + 1_000, 5), (START_MS + 1_500, 2)]


def test_after_an_unreadable_entry_the_rest_is_checked() -> None:
    replay = Replay(START_MS, None)
    log = Log(cap=2).claim("a").claim("b").finish("a").claim("c", "d").finish("b", "c", "d")
    replay.take(log.entries[0])
    replay.unreadable(log.entries[1].id, "odd")
    for entry in log.entries[2:]:
        replay.take(entry)
    assert kinds(replay.end(Present(log.now_ms, frozenset()))) == ["unreadable", "over-cap"]


def test_after_a_gap_what_was_found_is_kept() -> None:
    log = Log(cap=1).claim("a", "b").finish("a").claim("c").finish("b", "c")
    replay = Replay(START_MS, None)
    replay.take(log.entries[0])
    replay = replay.anew()
    replay.take(log.entries[3])
    found = replay.end(Present(log.now_ms, frozenset()))
    assert kinds(found) == ["over-cap"]
    assert found.covered_since_ms == START_MS + 4_000


def test_many_violations_are_counted_and_a_few_are_kept() -> None:
    log = Log(cap=0)
    for i in range(500):
        log.claim(str(i))
    found = verdict(log)
    assert (found.violations.count, len(found.violations.first)) == (500, MAX_FINDINGS)
    assert found.as_dict()["violations_found"] == 500
    assert "and 400 more violations" in found.as_text()


steps = st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.integers(0, 99)), min_size=2, max_size=30)


def honest(chosen: list[tuple[bool, int, int]]) -> Log:
    """A log of claims and finishes under a cap of 5, of ids that come back now and then."""
    log, names = Log(cap=5), count()
    for claims, size, at in chosen:
        free = log.cap - len(log.running)
        if claims and free:
            fresh = [str(next(names) % 20) for _ in range(size)]
            if ids := [id for id in dict.fromkeys(fresh) if id not in log.running][:free]:
                log.claim(*ids)
        elif log.running:
            ran = sorted(log.running)
            log.step(("finish", "release", "reap")[at % 3], *ran[at % len(ran) :][:size])
    return log


@given(steps, st.integers(0, 99))
@settings(max_examples=300, deadline=None)
def test_an_honest_log_passes_wherever_it_is_read_from(chosen: list[tuple[bool, int, int]], at: int) -> None:
    log = honest(chosen)
    at %= len(log.entries) + 1
    before = log.entries[at - 1] if at else None
    for found in (verdict(log, log.entries[at:]), verdict(log, log.entries[at:], before=before)):
        assert (found.violations.first, found.notes.first) == ([], [])
        assert found.max_running <= 5


@given(steps, st.integers(0, 99), st.integers(0, 99), st.sampled_from(["removed", "repeated", "count", "ids"]))
@settings(max_examples=500, deadline=None)
def test_a_log_doctored_anywhere_does_not_pass(
    chosen: list[tuple[bool, int, int]], start: int, at: int, how: str
) -> None:
    log = honest(chosen)
    if len(log.entries) < 2:
        return
    start %= len(log.entries) - 1
    entries, before = log.entries[start + 1 :], log.entries[start]
    at %= len(entries)
    entry = entries[at]
    doctored = {
        "removed": [],
        "repeated": [entry, replace(entry, id=(entry.id[0], 1))],
        "count": [replace(entry, running=entry.running + 1)],
        "ids": [replace(entry, ids=(*entry.ids, "forged"))],
    }[how]
    found = verdict(log, entries[:at] + doctored + entries[at + 1 :], before=before)
    assert not found.holds
