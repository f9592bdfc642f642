"""The proof: a replay of the admission log with accounts of its own. No Redis here; `log` reads it, page by page.

The replay holds the set of the running jobs and compares each step with it:
    over-cap        a claim left more running than the cap in force (a cap lowered below what runs only drains)
    admitted-twice  a job was admitted that had been, and was not released since
    not-admitted    a job was released that was not admitted
    count           the number of running jobs in a step is not what the steps before add up to: a step was left
                    out, put in or changed, or something took or gave a slot without a log entry
    cap             a step obeyed another cap than the last `cap` entry says (its override's end included)
    removed         an entry was deleted from the middle or the end of the log (the server remembers the last such)
    unreadable      an entry that no move of ours wrote
    time            a step is earlier than the one before it
    running-now     the jobs that Redis holds as running now are not those that the log says

What is known, and what is not. The log is bounded, and a window begins anywhere: of the jobs that ran before the
first step only the number is known (what the step before left running, or what the first step says less its own
change), not the ids. So a release of an id that was not seen admitted is taken for one of theirs while any of
them is left. Were it another's, it would show in `running` of the same step (`count`), which comes from the set
itself, or in the set that Redis holds at the end (`running-now`). Once the last of them is released, every id is
known. After a step whose count does not fit, or that cannot be read, the replay begins anew as at the log's
beginning, so that one fault is one violation and the rest is still checked. Until the first `cap` entry the cap
is what the steps say it was, and a change of it is a note; from then on it is what the `cap` entries say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slotwise.entry import ADMIT, CAP, Entry, StreamId, shown
from slotwise.verdict import Kind, Verdict


@dataclass(frozen=True)
class Present:
    """What the server shows at the instant up to which the log is replayed."""

    now_ms: int
    running: frozenset[str]
    last_removed: StreamId | None = None  # of the entries deleted one by one; trimming is not counted


class Replay:
    """Feed it the entries of a window in order, then ask for the verdict.

    `before`, the last entry ahead of the window, tells what was true when it began; None: the log begins within.
    """

    def __init__(self, since_ms: int, before: Entry | None) -> None:
        self._verdict = Verdict(since_ms, until_ms=since_ms)
        self._known: set[str] = set()  # running, and seen admitted
        self._unknown: int | None = None  # running since before; None: not known how many
        self._caps = _Caps(self._verdict)
        self._last = before
        self._first = before.id if before else None
        if before:
            self._unknown = before.running
            self._verdict.covered_since_ms = since_ms
            self._caps.begin(before, since_ms)
            self._ran(before.running, since_ms)

    def anew(self) -> Replay:
        """For a gap: a replay that covers only what follows, and keeps what was found."""
        replay = Replay(self._verdict.since_ms, None)
        replay._verdict.violations, replay._verdict.notes = self._verdict.violations, self._verdict.notes
        return replay

    def unreadable(self, stream_id: StreamId, why: str) -> None:
        """An entry that Entry.of refused: what it did is not known."""
        self._begin(stream_id, stream_id[0])
        self._violation(stream_id, stream_id[0], "unreadable", f"entry {shown(stream_id)} is none of ours: {why}")
        self._verdict.entries += 1
        self._known, self._unknown = set(), None

    def take(self, entry: Entry) -> None:
        """The next entry."""
        self._begin(entry.id, entry.at_ms)
        self._check_time(entry)
        if self._unknown is None:
            change = len(entry.ids) if entry.move == ADMIT else -len(entry.ids)
            self._unknown = max(0, entry.running - change)
            self._ran(self._unknown, entry.at_ms)
        if entry.move == ADMIT:
            self._admit(entry)
        else:
            self._release(entry)
        self._check_count(entry)
        cap = self._caps.of(entry)
        if entry.move == ADMIT and entry.running > cap:
            detail = f"a claim of {len(entry.ids)} left {entry.running} running under a cap of {cap}"
            self._violation(entry.id, entry.at_ms, "over-cap", detail, running=entry.running, max_concurrent=cap)
        self._ran(entry.running, entry.at_ms)
        self._verdict.entries += 1
        self._last = entry

    def end(self, present: Present) -> Verdict:
        """The verdict, once the log has been read up to `present`."""
        verdict = self._verdict
        verdict.until_ms, verdict.running = present.now_ms, len(present.running)
        first, removed = self._first or (verdict.since_ms, 0), present.last_removed
        if removed and removed > first:
            detail = f"entry {shown(removed)} was deleted from the log, and perhaps others before it"
            self._violation(removed, removed[0], "removed", detail)
        if self._first is None:
            self._ran(len(present.running), present.now_ms)
        elif self._unknown is not None:
            self._check_present(present, self._unknown)
        self._caps.at(present.now_ms)
        return verdict

    def _begin(self, stream_id: StreamId, at_ms: int) -> None:
        if self._first is None:
            self._first, self._verdict.covered_since_ms = stream_id, at_ms

    def _admit(self, entry: Entry) -> None:
        self._verdict.admitted += len(entry.ids)
        for job_id in entry.ids:
            if job_id in self._known:
                detail = f"job {job_id} was admitted while it ran"
                self._violation(entry.id, entry.at_ms, "admitted-twice", detail, job_id=job_id)
            self._known.add(job_id)

    def _release(self, entry: Entry) -> None:
        self._verdict.released += len(entry.ids)
        for job_id in entry.ids:
            if job_id in self._known:
                self._known.remove(job_id)
            elif self._unknown:
                self._unknown -= 1
            else:
                detail = f"job {job_id} was released ({entry.move}) and was not running"
                self._violation(entry.id, entry.at_ms, "not-admitted", detail, job_id=job_id)

    def _check_count(self, entry: Entry) -> None:
        expected = len(self._known) + (self._unknown or 0)
        if entry.running == expected:
            return
        detail = f"after a {entry.move} the log says {entry.running} running; the steps before make it {expected}"
        facts = {"running": entry.running, "replayed": expected}
        self._violation(entry.id, entry.at_ms, "count", detail, **facts)
        self._known = set(entry.ids) if entry.move == ADMIT else set()
        self._unknown = max(0, entry.running - len(self._known))

    def _check_time(self, entry: Entry) -> None:
        last = self._last
        if last is None or (entry.id > last.id and entry.at_ms >= last.at_ms):
            return
        # A server whose clock was set back numbers on in the millisecond that it has reached: no fault of a step.
        if entry.id > last.id and entry.id[0] == last.id[0] and entry.at_ms < entry.id[0]:
            detail = f"the server's clock was set back by {last.at_ms - entry.at_ms} ms"
            self._verdict.notes.add(entry.at_ms, "clock-set-back", detail, entry=shown(entry.id))
            return
        detail = f"entry {shown(entry.id)} is of an earlier time than {shown(last.id)} before it"
        self._violation(entry.id, entry.at_ms, "time", detail)

    def _check_present(self, present: Present, unknown: int) -> None:
        silent = present.running - self._known
        facts = {"running": len(present.running), "replayed": len(self._known) + unknown}
        if missing := sorted(self._known - present.running):
            detail = f"{len(missing)} jobs run by the log and not in Redis, as {missing[0]}"
            self._violation(None, present.now_ms, "running-now", detail, **facts, job_id=missing[0])
        if len(silent) != unknown:
            detail = f"{len(silent)} running jobs are not in the log, and {unknown} were admitted before it begins"
            self._violation(None, present.now_ms, "running-now", detail, **facts)

    def _ran(self, running: int, at_ms: int) -> None:
        if self._verdict.max_running_at_ms is None or running > self._verdict.max_running:
            self._verdict.max_running, self._verdict.max_running_at_ms = running, at_ms

    def _violation(self, stream_id: StreamId | None, at_ms: int, kind: Kind, detail: str, **facts: Any) -> None:
        where = {"entry": shown(stream_id)} if stream_id else {}
        self._verdict.violations.add(at_ms, kind, detail, **where, **facts)


class _Caps:
    """The cap over time: what the steps say, held against what the `cap` entries say."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self._said: Entry | None = None  # the entry from which the cap in force is known
        self._sure = False  # it is a `cap` entry, or was checked against one

    def begin(self, before: Entry, since_ms: int) -> None:
        self._said, self._sure = before, before.move == CAP
        self.at(since_ms)

    def of(self, entry: Entry) -> int:
        """The cap that this step had to obey: the lower where it says one and the `cap` entries another."""
        expected = self.at(entry.at_ms)
        known = self._sure and entry.move != CAP
        if entry.move != CAP and expected is not None and entry.cap != expected:
            self._differs(entry, expected)
        if entry.move == CAP or entry.cap != expected:
            self._said, self._sure = entry, self._sure or entry.move == CAP
            self.at(entry.at_ms)
        return min(entry.cap, expected) if known and expected is not None else entry.cap

    def at(self, now_ms: int) -> int | None:
        """The cap in force; written down where it differs from the one before."""
        if (said := self._said) is None:
            return None
        caps, began_ms, cap = self._verdict.caps, now_ms, said.cap
        if said.until_ms is not None and said.until_ms <= now_ms:
            cap = said.reverts_to or 0
            if caps and caps[-1][0] <= said.until_ms:
                began_ms = said.until_ms  # an override ends at its own instant, and writes no entry
        if not caps or caps[-1][1] != cap:
            caps.append((began_ms, cap))
        return cap

    def _differs(self, entry: Entry, expected: int) -> None:
        where = {"entry": shown(entry.id), "max_concurrent": entry.cap, "expected": expected}
        if self._sure:
            detail = f"a {entry.move} obeyed a cap of {entry.cap}, where it was {expected}"
            self._verdict.violations.add(entry.at_ms, "cap", detail, **where)
        else:
            detail = (
                f"the cap went from {expected} to {entry.cap}, and no entry that was read says why: an override "
                "that ended by itself, or a change that was not logged"
            )
            self._verdict.notes.add(entry.at_ms, "cap-step", detail, **where)
