"""GET /events: every move of every job, in order and exactly once, with the slots as they are at each place."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from httpx2 import AsyncClient

from service import broadcast as broadcasting
from service.broadcast import Broadcast
from service.fleet_events import EventStream
from service.position import Position
from slotwise.entry import StreamId
from slotwise.moves import KEEP_SECONDS
from slotwise.steering import Steering
from slotwise.store import Store
from tests.facts import wait_for, wait_until
from tests.fleet import Fleet
from tests.hand import submitted
from tests.servers import Server
from tests.service.listener import Heard, Listener, parsed
from tests.service.stand_in import StandInWorker

FAILURE = {"type": "timeout", "message": "no", "detail": None}
CAP = 10


@pytest.fixture
async def door(store: Store) -> AsyncIterator[Broadcast]:
    """A front end's, with somebody who listens."""
    door = Broadcast(store.moves())
    await door.enter()
    yield door
    await door.leave()


class Ear:
    """Listens to a front end, from a place on."""

    def __init__(self, events: AsyncGenerator[bytes]) -> None:
        self._events = events
        self.heard: list[Heard] = []

    @classmethod
    async def at(cls, door: Broadcast, last: str = "") -> Ear:
        position = Position.parse(last, "") if last else None
        return cls(door.follow(position, await door.start()))

    async def until(self, jobs: int, others: int = 0) -> list[Heard]:
        """All that was heard, when there are so many `job` events, and so many others at least."""
        while len(self.jobs) < jobs or len(self.heard) - len(self.jobs) < others:
            async with asyncio.timeout(30):
                chunk = await anext(self._events)
            self.heard += parsed(chunk.decode().split("\n"))
        assert len(self.jobs) == jobs, self.jobs
        return self.heard

    @property
    def jobs(self) -> list[Heard]:
        return [event for event in self.heard if event.name == "job"]

    @property
    def slots(self) -> list[tuple[int, int, int, int]]:
        return [numbers(event) for event in self.heard if event.name == "slots"]

    async def close(self) -> None:
        await self._events.aclose()


def numbers(event: Heard) -> tuple[int, int, int, int]:
    names = ("max_concurrent", "available_slots", "running_jobs", "pending_jobs")
    assert event.data.keys() == {*names, "at"}
    cap, available, running, pending = (event.data[name] for name in names)
    return cap, available, running, pending


def moves(events: list[Heard]) -> list[tuple[Any, ...]]:
    names = ("status", "reason", "attempt", "error_type")
    return [tuple(event.data[name] for name in names) for event in events if event.name == "job"]


async def test_every_move_of_a_job_in_order(
    client: AsyncClient, store: Store, worker: StandInWorker, door: Broadcast
) -> None:
    ear = await Ear.at(door)
    await ear.until(0, 1)
    job_id = (await client.post("/jobs", json={"algorithm": "Rest", "max_attempts": 3})).json()["job_id"]
    [grant] = await worker.claim()
    done = worker.done(grant, error=FAILURE)
    done.outcome, done.envelope, done.attempt = "retry", b"", 1
    await store.claims.finish(worker.incarnation, [done])
    [grant] = await worker.claim()
    await worker.finish(grant, error=FAILURE, attempt=2)
    await client.post(f"/jobs/{job_id}/retry")
    [grant] = await worker.claim()
    worker.die()
    worker.enlist(["PrimeChecker", "Rest"])
    await client.post(f"/jobs/{job_id}/cancel")
    await client.delete(f"/jobs/{job_id}")
    events = await ear.until(10)
    assert moves(events) == [
        ("pending", "queued", 0, None),
        ("running", None, 1, None),
        ("pending", "retrying", 1, None),
        ("running", None, 2, None),
        ("failed", None, 2, "timeout"),
        ("pending", "queued", 0, None),
        ("running", None, 1, None),
        ("pending", "queued", 0, None),
        ("cancelled", None, 0, None),
        ("erased", None, 0, None),
    ]
    assert {(event.data["job_id"], event.data["algorithm"]) for event in ear.jobs} == {(job_id, "Rest")}
    assert (ear.slots[0], ear.slots[-1]) == ((CAP, CAP, 0, 0), (CAP, CAP, 0, 0))
    assert events[0].name == "slots"
    assert all(event.data["at"].endswith("Z") for event in events)
    await ear.close()


