"""Every script in any order, on a real server and on the reference, compared after each step.

A step is one rule: one script (or one thing that a client of arq, an operator or time does), then a look at every
key. What the rules leave out is said where it is left out.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from slotwise import scripts
from slotwise.attempt import NO_ACCOUNT, Account, Claim, Finish
from slotwise.job import Submission
from slotwise.keys import ABORT, IN_PROGRESS, PAYLOAD, RECORD, RESULT, SAID
from slotwise.outbox import Delivery
from slotwise.record import submit_args
from slotwise.words import Words
from tests.protocol import picture, steering
from tests.protocol.claiming import Answer, Claiming
from tests.protocol.delivering import url_of
from tests.protocol.driver import Driver
from tests.protocol.reference import Reference
from tests.protocol.rows import HIDDEN, KEEP, TERMINAL, Job
from tests.protocol.telling import Telling, numbers

BEGINNING: Final = 1_700_000_000_000
HEAD_START: Final = 60_000  # all times of an example differ modulo this: no two scores are ever equal
WINDOW: Final = 90_000  # of rates; far longer than an example takes, for keys expire by the server's own clock
KEEP_MS: Final = KEEP
ERROR: Final = '{"type":"cancelled","message":"the job was cancelled before it started","detail":null}'
EXPIRED: Final = (
    '{"type":"expired","message":"the job had not started when its time to do so (expires_in) was over",'
    '"detail":null}'
)

ERRORS: Final = ("", '{"type":"exception","message":"E: x","detail":null}', '{"type":"timeout"}', "{}")

OURS: Final = st.integers(0, 7).map("j{}".format)
ANY: Final = st.integers(0, 10).map(lambda n: f"j{n}" if n < 8 else f"s{n - 8}")
NTH: Final = st.integers(0, 9)  # of what there is to choose from
ALGORITHMS: Final = st.sampled_from("ABC")
TENANT: Final = st.sampled_from(["", "", *picture.TENANTS])
WHOSE: Final = st.sampled_from(["", "", "", "t"])  # who asks: everybody, or a tenant
COUNTS: Final = st.sampled_from([None, 0, 1, 2])
LATER: Final = st.sampled_from([None, None, None, -1000, 300, 3_000, 70_000])
JOBS: Final = st.tuples(
    ALGORITHMS,
    LATER,
    st.integers(0, 2),
    st.sampled_from(["", "f", "g"]),
    st.sampled_from([None, None, 100, 4_000]),
    st.sampled_from([{}, {"x": "1"}, {"x": "1", "y:z": ""}]),
    st.sampled_from([None, None, "completed failed cancelled", "running completed failed"]),
)


class Protocol(RuleBasedStateMachine):
    driver: ClassVar[Driver]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.driver.plain("FLUSHALL")
        self.driver.dump = {}
        self.ref, self.telling = Reference(), Telling()
        self.clock, self._used, self._serial = BEGINNING, set[int](), 0
        self.incarnations = ["w0", "w1", "w2"]
        self.claims: dict[str, list[Claim]] = {name: [] for name in self.incarnations}
        self.past: list[tuple[str, str, str, int]] = []  # incarnation, id, token, attempt of every grant
        self.retried: list[list[Any]] = []
        self.told: list[tuple[Delivery, str]] = []  # what was collected, with its token
        self.with_stock_worker: set[str] = set()
        self.before: picture.Picture = {}
        for name, serves in zip(self.incarnations, ["ABC", "AB", ""], strict=True):
            self._enlist(name, list(serves))

    # The test's time, and what is compared.

    def _distinct(self, ms: int) -> int:
        while ms % HEAD_START in self._used:
            ms += 1
        self._used.add(ms % HEAD_START)
        return ms

    def _tick(self) -> float:
        self.clock = self._distinct(self.clock + 1)
        self.driver.exact = self.clock + 0.25
        return self.driver.exact

    def _number(self) -> int:
        self._serial += 1
        return self._serial

    def _compare(
        self, server: Any, reference: Any, *, ended: frozenset[str] = frozenset(), erased: str | None = None
    ) -> None:
        """`ended`: ids of ended jobs that this step may touch."""
        Protocol.steps += 1
        self.telling.note(self.ref, int(self.driver.exact), erased)
        assert server == reference, f"Redis replied {server!r}, meant is {reference!r}"
        seen = picture.of_server(self.driver.dump)
        differs = picture.difference(seen, picture.of_reference(self.ref, self.telling.entries))
        assert not differs, "Redis and the reference differ:\n" + differs
        broken = picture.broken_rules(self.driver.dump, seen, self.ref.lasting | self.with_stock_worker)
        assert not broken, broken
        for key, value in self.before.items():
            if key.startswith(RECORD) and value[0]["state"] in TERMINAL and key[len(RECORD) :] not in ended:
                assert seen.get(key) == value, f"{key} had ended, and was changed"
        self.before = seen
        self.ref.names = set(self.driver.dump.get(self.driver.store.keys.names, ("", 0, []))[2])
        self.ref.listed = set(self.driver.dump.get(self.driver.store.keys.parked, ("", 0, []))[2])

    def _plain(self, *commands: tuple[Any, ...], ended: frozenset[str] = frozenset()) -> None:
        for command in commands[:-1]:
            self.driver.plain(*command)
        self.driver.execute_command(*commands[-1])
        self._compare(None, None, ended=ended)

    def _payload(self, algorithm: str, at: int) -> str:
        return json.dumps(
            {"t": None, "f": algorithm, "a": [], "k": {"n": self._number()}, "et": at}, separators=(",", ":")
        )

    # What clients do.

    def _submit(self, jobs: list[tuple[str, Any]], most: int, tenant: str = "") -> None:
        """Left out: under the id of a stock client's job that waits. Our ids are random, or hashes of keys."""
        jobs = [job for job in jobs if job[0] not in self.ref.queue or job[0] in self.ref.records]
        if not jobs:
            return
        meant, args = [], ["", most, len(jobs)]
        start = self.clock
        for id, (algorithm, later, priority, fingerprint, within, labels, tells) in jobs:
            due = None if later is None else self._distinct(start + later)
            job = Job(
                id,
                algorithm,
                self._payload(algorithm, start),
                due,
                priority * HEAD_START,
                fingerprint,
                within,
                labels,
                tells,
                tenant,
            )
            row = submit_args(
                Submission(
                    id,
                    algorithm,
                    {},
                    due_ms=due,
                    head_start_ms=job.head_start,
                    fingerprint=fingerprint,
                    start_within_ms=within,
                    labels=labels,
                    webhook=None if tells is None else url_of(id),
                    webhook_events=() if tells is None else tuple(tells.split()),
                    tenant=tenant,
                )
            )
            args += [row[0], job.payload, *row[2:]]
            meant.append(job)
        exact = self._tick()
        reply = self.driver.run(scripts.SUBMIT, args)
        said = [outcome.decode() for outcome in reply[2]] if reply[0] == b"ok" else reply[0].decode()
        if said == "full":
            assert reply[1:3] == [int(exact), self.ref.cap(int(exact))[0]]
        self._compare(said, self.ref.submit(meant, most, exact))

    @rule(id=OURS, job=JOBS, tenant=TENANT)
    def submit(self, id: str, job: Any, tenant: str) -> None:
        self._submit([(id, job)], 100, tenant)

    @rule(
        jobs=st.dictionaries(OURS, JOBS, min_size=2, max_size=5), most=st.sampled_from([3, 8, 100]), tenant=TENANT
    )
    def submit_several(self, jobs: dict[str, Any], most: int, tenant: str) -> None:
        self._submit(list(jobs.items()), most, tenant)

    @rule(tenants=st.permutations(["", *picture.TENANTS]))
    def contend(self, tenants: list[str]) -> None:
        """Two jobs of each, in this order, and keys without bounds: what a claim takes is up to the shares."""
        for tenant in picture.TENANTS:
            self.make_key(tenant, None, None)
        for place, tenant in enumerate(tenants):
            jobs = [(f"j{2 * place + n}", ("B", None, 0, "", None, {}, None)) for n in range(2)]
            self._submit(jobs, 100, tenant)

    @rule(
        tenant=st.sampled_from(picture.TENANTS),
        running=st.sampled_from([None, 0, 1, 2]),
        waiting=st.sampled_from([None, 2]),
    )
    def make_key(self, tenant: str, running: int | None, waiting: int | None) -> None:
        """What `slotwise keys create` writes for the scripts."""
        keys = self.driver.store.keys
        self.ref.tenants[tenant] = (running, waiting)
        bounds = {"running": running, "pending": waiting}
        told = [part for name, most in bounds.items() if most is not None for part in (f"{name}:{tenant}", most)]
        gone = ("HDEL", keys.tenants, *(f"{name}:{tenant}" for name in bounds))
        self._plain(gone, ("HSET", keys.tenants, f"known:{tenant}", 1, *told))

    @rule(id=ANY, algorithm=ALGORITHMS, later=LATER, try_number=st.sampled_from([None, 2]))
    def enqueue_as_stock_client(self, id: str, algorithm: str, later: int | None, try_number: int | None) -> None:
        """arq's `enqueue_job` does nothing where there is a payload or a result of the id.

        Left out: over a job of the same id whose payload alone has expired.
        """
        if id in self.ref.payloads or id in self.ref.results or id in self.ref.queue:
            return
        score = self._distinct(self.clock + (later or 0))
        payload = self._payload(algorithm, self.clock)
        self.ref.queue[id], self.ref.payloads[id] = score, payload
        self.ref.mortal.add(id)
        keys = self.driver.store.keys
        commands: list[tuple[Any, ...]] = [("SET", PAYLOAD + id, payload, "PX", KEEP_MS)]
        if try_number and id not in self.ref.retries:
            self.ref.retries[id] = try_number
            commands.append(("SET", "arq:retry:" + id, try_number, "PX", KEEP_MS))
        self._plain(*commands, ("ZADD", keys.queue, score, id))

    @rule(id=ANY)
    def abort_as_stock_client(self, id: str) -> None:
        """arq's `Job.abort`: a job that is not due yet, or out of sight, comes to the front."""
        commands: list[tuple[Any, ...]] = []
        if self.ref.queue.get(id, 0) > self.clock:
            self.ref.queue[id] = score = self._distinct(1)
            commands.append(("ZADD", self.driver.store.keys.queue, score, id))
        self.ref.abort[id] = self.clock
        self._plain(*commands, ("ZADD", ABORT, self.clock, id))

    @rule(id=ANY, whose=WHOSE)
    def cancel(self, id: str, whose: str) -> None:
        now, ended = int(self._tick()), self.driver.store.keys.ended
        reply = self.driver.run(scripts.CANCEL, [id, "", KEEP_MS, ERROR, ended, whose])
        touched = frozenset({id} if id in self.ref.queue else {})
        self._compare(reply.decode(), self.ref.cancel(id, ERROR, now, whose), ended=touched)

    @precondition(lambda self: any(r.state in ("failed", "cancelled") for r in self.ref.records.values()))
    @rule(
        nth=NTH, priority=st.integers(0, 2), most=st.sampled_from([100, 100, 1]), moved=st.booleans(), whose=WHOSE
    )
    def retry(self, nth: int, priority: int, most: int, moved: bool, whose: str) -> None:
        """Of those whose result says what they called: `slotwise.retry` sees to that."""
        ended = [i for i, record in self.ref.records.items() if record.state in ("failed", "cancelled")]
        may = [id for id in ended if '"f":' in self.ref.results.get(id, "")]
        if not may:
            return
        id = may[nth % len(may)]
        envelope = self.ref.results[id]
        call = {name: value for name, value in json.loads(envelope).items() if name in ("t", "f", "a", "k", "et")}
        payload = json.dumps(call, separators=(",", ":"))
        token = f"retry{self._number()}"
        self._retry([id, token, most, priority * HEAD_START, envelope + " " * moved, payload, whose])

    @precondition(lambda self: self.retried)
    @rule(nth=NTH)
    def retry_again(self, nth: int) -> None:
        self._retry(self.retried[-1 - nth % len(self.retried)])

    def _retry(self, told: list[Any]) -> None:
        exact = self._tick()
        reply = self.driver.run(scripts.RETRY, [told[0], "", *told[1:]])
        self.retried.append(told)
        said = reply[1] if reply[0] == b"ok" else reply[0].decode()
        self._compare(said, self.ref.retry(*told, exact), ended=frozenset({told[0]}))

    @rule(id=ANY, whose=WHOSE)
    def erase(self, id: str, whose: str) -> None:
        reply = self.driver.run(scripts.ERASE, [id, whose])
        erased = id if reply == b"erased" else None
        self._compare(reply.decode(), self.ref.erase(id, whose), ended=frozenset({id}), erased=erased)

    # What webhooks are told.

    @rule(
        most=st.sampled_from([1, 2, 10]),
        each=st.integers(1, 2),
        quotas=st.dictionaries(st.sampled_from(["http://r0", "http://r1"]), st.integers(0, 2), max_size=2),
    )
    def collect(self, most: int, each: int, quotas: dict[str, int]) -> None:
        token, now, visible = f"t{self._number()}", int(self._tick()), 20_000
        flat = [part for pair in quotas.items() for part in pair]
        next_in, *rows = self.driver.run(
            scripts.COLLECT, ["", token, visible, most, 1_000_000, each, *flat], self.driver.keys["collect"]
        )
        found = [Delivery.of(row) for row in rows]
        given = [(one.job_id, one.receiver, one.attempts, one.fields[b"@type"].decode()) for one in found]
        self.told += [(one, token) for one in found]
        meant, later = self.ref.delivering.collect(token, now + visible, most, each, quotas, now)
        self._compare((given, float(next_in) if next_in else None), (meant, later))

    @precondition(lambda self: self.told)
    @rule(
        nth=NTH,
        move=st.sampled_from(["done", "done", "again", "again", "release"]),
        later=st.sampled_from([5, 900]),
    )
    def settle(self, nth: int, move: str, later: int) -> None:
        """One of the latest, settled before or not."""
        one, token = self.told[-1 - nth % len(self.told)]
        now = int(self._tick())
        due = now + later if move == "again" else None
        known = one.job_id in self.ref.records
        args = ["", one.job_id, one.receiver, one.entry, token, move, due or "", "delivered", "{}", 50, KEEP_MS]
        reply = self.driver.run(scripts.SETTLE, args)
        meant = self.ref.delivering.settle(one.job_id, token, move, due, now, known=known)
        self._compare(reply.decode(), meant)

    @rule(id=OURS)
    def redeliver(self, id: str) -> None:
        now, record = int(self._tick()), self.ref.records.get(id)
        reply = self.driver.run(scripts.REDELIVER, [id, ""])
        if record is None or record.tells is None:
            meant = "unknown" if record is None else "none"
        else:
            meant = self.ref.delivering.redeliver(id, record.state, record.told, now)
        self._compare(reply.decode(), meant)

    # What workers do.

    def _enlist(self, name: str, serves: list[str]) -> None:
        self._tick()
        self.driver.leases.enlist(name, 10_000, {"name": name, "process": name[:2]}, serves)
        self.ref.enlist(name, name[:2], serves)
        self._compare(None, None)

    @rule(nth=st.integers(0, 2), serves=st.sets(ALGORITHMS), anew=st.booleans())
    def enlist(self, nth: int, serves: set[str], anew: bool) -> None:
        """A start of a worker, or its enlisting sent again. Who is replaced lives on, until somebody reaps it."""
        name = self.incarnations[nth]
        alive = self.ref.workers.get(name)
        if anew or alive is None:
            name = f"w{nth}n{self._number()}"
            self.incarnations[nth], self.claims[name] = name, []
        self._enlist(name, sorted(serves if alive is None or anew else alive.serves))

    def _claim(self, claim: Claim) -> None:
        exact = self._tick()
        claiming = Claiming(
            self.ref, claim.incarnation, claim.number, claim.asked, claim.prefix, claim.cancels == "any", exact
        )
        cap, running = self.ref.cap(int(exact))[0], len(self.ref.running())
        reused = frozenset(id for id in self.ref.queue if id in self.ref.records)
        reply = self.driver.run(scripts.CLAIM, *reversed(self.driver.store.claims._claim(claim)))
        meant = claiming.answer(claim.look_for_cancels, claim.ids)
        said = None if reply[0] == b"gone" else _answer(reply)
        if said and meant and meant.next_due is not None:
            meant.next_due = float(f"{meant.next_due:.3f}")
        known = {token for _, _, token, _ in self.past}
        for grant in said.grants if said else []:
            if grant[1] not in known:
                self.past.append((claim.incarnation, grant[0], grant[1], grant[2]))
        if said:
            said.grants, meant.grants = sorted(said.grants), sorted(meant.grants)
        self._compare(said, meant, ended=reused)
        assert len(self.ref.running()) <= max(cap, running), "more run than the cap allows"

    @rule(
        nth=st.integers(0, 2),
        asked=st.sampled_from([0, 1, 1, 2, 3, 5]),
        cancels=st.sampled_from(["any", "any", "requested"]),
        look=st.booleans(),
        ids=st.just(()) | st.lists(ANY, min_size=1, max_size=4).map(tuple),
    )
    def claim(self, nth: int, asked: int, cancels: Any, look: bool, ids: tuple[str, ...]) -> None:
        name = self.incarnations[nth]
        number = len(self.claims[name]) + 1
        claim = Claim(name, number, asked, f"{number}-{name}x{self._number()}-", cancels, look, name, ids)
        self.claims[name].append(claim)
        self._claim(claim)

    @rule(nth=st.integers(0, 2), asked=st.integers(1, 4))
    def claim_plainly(self, nth: int, asked: int) -> None:
        self.claim(nth, asked, "any", True, ())

    @rule(nth=st.integers(0, 2), back=st.sampled_from([0, 0, 1, 2]))
    def claim_again(self, nth: int, back: int) -> None:
        """The same exchange, or an older one."""
        claims = self.claims[self.incarnations[nth]]
        if back < len(claims):
            self._claim(claims[-1 - back])

    def _finish(self, name: str, ends: list[tuple[str, str, int, str, int]]) -> None:
        exact, finishes, meant = self._tick(), [], []
        for id, token, attempt, outcome, kind in ends:
            # with an envelope and a time to be kept; without; for ever; as a cron job's
            payload = self.ref.payloads.get(id)
            of = {
                "algorithm": ["", "B"][kind == 2 and id.startswith("s")],
                "envelope": (payload or "{}")[:-1] + f',"s":{json.dumps(outcome == "completed")}}}'
                if kind
                else "",
                "for_ever": kind == 2,
                "delay": self._distinct(self.clock + 400 * kind) - self.clock,
                "mark": KEEP_MS if kind == 3 and outcome in TERMINAL else 0,
                "attempt": attempt,
                "account": Account(cpu_seconds=attempt) if kind == 1 else NO_ACCOUNT,
                "error": ERRORS[kind] if outcome == "failed" else "",
                "origin": "E" if kind == 1 else "",
            }
            finishes.append(
                Finish(
                    id,
                    token,
                    outcome,
                    of["algorithm"],
                    of["error"].encode(),
                    of["envelope"].encode(),
                    None if of["for_ever"] else KEEP_MS,
                    of["delay"],
                    of["mark"],
                    attempt,
                    True,
                    of["account"],
                )
            )
            meant.append((id, token, outcome, of))
        replies = self.driver.run(scripts.FINISH, *reversed(self.driver.store.claims._finish(name, finishes)))
        results = [self.ref.finish(name, id, token, outcome, exact, **of) for id, token, outcome, of in meant]
        done = [end[0] for end, result in zip(ends, results, strict=True) if result == "ok"]
        self.ref.note("finish", done, int(exact))
        self._compare([reply.decode() for reply in replies], results)

    @precondition(lambda self: self.ref.running())
    @rule(
        nth=NTH,
        ends=st.lists(
            st.tuples(
                st.sampled_from(OUTCOMES := [*sorted(TERMINAL), "retry", "release", "died"]), st.integers(0, 3)
            ),
            min_size=1,
            max_size=3,
        ),
    )
    def finish(self, nth: int, ends: list[tuple[str, int]]) -> None:
        """Attempts of one worker, in one call; each job once."""
        names = [name for name, worker in self.ref.workers.items() if worker.held]
        name = names[nth % len(names)]
        held = list(self.ref.workers[name].held.items())
        rows = [
            (id, held.token, self.ref.records[id].attempt, outcome, kind)
            for (id, held), (outcome, kind) in zip(held, ends, strict=False)
        ]
        self._finish(name, rows)

    @precondition(lambda self: self.past)
    @rule(nth=st.integers(0, 20), other=st.booleans(), twice=st.booleans(), outcome=st.sampled_from(OUTCOMES))
    def finish_late(self, nth: int, other: bool, twice: bool, outcome: str) -> None:
        """One of the latest attempts, ended or not; by its own worker, or by one whose it is not."""
        name, id, token, attempt = self.past[-1 - nth % len(self.past)]
        row = (id, token, attempt, outcome, 1)
        self._finish(self.incarnations[nth % 3] if other else name, [row, row] if twice else [row])

    @precondition(lambda self: self.past)
    @rule(nth=st.integers(0, 8), other=st.booleans(), numbers=st.lists(st.integers(1, 4), min_size=1, max_size=3))
    def say(self, nth: int, other: bool, numbers: list[int]) -> None:
        """One of the latest attempts speaks, ended or not, maybe again; by its own worker, or by another."""
        name, id, token, _ = self.past[-1 - nth % len(self.past)]
        name = self.incarnations[nth % 3] if other else name
        words = [Words(id, token, number, None, 0, f"{token} {number}".encode()) for number in numbers]
        keys, args = self.driver.store.claims._say(name, words, 1 << 20)
        self._tick()
        said = self.driver.run(scripts.SAY, args, keys)
        meant = [self.ref.say(name, id, token, number, f"{token} {number}") for number in numbers]
        self._compare([reply.decode() for reply in said], meant)

    @precondition(lambda self: self.ref.running())
    @rule(nth=NTH, back=st.integers(1, 3), outcome=st.sampled_from(OUTCOMES))
    def finish_an_earlier_attempt(self, nth: int, back: int, outcome: str) -> None:
        """Of a job that runs again: by the worker that has it now."""
        holders = [(name, id) for name, worker in self.ref.workers.items() for id in worker.held]
        name, id = holders[nth % len(holders)]
        attempts = [(token, attempt) for _, known, token, attempt in self.past if known == id]
        token, attempt = attempts[-1 - min(back, len(attempts) - 1)]
        self._finish(name, [(id, token, attempt, outcome, 1)])

    @precondition(lambda self: self.ref.running())
    @rule(nth=NTH, outcome=st.sampled_from(["died", "died", "release", "retry"]))
    def hand_back(self, nth: int, outcome: str) -> None:
        """All that a worker holds."""
        names = [name for name, worker in self.ref.workers.items() if worker.held]
        name = names[nth % len(names)]
        held = self.ref.workers[name].held.items()
        self._finish(name, [(id, held.token, self.ref.records[id].attempt, outcome, 0) for id, held in held])

    @precondition(lambda self: self.ref.running())
    @rule(nth=NTH)
    def cancel_a_running_one(self, nth: int) -> None:
        running = list(self.ref.running())
        self.cancel(running[nth % len(running)], "")

    @rule(nth=st.integers(0, 2), lists=st.sampled_from(["all", "none", "first", "foreign"]), late=st.booleans())
    def renew(self, nth: int, lists: str, late: bool) -> None:
        name = self.incarnations[nth]
        worker = self.ref.workers.get(name)
        tokens = [held.token for held in worker.held.values()] if worker else []
        tokens = {"none": [], "first": tokens[:1], "foreign": [*tokens, "1-foreign-0"]}.get(lists, tokens)
        acknowledged = len(self.claims[name]) - late
        exact = self._tick()
        renewed = self.driver.leases.renew(name, acknowledged, tokens)
        said = "gone" if renewed.gone else set(renewed.lost)
        self._compare(said, self.ref.renew(name, acknowledged, tokens, exact))

    @precondition(lambda self: self.ref.workers)
    @rule(nth=NTH, how=st.sampled_from(["died", "died", "leaves", "moved"]))
    def reap(self, nth: int, how: str) -> None:
        names = list(self.ref.workers)
        name = names[nth % len(names)]
        exact, sequence = self._tick(), self.ref.workers[name].sequence
        if how == "leaves":
            self.driver.leases.leave(name)
            self.ref.reap(name, None, exact)
            return self._compare(None, None)
        seen = sequence + (how == "moved")
        said = self.driver.leases.reap(name, f"{seen} 10000")
        return self._compare("moved" if said is None else said, self.ref.reap(name, seen, exact))

    @rule()
    def expire(self) -> None:
        now = int(self._tick())
        self._compare(self.driver.leases.expire(KEEP_MS), self.ref.expire(EXPIRED, now))

    @rule()
    def sweep(self) -> None:
        now = int(self._tick())
        self._compare(self.driver.leases.sweep(), self.ref.sweep(now))

    # What operators do, and starts of workers.

    @rule(cap=st.integers(0, 4), restore=st.booleans())
    def configure(self, cap: int, restore: bool) -> None:
        now, how = int(self._tick()), "restore" if restore else "set"
        said = self.driver.run(scripts.CONFIGURE, [cap, how, "test", ""])
        self._compare(said, steering.configure(self.ref, cap, restore, now))

    @rule(
        algorithm=st.sampled_from(["", "", "A", "B"]), cap=COUNTS, ttl=st.sampled_from([None, 500, 5_000, 100_000])
    )
    def resize(self, algorithm: str, cap: int | None, ttl: int | None) -> None:
        now, args = int(self._tick()), [algorithm, "" if cap is None else cap, "why", "test", ttl or "", ""]
        said = self.driver.run(scripts.RESIZE, args)
        self._compare(said.decode(), steering.resize(self.ref, algorithm, cap, ttl, now))

    @rule()
    def revert(self) -> None:
        now = int(self._tick())
        self._compare(self.driver.leases.revert(), steering.revert(self.ref, now))

    @rule(
        algorithm=ALGORITHMS, cap=st.sampled_from([None, None, None, 0, 1, 2]), rate=st.sampled_from([None, 1, 2])
    )
    def publish(self, algorithm: str, cap: int | None, rate: int | None) -> None:
        row = [algorithm, "{}", "" if cap is None else cap, f"{rate} {WINDOW}" if rate else ""]
        now = int(self._tick())
        said = self.driver.run(scripts.PUBLISH, ["test", "", *row])
        steering.publish(self.ref, algorithm, cap, (rate, WINDOW) if rate else None, now)
        self._compare(said, b"ok")

    @rule(nth=st.integers(0, 2), what=st.sampled_from([steering.drain, steering.resume, steering.resume]))
    def drain_or_resume(self, nth: int, what: Any) -> None:
        name, now = self.incarnations[nth], int(self._tick())
        said = self.driver.run(scripts.DRAIN, [name, what.__name__, ""])
        self._compare(said, what(self.ref, name, now))

    # Who listens to all of it.

    @rule()
    def listen(self) -> None:
        now = int(self._tick())
        _, at, told = self.driver.run(scripts.LISTEN, [KEEP_MS, ""])
        self.telling.begin()
        self._compare((at, tuple(map(int, told.split()))), (now, numbers(self.ref, now)))

    @precondition(lambda self: self.telling.entries is not None)
    @rule(really=st.sampled_from([False, False, True]))
    def listen_no_more(self, really: bool) -> None:
        if really:
            self.telling.entries = None
            self._plain(("DEL", self.driver.store.keys.moves))

    # What time does.

    @rule(ms=st.sampled_from([5, 20, 300, 1_000, 2_000, 10_000, 90_000, KEEP_MS, 700_000_000, -3_600_000]))
    def wait(self, ms: int) -> None:
        """Or the server's clock is set back by an hour."""
        self.clock = max(BEGINNING, self.clock + ms)

    @precondition(lambda self: any(self.clock < score < HIDDEN for score in self.ref.queue.values()))
    @rule()
    def wait_for_the_next(self) -> None:
        self.clock = int(min(score for score in self.ref.queue.values() if self.clock < score < HIDDEN))

    @rule(id=ANY)
    def forget(self, id: str) -> None:
        """The TTLs of what is left of a job run out; of a stock client's waiting job, its payload's."""
        ref = self.ref
        gone = [PAYLOAD + id] if id in ref.mortal and ref.payloads.pop(id, None) else []
        record = ref.records.get(id)
        if record and record.state in TERMINAL and id not in ref.lasting:
            ref.records.pop(id)
            ref.results.pop(id, None)
            gone += [RECORD + id, RESULT + id, SAID + id]
            ref.said.pop(id, None)
        if ref.marks.get(id) == "done":
            del ref.marks[id]
            gone.append(IN_PROGRESS + id)
        if gone:
            self._plain(("DEL", *gone), ended=frozenset({id}))

    @precondition(lambda self: any(record.state in TERMINAL for record in self.ref.records.values()))
    @rule(how=st.sampled_from(["not yet", "not yet", "not yet", "unheard", "swept"]))
    def forget_all(self, how: str) -> None:
        """As `forget`, of each that has ended; and the lists hear of it, or not yet."""
        if how == "not yet":
            return
        for id in [id for id, record in self.ref.records.items() if record.state in TERMINAL]:
            self.forget(id)
        self.clock += KEEP_MS
        if how == "swept":
            self.sweep()

    @precondition(lambda self: any(id not in self.ref.marks for id in self.ref.queue))
    @rule(nth=NTH, has=st.booleans())
    def stock_worker(self, nth: int, has: bool) -> None:
        """A stock worker on the same queue takes a job, or is done with it. One at a time: its marks are alike."""
        for id in self.with_stock_worker:
            self.with_stock_worker = set()
            self.ref.marks.pop(id, None)
            return self._plain(("DEL", IN_PROGRESS + id))
        waiting = sorted(id for id in self.ref.queue if id not in self.ref.marks)
        id = waiting[nth % len(waiting)]
        if has and id.startswith("s"):
            self.ref.marks[id], self.with_stock_worker = "1", {id}
            self._plain(("SET", IN_PROGRESS + id, "1"))
        return None

    def teardown(self) -> None:
        """The log alone tells who runs."""
        running: set[str] = set()
        for entry in self.driver.whole_log():
            ids = set(json.loads(entry["ids"]))
            running = running | ids if entry["move"] == "claim" else running - ids
            assert len(running) == int(entry["running"]), entry
        assert running == self.ref.running().keys()


def _answer(reply: Any) -> Answer:
    return Answer(
        float(reply[1]) if reply[1] else None,
        reply[2],
        {id.decode() for id in reply[3]},
        [
            (id.decode(), token.decode(), attempt, float(score), notice.decode(), payload.decode())
            for id, token, attempt, score, notice, payload, *_ in reply[4]
        ],
    )
