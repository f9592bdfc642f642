"""The slot protocol as it is meant: every move, one after the other, on plain dictionaries.

What `machine` compares the Lua scripts with after each step. It knows no Redis, gathers nothing into one call and
keeps nothing twice: who runs is who is held. Times are ms; `exact` has a fraction. The claim stands in `claiming`,
what operators do in `steering`.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tests.protocol.delivering import Delivering
from tests.protocol.rows import DEATHS, HIDDEN, KEEP, MARK, SLEWED, TERMINAL, WEEK, Held, Job, Record, Worker

Entry = tuple[str, str, str, str]  # id, state, algorithm, error type


def error_type(error: str | None) -> str:
    return str(json.loads(error).get("type", "")) if error else ""


class Reference:
    def __init__(self) -> None:
        self.queue: dict[str, float] = {}
        self.records: dict[str, Record] = {}
        self.payloads: dict[str, str] = {}
        self.mortal: set[str] = set()  # ids whose payload may expire: a stock client's, before the first claim
        self.results: dict[str, str] = {}
        self.said: dict[str, list[str]] = {}  # what a job wrote, piece by piece
        self.lasting: set[str] = set()  # ids of ended jobs that are kept for ever
        self.marks: dict[str, str] = {}  # '1' it runs, or a stock worker has it; 'done' a cron job that ran
        self.retries: dict[str, int] = {}
        self.promote: dict[str, float] = {}
        self.unstarted: dict[str, float] = {}
        self.suspects: dict[str, float] = {}
        self.abort: dict[str, float] = {}
        self.parked: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self.listed: set[str] = set()  # names of parked sets as the server lists them: empty ones go a claim later
        self.met: dict[str, float] = {}  # when they were made, of stock jobs that claims set aside
        self.starts: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self.workers: dict[str, Worker] = {}
        self.loads: dict[str, int] = {}
        self.hungry: dict[str, float] = {}
        self.hungry_of: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self.drained: dict[str, int] = {}  # processes, since when
        self.seen = 0.0  # the latest time of a claim or a submit: due jobs stay due when the clock is set back
        self.configured: int | None = None
        self.override: tuple[int, int | None] | None = None
        self.declared: dict[str, int] = {}
        self.overrides: dict[str, tuple[int, int | None]] = {}
        self.rates: dict[str, tuple[int, int]] = {}  # starts, in a window of so many ms
        self.catalogue: set[str] = set()
        self.log: list[tuple[str, frozenset[str], int, int]] = []
        self.listed_ended: dict[Entry, float] = {}  # the ends that are listed, with when the job was made
        self.expiring: dict[Entry, float] = {}  # when their records go
        self.labels: dict[str, dict[str, str]] = {}
        self.labelled: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        self.delivering = Delivering()
        self.failures: dict[tuple[str, ...], tuple[int, int, int, str]] = {}  # count, first, last, latest id
        self.tenants: dict[str, tuple[int | None, int | None]] = {}  # at most running, at most waiting
        self.turns: dict[str, float] = {}  # when a job of the tenant started last
        self.names: set[str] = set()  # as the server has them: who is left without jobs goes a while later

    def tell(self, id: str, kind: str, now: float) -> None:
        """The job's webhook, if it has one that wants to know."""
        record = self.records[id]
        if kind in (record.tells or "").split():
            self.delivering.tell(id, kind, now)
            record.told = record.told or kind in TERMINAL

    # What follows from the rest.

    def running(self) -> dict[str, Held]:
        return {id: held for worker in self.workers.values() for id, held in worker.held.items()}

    def running_of(self, algorithm: str) -> dict[str, Held]:
        return {id: held for id, held in self.running().items() if held.body and held.algorithm == algorithm}

    def pending_of(self, algorithm: str) -> set[str]:
        """Those whose record or parked set names it: a stock job's payload is first read by a claim."""
        told = {i for i, r in self.records.items() if r.state == "pending" and self._name(i, r) == algorithm}
        return told & self.queue.keys() | {id for id in self.parked[algorithm] if id not in self.records}

    def pending_of_tenant(self, tenant: str) -> set[str]:
        told = {i for i, r in self.records.items() if r.state == "pending" and r.tenant == tenant}
        return told & self.queue.keys()

    def held_by(self, tenant: str) -> int:
        return sum(held.tenant == tenant for held in self.running().values())

    def sees(self, tenant: str, id: str) -> bool:
        record = self.records.get(id)
        reused = record is not None and record.state in TERMINAL and id in self.queue
        return not tenant or (record is not None and record.tenant == tenant and not reused)

    def has_too_many(self, tenant: str | None, more: int) -> bool:
        most = self.tenants.get(tenant or "", (None, None))[1]
        return bool(tenant) and most is not None and len(self.pending_of_tenant(tenant or "")) + more > most

    def created(self, id: str) -> float:
        """Of a job that waits or runs: as its record says, or its payload did when a claim set it aside."""
        record = self.records.get(id)
        if record and record.created is not None:
            return record.created
        return self.met[id]

    def made(self, id: str, otherwise: float) -> float:
        """When a stock client made a job, by its own clock."""
        payload = self.payloads.get(id)
        return float(json.loads(payload)["et"]) if payload else math.floor(otherwise)

    def list_ended(self, id: str, expires: float | None) -> None:
        record = self.records[id]
        kind = error_type(record.error) if record.state == "failed" else ""
        entry = (id, record.state, record.algorithm or "", kind)
        self.listed_ended[entry] = record.created or 0
        if expires is not None:
            self.expiring[entry] = expires

    def unlist(self, id: str) -> None:
        record = self.records.get(id)
        if record and record.state in TERMINAL:
            kind = error_type(record.error) if record.state == "failed" else ""
            entry = (id, record.state, record.algorithm or "", kind)
            self.listed_ended.pop(entry, None)
            self.expiring.pop(entry, None)

    def drop_labels(self, id: str) -> None:
        for label in self.labels.pop(id, {}).items():
            self.labelled[label].pop(id, None)

    def forget_earlier(self, id: str) -> None:
        """Of a job that has ended, and whose id a stock client uses again."""
        if id in self.records:
            self.unlist(id)
            self.drop_labels(id)
            del self.records[id]
            self.said.pop(id, None)

    def count_failure(self, id: str, origin: str, now: int) -> None:
        record = self.records[id]
        group: tuple[str, ...] = (record.algorithm or "", error_type(record.error), origin)
        group += (record.tenant,) if record.tenant else ()
        count, first, _, _ = self.failures.get(group, (0, now, 0, ""))
        self.failures[group] = (count + 1, first, now, id)

    def sweep(self, now: int) -> int:
        due = [entry for entry, at in self.expiring.items() if at <= now]
        for entry in due:
            id, state, algorithm, _ = entry
            record = self.records.get(id)
            if record is None or (record.state, record.algorithm or "") != (state, algorithm):
                self.listed_ended.pop(entry, None)
                del self.expiring[entry]
                if record is None:
                    self.drop_labels(id)
            elif id in self.lasting:
                del self.expiring[entry]
            else:
                self.expiring[entry] = now + 1000
        self.failures = {group: told for group, told in self.failures.items() if told[2] > now - WEEK}
        return len(due)

    def _name(self, id: str, record: Record) -> str:
        payload = self.payloads.get(id)
        return record.algorithm or (str(json.loads(payload)["f"]) if payload else "")

    def _own_limit(self, algorithm: str, now: int) -> int | None:
        count, until = self.overrides.get(algorithm, (None, None))
        if count is None or (until is not None and until <= now):
            count = self.declared.get(algorithm)
        starts = self.rates.get(algorithm, (None, 0))[0]
        return min((most for most in (count, starts) if most is not None), default=None)

    def served(self, algorithm: str) -> int:
        return sum(algorithm in worker.serves for worker in self.workers.values())

    def cap(self, now: int) -> tuple[int, float]:
        """The cap in force, and the ms until its override ends."""
        if self.override and (self.override[1] is None or self.override[1] > now):
            count, until = self.override
            return count, math.inf if until is None else until - now
        return 10 if self.configured is None else self.configured, math.inf

    def mind_setback(self, wall: float) -> None:
        """What was due by the clock before it was set back is due now, in its order."""
        if wall >= self.seen - SLEWED:
            self.seen = max(self.seen, wall)
            return
        hidden = sorted((score, id) for id, score in self.queue.items() if wall < score <= self.seen)
        for place, (_, id) in enumerate(hidden, 1):
            self.queue[id] = wall - (len(hidden) - place) / 1000
        self.seen = wall

    def waits_to_run_alone(self, id: str) -> bool:
        record = self.records.get(id)
        return id in self.queue and record is not None and (record.state, record.deaths) == ("pending", DEATHS - 1)

    def to_cancel(self, id: str, any_abort: bool) -> bool:
        return id in self.abort and (any_abort or self.records[id].cancel_requested)

    # The client's moves.

    def submit(self, jobs: Sequence[Job], most: int, exact: float) -> str | list[str]:
        outcomes, fresh, now = [], [], math.floor(exact)
        for job in jobs:
            known = self.records.get(job.id)
            if known is None:
                fresh.append(job)
            again = known is not None and job.fingerprint != ""
            outcomes.append(
                "new" if not again else "replayed" if known.fingerprint == job.fingerprint else "conflict"
            )
        if "conflict" in outcomes or (fresh and "replayed" in outcomes):
            return "conflict"
        if fresh and self.has_too_many(jobs[0].tenant, len(fresh)):
            return "full"
        if fresh and len(self.queue) - len(self.running()) + len(fresh) > most:
            return "full"
        self.seen = max(self.seen, exact)
        crowds = {
            name: most - len(self.pending_of(name))
            for name in {job.algorithm for job in fresh}
            if (most := self._own_limit(name, now)) is not None
        }
        for i, job in enumerate(fresh, 1):
            later = job.due is not None and job.due > now
            due = job.due if later else exact
            score = due if later else exact - (len(fresh) - i) / 1000 - job.head_start
            record = Record(
                due=due, score=score, algorithm=job.algorithm, fingerprint=job.fingerprint, created=now
            )
            record.reason, record.tells = "scheduled" if later else "queued", job.tells
            record.tenant = job.tenant or None
            if later and job.head_start:
                self.promote[job.id], record.head_start = due, job.head_start
            if job.within is not None:
                self.unstarted[job.id] = record.expires = now + job.within
            self.records[job.id], self.queue[job.id] = record, score
            aside = MARK + job.tenant if job.tenant and not later else ""
            if not later and job.algorithm in crowds:
                crowds[job.algorithm] -= 1
                if crowds[job.algorithm] < 0:  # as many wait as its own limits let start
                    aside = job.algorithm + aside
            if aside:
                self.queue[job.id], self.parked[aside][job.id] = HIDDEN, score
            self.payloads[job.id] = job.payload
            self.mortal.discard(job.id)
            if job.fingerprint:
                self.drop_labels(job.id)
            labels = job.labels | ({"": job.tenant} if job.tenant else {})
            if labels:
                self.labels[job.id] = labels
                for label in labels.items():
                    self.labelled[label][job.id] = now
        return outcomes

    def cancel(self, id: str, error: str, now: int, whose: str) -> str:
        if not self.sees(whose, id):
            return "unknown"
        if id in self.running():
            self.records[id].cancel_requested, self.abort[id] = True, now
            return "requested"
        if id in self.queue:
            if id in self.records and self.records[id].state in TERMINAL:
                self.forget_earlier(id)
            record = self.records.get(id) or Record(due=self.queue[id], created=self.made(id, now))
            self._end_waiting(id, record, "cancelled", error, now)
            return "cancelled"
        if id in self.records:
            return "already-cancelled" if self.records[id].state == "cancelled" else "finished"
        return "finished" if id in self.results else "unknown"

    def expire(self, error: str, now: int) -> int:
        ended = 0
        for _, id in sorted((until, id) for id, until in self.unstarted.items() if until <= now):
            del self.unstarted[id]
            record = self.records.get(id)
            if record and record.state == "pending" and not record.started and record.expires is not None:
                self._end_waiting(id, record, "failed", error, now)
                ended += 1
        return ended

    def _end_waiting(self, id: str, record: Record, state: str, error: str, now: int) -> None:
        self.records[id], record.state = record, state
        record.algorithm = self._name(id, record) or None
        record.error = error if state == "failed" else None
        self.list_ended(id, now + KEEP)
        if state == "failed":
            self.count_failure(id, "", now)
        self.lasting.discard(id)
        payload = self.payloads.pop(id, None)
        self.mortal.discard(id)
        if payload:
            self.results[id] = (
                f'{payload[:-1]},"s":false,"r":{error},"st":{now},"ft":{now},"q":"arq:queue","id":"{id}"}}'
            )
        self._forget_traces(id)
        for gone in (self.queue, self.retries):
            gone.pop(id, None)
        self.tell(id, state, now)

    def _forget_traces(self, id: str) -> None:
        for trace in (self.promote, self.unstarted, self.abort):
            trace.pop(id, None)
        self.unpark(id)

    def unpark(self, id: str) -> None:
        for jobs in self.parked.values():
            jobs.pop(id, None)

    def erase(self, id: str, whose: str) -> str:
        if not self.sees(whose, id):
            return "unknown"
        if id in self.queue:
            return "active"
        self.unlist(id)
        self.drop_labels(id)
        known = [kind.pop(id, None) for kind in (self.records, self.payloads, self.results)]
        if not any(known):
            return "unknown"
        self._forget_traces(id)
        self.suspects.pop(id, None)
        for gone in (self.marks, self.retries, self.said, self.delivering.attempts):
            gone.pop(id, None)
        return "erased"

    def retry(
        self,
        id: str,
        token: str,
        most: int,
        head_start: int,
        envelope: str,
        payload: str,
        whose: str,
        exact: float,
    ) -> Any:
        record = self.records.get(id)
        if not self.sees(whose, id):
            return "unknown"
        if record and record.retried == token:
            return math.floor(record.due or 0)
        if self.results.get(id) != envelope or id in self.queue:
            return "moved"
        if self.has_too_many(record and record.tenant, 1) or len(self.queue) - len(self.running()) >= most:
            return "full"
        self._forget_traces(id)
        self.suspects.pop(id, None)
        for gone in (self.marks, self.retries, self.results, self.said):
            gone.pop(id, None)
        self.unlist(id)
        old, score = record or Record(), exact - head_start
        self.records[id] = Record(
            reason="queued",
            due=exact,
            score=score,
            algorithm=old.algorithm,
            fingerprint=old.fingerprint,
            retried=token,
            tells=old.tells,
            tenant=old.tenant,
            created=float(json.loads(payload)["et"]) if old.created is None else old.created,
        )
        self.queue[id], self.payloads[id] = score, payload
        return math.floor(exact)

    # The worker's moves.

    def enlist(self, name: str, process: str, serves: Sequence[str]) -> None:
        worker = self.workers.setdefault(name, Worker(set(), process=process))
        worker.serves |= set(serves)
        worker.sequence = 0
        worker.drained = worker.drained or process in self.drained

    def finish(self, name: str, id: str, token: str, outcome: str, exact: float, **of: Any) -> str:
        """`of`: algorithm, envelope, for_ever, delay, mark, attempt, account."""
        worker, record, now = self.workers.get(name), self.records.get(id), math.floor(exact)
        held = worker.held.get(id) if worker else None
        if worker is None or record is None or held is None or held.token != token:
            return "again" if record and record.done == token else "stale"
        del worker.held[id]
        record.done, record.algorithm = token, of.get("algorithm") or record.algorithm
        self._mark(id, "done" if of.get("mark") else None)
        if outcome in TERMINAL:
            record.state = outcome
            record.error = of.get("error") or None
            self.lasting = self.lasting | {id} if of.get("for_ever") else self.lasting - {id}
            record.account = of["account"].as_json().decode() or None
            self.list_ended(id, None if of.get("for_ever") else now + KEEP)
            if outcome == "failed":
                self.count_failure(id, of["origin"], now)
            if of.get("envelope"):
                self.results[id] = of["envelope"]
            for gone in (self.queue, self.payloads, self.retries, self.abort):
                gone.pop(id, None)
            self.tell(id, outcome, now)
        elif outcome == "retry":
            record.due = record.score = now if record.cancel_requested else now + of["delay"]
            record.state, record.reason = "pending", "retrying"
            record.attempt = self.retries[id] = of["attempt"]
            self.queue[id] = record.score
        else:
            self._wait_again(id, exact, died=outcome == "died")
        return "ok"

    def say(self, name: str, id: str, token: str, number: int, text: str) -> str:
        worker, record = self.workers.get(name), self.records.get(id)
        held = worker.held.get(id) if worker else None
        if record is None or held is None or held.token != token:
            return "stale"
        if record.spoke and record.spoke[0] == token and number <= record.spoke[1]:
            return "again"
        record.spoke = (token, number)
        self.said.setdefault(id, []).append(text)
        return "ok"

    def _mark(self, id: str, mark: str | None) -> None:
        self.marks.pop(id, None)
        if mark:
            self.marks[id] = mark

    def _wait_again(self, id: str, exact: float, *, died: bool) -> None:
        """Back in its old place; the attempt does not count."""
        record = self.records[id]
        record.state, record.reason, record.attempt = "pending", "queued", record.attempt - 1
        record.deaths += died
        self._mark(id, self.marks.get(id) if self.marks.get(id) == "done" else None)
        self.queue[id] = min(record.score or 0, exact)

    def renew(self, name: str, acknowledged: int, listed: Sequence[str], exact: float) -> str | set[str]:
        worker = self.workers.get(name)
        if worker is None:
            return "gone"
        worker.sequence += 1
        owned = {held.token: id for id, held in worker.held.items()}
        absent = {t for t in owned if t not in listed and int(t.split("-")[0]) <= acknowledged}
        released = absent & worker.missed
        worker.missed = absent - released
        for token in released:
            del worker.held[owned[token]]
            self._wait_again(owned[token], exact, died=False)
        self.note("release", [owned[token] for token in released], math.floor(exact))
        return set(listed) - set(owned)

    def reap(self, name: str, seen: int | None, exact: float) -> str | int:
        """`seen`: the lease's sequence as an observer saw it stand still; None: the worker leaves."""
        worker = self.workers.get(name)
        if seen is not None and (worker is None or worker.sequence != seen):
            return "moved"
        if worker is None:
            return 0
        del self.workers[name]
        for id in worker.held:
            self._wait_again(id, exact, died=seen is not None)
        self.note("leave" if seen is None else "reap", list(worker.held), math.floor(exact))
        if worker.reserved and self.waits_to_run_alone(worker.reserved):
            self.queue[worker.reserved] = min(self.records[worker.reserved].score or 0, exact)
        self.loads.pop(name, None)
        self.hungry.pop(name, None)
        return len(worker.held)

    def note(self, move: str, ids: Sequence[str], now: int) -> None:
        if ids:
            self.log.append((move, frozenset(ids), len(self.running()), self.cap(now)[0]))