async def test_the_slots_are_told_when_the_cap_changes(store: Store, door: Broadcast) -> None:
    await submitted(store, 3)
    await submitted(store, 2, due_ms=4_000_000_000_000)
    ear, steering = await Ear.at(door), Steering(store.redis, store.keys)
    await ear.until(0, 1)
    await steering.resize(2, by="test")
    await ear.until(0, 2)
    await steering.resize(None, by="test")
    await ear.until(0, 3)
    assert ear.slots == [(10, 10, 0, 3), (2, 2, 0, 3), (10, 10, 0, 3)]
    await ear.close()


async def test_goes_on_behind_every_event_at_any_front_end(
    store: Store, worker: StandInWorker, door: Broadcast
) -> None:
    ear = await Ear.at(door)
    await ear.until(0, 1)
    await submitted(store, 3, algorithm="Rest")
    for grant in await worker.claim(3):
        await worker.finish(grant)
    whole = await ear.until(9)
    other = Broadcast(store.moves())
    await other.enter()
    for at, event in enumerate(whole):
        again = await Ear.at(other, event.id)
        left = sum(later.name == "job" for later in whole[at + 1 :])
        await again.until(left)
        rest = [(each.id, each.data) for each in again.jobs]
        assert rest == [(each.id, each.data) for each in whole[at + 1 :] if each.name == "job"], event
        assert not any(each.name == "reset" for each in again.heard)
        await again.close()
    last = await Ear.at(other, whole[-1].id)
    await submitted(store)
    assert moves(await last.until(1)) == [("pending", "queued", 0, None)], "nothing came before it"
    await last.close()
    await other.leave()
    await ear.close()


async def test_a_batch_is_told_whole_and_goes_on_in_its_middle(
    client: AsyncClient, store: Store, door: Broadcast
) -> None:
    ear = await Ear.at(door)
    batch = {"jobs": [{"algorithm": "Rest"}] * 100}
    made = [job["job_id"] for job in (await client.post("/jobs/batch", json=batch)).json()["jobs"]]
    heard = await ear.until(100, 2)
    assert [event.data["job_id"] for event in ear.jobs] == made
    assert ear.slots == [(CAP, CAP, 0, 0), (CAP, CAP, 0, 100)], "once, behind all of them"
    assert heard[-1].name == "slots"
    again = await Ear.at(door, ear.jobs[29].id)
    await again.until(70, 1)
    assert [event.data["job_id"] for event in again.jobs] == made[30:]
    await again.close()
    await ear.close()


async def test_what_is_not_kept_any_more_is_a_reset_with_the_slots(store: Store, door: Broadcast) -> None:
    ear = await Ear.at(door)
    (begun,) = await ear.until(0, 1)
    await submitted(store, 2)
    await ear.until(2)
    await store.redis.xtrim(store.keys.moves, maxlen=1, approximate=False)
    for last in (begun.id, "1-1", "9999999999999-0", "9" * 19 + "-" + "9" * 19 + ".3"):
        late = await Ear.at(door, last)
        reset, slots = await late.until(0, 2)
        assert (reset.name, reset.id, slots.name, numbers(slots)) == ("reset", "", "slots", (CAP, CAP, 0, 2))
        await late.close()
    await store.redis.delete(store.keys.moves)  # as an eviction does, or a server that comes back empty
    await ear.until(2, 4)
    assert [event.name for event in ear.heard[-2:]] == ["reset", "slots"]
    await submitted(store)
    await ear.until(3)
    async with store.redis.pipeline(transaction=True) as pipeline:  # as a server does whose clock was set back
        pipeline.delete(store.keys.moves)
        pipeline.xadd(store.keys.moves, {"at": 1}, id="5-1")
        await pipeline.execute()
    await ear.until(3, len(ear.heard) - 3 + 2)
    assert [event.name for event in ear.heard[-2:]] == ["reset", "slots"]
    await ear.close()


