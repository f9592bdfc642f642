"""The claim as it is meant: which jobs a worker gets, in what order, when it is to ask again (see `reference`)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.protocol.reference import Reference
from tests.protocol.rows import DEATHS, HIDDEN, HUNGER, LEFT, MARK, PATIENCE, WEEK, Held, Record, Worker

Granted = tuple[str, str, int, float, str, str]  # id, token, attempt, score, notice, payload


@dataclass
class Answer:
    next_due: float | None  # ms
    cap: int
    cancels: set[str] = field(default_factory=set)
    grants: list[Granted] = field(default_factory=list)


class Claiming:
    """One claim. `any_abort`: a stock client's aborts count as well."""

    def __init__(
        self, ref: Reference, name: str, number: int, asked: int, prefix: str, any_abort: bool, exact: float
    ) -> None:
        self.ref, self.name, self.number, self.asked, self.prefix = ref, name, number, asked, prefix
        self.any_abort, self.exact, self.now = any_abort, exact, math.floor(exact)
        self.cap, self.reverts_in = ref.cap(self.now)
        self.opens_at = math.inf  # when the first limit that was met opens by time alone
        self.grants: list[Granted] = []
        self.put_aside, self.free = False, 0
        self.keyed, self.picked, self.from_parking = bool(ref.tenants or ref.turns), False, set[str]()
        self.caps: dict[str, int] = {}  # own caps of the algorithms that were met
        self.rated: set[str] = set()  # the algorithms that were met, of those with a rate
        self.fair: dict[str, float] = {}  # what their first meeting left of them to others

    def answer(self, look: bool, ids: Sequence[str]) -> Answer | None:
        """None: the lease is gone."""
        ref, worker = self.ref, self.ref.workers.get(self.name)
        if worker is None:
            return None
        self.worker: Worker = worker
        ref.mind_setback(self.exact)
        cancels: set[str] = set()
        if look:
            ref.abort = {id: at for id, at in ref.abort.items() if at > self.now - WEEK}
            cancels = {id for id in worker.held if ref.to_cancel(id, self.any_abort)}
        if self.number < worker.exchange:
            return Answer(None, self.cap)
        if self.number == worker.exchange:
            again = [
                self._grant(id, held.token, ref.records[id], ref.to_cancel(id, self.any_abort))
                for id, held in worker.held.items()
                if held.token.startswith(self.prefix)
            ]
            return Answer(0, self.cap, cancels, again)
        worker.exchange = self.number
        self._promote()
        return Answer(self._admit(ids), self.cap, cancels, self.grants)

    def _promote(self) -> None:
        ref = self.ref
        for id in [id for id, due in ref.promote.items() if due <= self.exact]:
            del ref.promote[id]
            record = ref.records.get(id)
            if record and record.due and record.head_start and ref.queue.get(id) == record.due:
                ref.queue[id] = record.score = record.due - record.head_start

    def _admit(self, ids: Sequence[str]) -> float | None:
        """Start what may start; the ms after which to ask again."""
        ref, worker = self.ref, self.worker
        spare = self.cap - len(ref.running())
        self.free = 0 if worker.drained else min(self.asked, spare)
        left_to_others = False
        if self.free > 0 and self._kept_alone():
            self.free = 0
        elif self.free > 0:
            share = self._fair(self.free)
            left_to_others, self.free = share < self.free, share
        self.picked = bool(ids)
        if ids:
            for id in [id for id in dict.fromkeys(ids) if ref.queue.get(id, HIDDEN) <= self.exact]:
                self._meet(id, ref.queue[id], self.free)
        else:
            if self.keyed and self.free > 0:
                self._bring_in()
            while len(self.grants) < self.free and (some := self._next()):
                for score, id in some:
                    self._meet(id, score, self.free)
            if self.put_aside and not self.grants:
                self._kept_alone()
        ref.note("claim", [granted[0] for granted in self.grants], self.now)
        return self._ask_again_in(left_to_others, len(self.grants) >= spare)

    def _ask_again_in(self, left_to_others: bool, full: bool) -> float | None:
        head = min((score for score in self.ref.queue.values() if score < HIDDEN), default=math.inf)
        head_in = max(0.0, head - self.exact)
        wants_more = not self.worker.drained and self.asked > len(self.grants)
        kept_out = wants_more and (left_to_others or full)
        self._weigh(kept_out and (head_in == 0 or self._can_unpark()))
        self._weigh_each(wants_more)
        for algorithm in list(self.rated):  # this very claim may have filled a window
            self._room(algorithm)
        next_in = min(
            self.reverts_in,
            max(0.0, self.opens_at - self.exact),
            head_in if len(self.grants) < self.free else math.inf,
            LEFT if left_to_others else math.inf,
        )
        return next_in if next_in < math.inf else None

    # Order: the best of what is due in the queue and of the parked jobs whose limit is open.

    def _next(self) -> list[tuple[float, str]]:
        """The best one; between tenants, the best for each slot that is free, for they are shared out at once."""
        most = self.free - len(self.grants) if self.keyed else 1
        due = sorted((score, id) for id, score in self.ref.queue.items() if score <= self.exact)[:most]
        rows = [(score, id, "") for score, id in due]
        for name in self.ref.listed | {name for name, jobs in self.ref.parked.items() if jobs}:
            left = min(self._room_in(name), most)
            aside = self.ref.parked[name].items()
            heads = sorted((score, id) for id, score in aside if self.ref.queue.get(id) == HIDDEN)
            rows += [(score, id, name) for score, id in heads[: max(0, int(left))]]
        rows = (self._shared_out(rows) if self.keyed else sorted(rows))[:most]
        for _, id, name in rows:
            if name:
                self.ref.parked[name].pop(id)
                self.from_parking.add(id)
        return [(score, id) for score, id, _ in rows]

    def _shared_out(self, rows: list[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
        """A slot goes to who has the fewest; of those, to who got none for longest; of one's jobs, to the best."""
        placed, taken = [], dict[str, int]()
        for score, id, name in sorted(rows):
            tenant = name.partition(MARK)[2]
            before = taken.setdefault(tenant, 0)
            taken[tenant] += 1
            served = self.exact if before else self.ref.turns.get(tenant, 0)
            placed.append((self.ref.held_by(tenant) + before, served, score, id, name))
        return [(score, id, name) for _, _, score, id, name in sorted(placed)]

    def _bring_in(self) -> None:
        """Jobs of tenants that are in sight stand aside, each in its tenant's set."""
        for id in [id for id, score in self.ref.queue.items() if score <= self.exact]:
            record = self.ref.records.get(id)
            if record and record.tenant and record.state == "pending" and id not in self.ref.abort:
                self.ref.parked[MARK + record.tenant][id] = record.score or self.ref.queue[id]
                self.ref.queue[id] = HIDDEN

    def _room_of_tenant(self, tenant: str) -> float:
        most = self.ref.tenants.get(tenant, (None, None))[0]
        return math.inf if most is None else most - self.ref.held_by(tenant)

    def _room_in(self, name: str) -> float:
        """Of the name of a parked set: an algorithm, a tenant, or both."""
        algorithm, mark, tenant = name.partition(MARK)
        left = self._room(algorithm) if algorithm else math.inf
        return min(left, self._room_of_tenant(tenant)) if mark else left

    def _served_by_others_only(self, algorithm: str) -> bool:
        known = self.ref.served(algorithm) > 0 or algorithm in self.ref.catalogue
        return known and algorithm not in self.worker.serves

    def _room(self, algorithm: str) -> float:
        """How many more jobs of the algorithm this worker may start now."""
        ref, room = self.ref, math.inf
        if self._served_by_others_only(algorithm):
            return 0
        count, until = ref.overrides.get(algorithm, (None, None))
        if until is not None and until > self.now:
            self.opens_at = min(self.opens_at, until)
        elif count is None or until is not None:
            count = ref.declared.get(algorithm)
        if count is not None:
            room = count - len(ref.running_of(algorithm))
            room = self._fair_of(algorithm, count, room)
        if algorithm in ref.rates:
            most, window = ref.rates[algorithm]
            self.rated.add(algorithm)
            starts = ref.starts[algorithm]
            ref.starts[algorithm] = {t: at for t, at in starts.items() if self.exact - window < at <= self.exact}
            room = min(room, most - len(ref.starts[algorithm]))
            if len(ref.starts[algorithm]) >= most:
                self.opens_at = min(self.opens_at, min(ref.starts[algorithm].values()) + window)
        return room

    def _can_unpark(self) -> bool:
        aside = sorted(name for name, jobs in self.ref.parked.items() if jobs)
        rooms = [self._room_in(name) for name in aside]
        return any(room > 0 for room in rooms)

    # An algorithm's own cap: shares of it, while a worker that it keeps out has fewer.

    def _held_of(self, algorithm: str) -> int:
        return sum(held.algorithm == algorithm for held in self.worker.held.values())

    def _share_of(self, algorithm: str, cap: int) -> int:
        return cap // max(1, self.ref.served(algorithm))

    def _fair_of(self, algorithm: str, cap: int, free: float) -> float:
        """As of the algorithm's first meeting in this claim."""
        met, hungry = algorithm in self.caps, self.ref.hungry_of[algorithm]
        self.caps[algorithm] = cap
        if not met:
            if free > 0:
                for name in [name for name, until in hungry.items() if until <= self.now]:
                    del hungry[name]
            self.fair[algorithm] = math.inf
            if free > 0 and hungry.keys() - {self.name}:
                least = 1 if self.name in hungry else 0
                share = max(least, self._share_of(algorithm, cap))
                self.fair[algorithm] = share
                if share - self._held_of(algorithm) < free:
                    self.opens_at = min(self.opens_at, self.exact + LEFT)
        left = self.fair[algorithm] - self._held_of(algorithm)
        return free if free <= 0 else max(0, min(free, left))

    def _weigh_each(self, wants_more: bool) -> None:
        for algorithm, cap in self.caps.items():
            full = cap - len(self.ref.running_of(algorithm)) <= 0
            self.ref.hungry_of[algorithm].pop(self.name, None)
            fewer = self._held_of(algorithm) < max(1, self._share_of(algorithm, cap))
            if wants_more and full and fewer and self.ref.parked[algorithm]:
                self.ref.hungry_of[algorithm][self.name] = self.now + HUNGER

    # What becomes of a job that the claim meets.

    def _meet(self, id: str, score: float, most: int, *, alone: bool = False) -> None:
        ref, mark = self.ref, self.ref.marks.get(id)
        if id in ref.running():  # a stock client's abort made a running job visible
            ref.queue[id] = HIDDEN
        elif mark == "done":
            ref.queue.pop(id, None)
            ref.payloads.pop(id, None)
        elif mark:  # a stock worker has it
            ref.queue[id] = self.now + 1000
        elif len(self.grants) < most:
            self._start_or_set_aside(id, score, alone)

    def _start_or_set_aside(self, id: str, score: float, alone: bool) -> None:
        ref, payload = self.ref, self.ref.payloads.get(id)
        if id in ref.records and ref.records[id].state != "pending":
            ref.forget_earlier(id)
        record = ref.records.get(id)
        cancelled = self._cancelled(id, record, payload)
        algorithm = record.algorithm if record else None
        if algorithm is None and payload:
            algorithm = json.loads(payload)["f"]
        if record and record.deaths == DEATHS - 1 and not alone and not cancelled:
            ref.queue[id], self.put_aside = HIDDEN, True
            ref.suspects.setdefault(id, self.now)
            ref.unpark(id)
        elif record and record.expires is not None and record.expires <= self.now and not record.started:
            ref.queue[id] = HIDDEN  # `expire` ends it
            ref.unpark(id)
        elif algorithm and not cancelled and self._room(algorithm) <= 0:
            if record is None:
                ref.met[id] = ref.made(id, score)
            self._park(id, algorithm, score, record)
        elif record and record.tenant and not cancelled and not self._has_its_turn(id, record.tenant, alone):
            self._park(id, "", score, record)
        else:
            self._start(id, score, algorithm, cancelled)

    def _has_its_turn(self, id: str, tenant: str, alone: bool) -> bool:
        has_turn = id in self.from_parking or self.picked or alone or not self.keyed
        return self._room_of_tenant(tenant) > 0 and has_turn

    def _park(self, id: str, algorithm: str, score: float, record: Record | None) -> None:
        name = algorithm + (MARK + record.tenant if record and record.tenant else "")
        self.ref.unpark(id)
        self.ref.queue[id] = HIDDEN
        self.ref.parked[name][id] = score if record is None or record.score is None else record.score

    def _cancelled(self, id: str, record: Record | None, payload: str | None) -> bool:
        """A cancel from before the job was enqueued was meant for an earlier job of this id: it is forgotten."""
        ref, requested = self.ref, bool(record and record.cancel_requested)
        if id not in ref.abort:
            return False
        if payload and not requested and ref.abort[id] < json.loads(payload)["et"]:
            del ref.abort[id]
            return False
        return self.any_abort or requested

    def _start(self, id: str, score: float, algorithm: str | None, cancelled: bool) -> None:
        ref, record = self.ref, self.ref.records.get(id)
        token = f"{self.prefix}{len(self.grants)}" + ("w" if record and record.tells else "")
        tenant = (record and record.tenant) or ("" if self.keyed else None)
        if tenant is not None:
            token += "@" + tenant
            ref.turns[tenant] = self.exact
        if record is None:  # a stock client's job: its record begins here
            record = Record(due=score, score=score, attempt=ref.retries.get(id, 0), algorithm=algorithm)
            record.created = ref.made(id, score)
            ref.records[id] = record
            ref.mortal.discard(id)
        if record.expires is not None:
            ref.unstarted.pop(id, None)
        record.state, record.started = "running", True
        record.attempt += 1
        ref.queue[id], ref.marks[id] = HIDDEN, "1"
        ref.unpark(id)
        self.worker.held[id] = Held(token, algorithm, self.exact, body=not cancelled, tenant=tenant)
        if algorithm in ref.rates and not cancelled:
            ref.starts[algorithm][token] = self.exact
        self.grants.append(self._grant(id, token, record, cancelled))
        if not self.grants[-1][4]:
            ref.tell(id, "running", self.now)

    def _grant(self, id: str, token: str, record: Record, cancelled: bool) -> Granted:
        payload = self.ref.payloads.get(id, "")
        lost = "lost" if record.deaths >= DEATHS else ""
        notice = "expired" if not payload else "abort" if cancelled else lost
        return id, token, record.attempt, record.score or 0, notice, payload

    # A job under which all but one of the workers it may cost have died runs alone on the next.

    def _kept_alone(self) -> bool:
        """True when this claim may grant nothing else."""
        ref, worker = self.ref, self.worker
        if worker.alone in worker.held:
            return True
        while not (worker.reserved and ref.waits_to_run_alone(worker.reserved)):
            worker.reserved = None
            since, oldest = next(
                ((at, id) for at, id in sorted((at, id) for id, at in ref.suspects.items()) if self._may_run(id)),
                (math.inf, ""),
            )
            if since == math.inf or (worker.held and since + PATIENCE > self.now):
                return False
            del ref.suspects[oldest]
            worker.reserved = oldest
        if worker.held:
            return True
        worker.alone, worker.reserved = worker.reserved, None
        self._meet(worker.alone, HIDDEN, 1, alone=True)
        return bool(self.grants)

    def _may_run(self, id: str) -> bool:
        """Whether a suspect's algorithm has room here: else the worker would be kept empty for nothing."""
        record, payload = self.ref.records.get(id), self.ref.payloads.get(id)
        algorithm = record.algorithm if record else None
        if algorithm is None and payload:
            algorithm = json.loads(payload)["f"]
        return not algorithm or self._room(algorithm) > 0

    # Fair shares: while another worker is hungry, nobody takes more than its share of the cap.

    def _share(self) -> int:
        return self.cap // max(1, len(self.ref.loads.keys() | self.ref.hungry.keys()))

    def _fair(self, free: int) -> int:
        ref = self.ref
        ref.hungry = {name: until for name, until in ref.hungry.items() if until > self.now}
        if not ref.hungry.keys() - {self.name}:
            return free
        least = 1 if self.name in ref.hungry else 0
        return max(0, min(free, max(least, self._share()) - len(self.worker.held)))

    def _weigh(self, wants_more: bool) -> None:
        ref, load = self.ref, len(self.worker.held)
        ref.loads.pop(self.name, None)
        if load:
            ref.loads[self.name] = load
        hungry = wants_more and load < max(1, self._share())
        ref.hungry.pop(self.name, None)
        if hungry:
            ref.hungry[self.name] = self.now + HUNGER