async def test_one_that_does_not_read_costs_nothing_and_misses_nothing(
    store: Store, door: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.ring.STEPS", 5)
    monkeypatch.setattr("service.ring.AT_ONCE", 2)
    monkeypatch.setattr("slotwise.moves.PAGE", 3)
    slow, quick = await Ear.at(door), await Ear.at(door)
    await slow.until(0, 1)
    made = []
    for count in range(1, 41):
        made += await submitted(store)
        await quick.until(count)
    assert len(door._ring._told) < 10
    await slow.until(40)
    assert [event.data["job_id"] for event in slow.jobs] == made
    assert len(slow.slots) < 40, "of steps that are told together, the slots are told once"
    await store.redis.xtrim(store.keys.moves, maxlen=1, approximate=False)
    await submitted(store)
    await slow.until(41)
    for each in (slow, quick):
        await each.close()


async def test_what_others_write_into_it_takes_nothing_away(store: Store, door: Broadcast) -> None:
    ear = await Ear.at(door)
    await ear.until(0, 1)
    made = await submitted(store)
    damaged = {"at": 1, "1": "running  x  0 a", "2": "running  1  1 Ab", "slots": "1 1 1"}
    for entry in ({"x": "y"}, damaged, {"at": "x"}, {"at": 1, "slots": "1 2"}):
        await store.redis.xadd(store.keys.moves, entry)
    made += await submitted(store)
    await ear.until(3)
    assert [event.data["job_id"] for event in ear.jobs] == [made[0], "b", made[1]]
    assert not any(event.name == "reset" for event in ear.heard)
    await ear.close()


async def test_many_listeners_are_one_reader(store: Store, door: Broadcast) -> None:
    ears = [await Ear.at(door) for _ in range(50)]
    await asyncio.gather(*(ear.until(0, 1) for ear in ears))
    listening = [asyncio.ensure_future(ear.until(1)) for ear in ears]

    async def readers() -> int:
        return sum(each["cmd"] == "xread" for each in await store.redis.client_list())

    await wait_for(lambda: all(not task.done() for task in listening) and readers(), what="a reader")
    assert await readers() <= 1
    await submitted(store)
    await asyncio.gather(*listening)
    for ear in ears:
        await ear.close()


async def test_nothing_is_written_for_nobody(store: Store, worker: StandInWorker) -> None:
    await submitted(store, algorithm="Rest")
    [grant] = await worker.claim()
    await worker.finish(grant)
    assert not await store.redis.exists(store.keys.moves)


async def test_the_stream_is_bounded_and_goes_by_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    door = Broadcast(store.moves())
    await door.start()
    assert 0 < await store.redis.pttl(store.keys.moves) <= KEEP_SECONDS * 1000
    async with store.redis.pipeline(transaction=False) as pipeline:
        for _ in range(12_000):
            pipeline.xadd(store.keys.moves, {"at": 1})
        await pipeline.execute()
    await submitted(store)
    assert await store.redis.xlen(store.keys.moves) <= 10_200

    async def kept() -> bool:
        return int(await store.redis.pttl(store.keys.moves)) > 100_000

    monkeypatch.setattr(broadcasting, "KEEP_AGAIN_SECONDS", 0)
    await door.enter()
    await wait_for(lambda: door._ring.start, what="it is read")
    await store.redis.pexpire(store.keys.moves, 100_000)
    await wait_for(kept, what="its time is put off by one who listens")
    await door.leave()


async def test_a_stop_ends_a_stream_at_once(door: Broadcast) -> None:
    ear = await Ear.at(door)
    await ear.until(0, 1)
    ending = asyncio.ensure_future(anext(ear._events, None))
    await asyncio.sleep(0)
    door.stop()
    async with asyncio.timeout(30):
        assert await ending is None


async def test_goes_on_after_the_store_was_away(own_server: Server) -> None:
    store = await Store.connect(own_server.url)
    door = Broadcast(store.moves())
    await door.enter()
    ear = await Ear.at(door)
    made = await submitted(store)
    await ear.until(1)
    await asyncio.to_thread(own_server.kill)
    waiting = asyncio.ensure_future(ear.until(2))
    await asyncio.to_thread(own_server.start)
    made += await submitted(store)
    await waiting
    assert [event.data["job_id"] for event in ear.jobs] == made
    assert not any(event.name == "reset" for event in ear.heard)
    await ear.close()
    await door.leave()
    await store.close()


@pytest.mark.parametrize("last", ["x", "1", "1-", "1-1.", "-1-1", "1-1 1", "1" * 20 + "-1", "1-٣", "1-1.1.1"])
async def test_a_last_event_id_that_is_none(client: AsyncClient, last: str) -> None:
    answer = await client.get("/events", headers={"Last-Event-ID": last.encode()})  # type: ignore[dict-item]
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert "Last-Event-ID" in answer.json()["detail"]


async def test_what_is_refused(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = await client.get("/events", headers={"Accept": "application/json"})
    assert (odd.status_code, odd.json()["type"]) == (406, "/problems/not-acceptable")
    query = await client.get("/events?from=1")
    assert (query.status_code, query.json()["errors"][0]["pointer"]) == (422, "?from")
    assert (await client.post("/events")).status_code == 405
    head = await client.head("/events")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    monkeypatch.setattr(broadcasting, "MOST", 0)
    full = await client.get("/events")
    assert (full.status_code, full.json()["type"]) == (503, "/problems/too-many-listeners")


async def test_a_quiet_stream_is_kept_alive(door: Broadcast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.stream.PING_SECONDS", 0.05)
    stream = EventStream(door, door.follow(None, await door.start()))
    sent, hung_up = bytearray(), asyncio.Event()

    async def send(message: Any) -> None:
        sent.extend(message.get("body", b""))
        if b"\n: ping\n\n" in sent:
            hung_up.set()

    async def receive() -> dict[str, Any]:
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async with asyncio.timeout(10):
        await stream({"type": "http", "method": "GET"}, receive, send)


JOBS = 300
LEGAL = {("pending", "running"), ("running", "completed"), ("running", "pending")}  # the last: a lease was lost


@pytest.mark.slow
def test_under_load_through_the_death_of_a_front_end(fleet: Fleet) -> None:
    """Two front ends, two workers: what is told is what happened, none of it lost or doubled."""
    fleet.settings["MAX_CONCURRENT_JOBS"] = "4"
    front, doomed = fleet.front(), fleet.processes[-1]
    other, last = fleet.front(), fleet.processes[-1]
    for _ in range(2):
        fleet.worker()
    _submit(front, 50)  # before anybody listens: they are in no one's stream from their beginning
    through, beside = Listener(front, ""), Listener(other, "")
    through.until(1)
    _submit(other, JOBS // 2)
    through.until(JOBS // 3)
    doomed.kill(signal.SIGKILL)
    through.join(30)
    _submit(other, JOBS // 2)
    anew = fleet.front()
    again = Listener(anew, "", through.events[-1].id)
    wait_until(lambda: _completed(other) == JOBS + 50, within=60, what="all jobs have ended")
    for listener in (again, beside):
        wait_until(lambda each=listener: _is_idle(each.events), within=20, what="all is told")

    heard = through.events + again.events
    assert not any(event.name == "reset" for event in heard + beside.events)
    first = max(_step(_jobs(events)[0]) for events in (heard, beside.events))
    alike = [[event for event in _jobs(events) if _step(event) >= first] for events in (heard, beside.events)]
    assert alike[0] == alike[1], "every front end tells the same"
    for events in (heard, beside.events):
        ids = [event.id for event in _jobs(events)]
        assert len(ids) == len(set(ids)), "one was told twice"
        courses = defaultdict(list)
        for event in _jobs(events):
            courses[event.data["job_id"]].append(event.data["status"])
        assert sum(course[0] == "pending" for course in courses.values()) >= JOBS
        assert {course[-1] for course in courses.values()} == {"completed"}
        steps = {step for course in courses.values() for step in pairwise(course)}
        assert steps <= LEGAL, "a move was lost"
        slots = [numbers(event) for event in events if event.name == "slots"]
        assert all(running <= cap == 4 and free == cap - running for cap, free, running, _ in slots)

    last.kill(signal.SIGTERM)
    assert last.wait(20) in (0, -signal.SIGTERM)
    beside.end()
    assert not beside.broke, "the stream was ended, not cut"
    assert not {"ERROR", "Traceback"} & set(last.said().replace(":", " ").split())


def _submit(front: httpx2.Client, count: int) -> None:
    for _ in range(0, count, 50):
        jobs = [{"algorithm": "Add", "params": {"a": 1, "b": 1}}] * 50
        assert front.post("/jobs/batch", json={"jobs": jobs}).status_code == 202


def _jobs(events: list[Heard]) -> list[Heard]:
    return [event for event in events if event.name == "job"]


def _step(event: Heard) -> StreamId:
    return Position.parse(event.id, "").step


def _is_idle(events: list[Heard]) -> bool:
    return bool(events) and events[-1].name == "slots" and numbers(events[-1]) == (4, 4, 0, 0)


def _completed(front: httpx2.Client) -> int:
    return len(front.get("/jobs?status=completed&limit=500").json()["jobs"])
