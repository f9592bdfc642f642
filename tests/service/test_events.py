"""GET /jobs/{id}/events: in order, live, and exactly once from whichever place a client goes on."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from starlette.requests import ClientDisconnect

from service.events import Stream
from service.listening import Listening
from service.place import Place
from service.problems import TABLE
from service.tale import Event
from slotwise.attempt import Grant
from slotwise.job import Submission
from slotwise.sight import sight
from slotwise.store import Store
from slotwise.words import Words
from tests.fleet import Fleet, ended, submit
from tests.hand import news_are_read
from tests.servers import Server
from tests.service.listener import Heard, Listener, parsed, statuses, text_of
from tests.service.stand_in import StandInWorker

FAILURE = {"type": "exception", "message": "no", "detail": None}
EURO = "€".encode()


class Job:
    """A job of this test, and its worker's hands."""

    def __init__(self, store: Store, worker: StandInWorker, job_id: str) -> None:
        self.store = store
        self.worker = worker
        self.id = job_id
        self.grant: Grant | None = None
        self.number = 0

    async def begin(self) -> None:
        [self.grant] = await self.worker.claim()
        self.number = 0
        assert self.grant.id == self.id

    async def say(
        self, text: bytes = b"", percent: float | None = None, left_out: int = 0, keep: int = 65_536
    ) -> None:
        assert self.grant is not None
        self.number += 1
        progress = None if percent is None else (percent, f"at {percent:g}")
        words = Words(self.id, self.grant.token, self.number, progress, left_out, text)
        assert await self.store.claims.say(self.worker.incarnation, [words], keep) == ["ok"]

    async def end(self, error: dict[str, Any] | None = None) -> None:
        assert self.grant is not None
        await self.worker.finish(self.grant, error=error)

    async def fail_and_wait(self) -> None:
        assert self.grant is not None
        done = self.worker.done(self.grant, error=FAILURE)
        done.outcome, done.envelope, done.attempt = "retry", b"", self.grant.attempt
        assert await self.store.claims.finish(self.worker.incarnation, [done]) == ["ok"]


@pytest.fixture
async def job(client: AsyncClient, store: Store, worker: StandInWorker) -> Job:
    answer = await client.post("/jobs", json={"algorithm": "Rest"})
    return Job(store, worker, answer.json()["job_id"])


async def ask(client: AsyncClient, job_id: str, last: str = "", **headers: str) -> Response:
    given = {"Last-Event-ID": last, **headers} if last else headers
    return await client.get(f"/jobs/{job_id}/events", headers=given)


async def heard(client: AsyncClient, job_id: str, last: str = "") -> list[Heard]:
    """The whole stream of a job that has ended."""
    answer = await ask(client, job_id, last)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    return list(parsed(answer.text.split("\n")))


async def with_two_attempts(job: Job) -> None:
    await job.begin()
    await job.say(b"one " + EURO[:1], 10)
    await job.say(EURO[1:2])
    await job.say(EURO[2:] + b" two " + EURO[:2], 20)
    await job.fail_and_wait()
    await job.begin()
    await job.say(EURO[2:] + b"three\n", 50)
    await job.say(percent=60)
    await job.say(b"\xff end")
    await job.end()


async def test_the_course_of_a_job_in_order(client: AsyncClient, job: Job) -> None:
    await with_two_attempts(job)
    events = await heard(client, job.id)
    assert [(event.name, event.data.get("attempt")) for event in events] == [
        ("status", 0),
        ("status", 1),
        ("log", 1),
        ("progress", 1),
        ("log", 1),
        ("progress", 1),
        ("log", 1),
        ("status", 1),
        ("status", 2),
        ("log", 2),
        ("progress", 2),
        ("log", 2),
        ("status", 2),
        ("end", 2),
    ]
    assert statuses(events) == [("pending", 0), ("running", 1), ("pending", 1), ("running", 2), ("completed", 2)]
    assert events[7].data["reason"] == "retrying"
    texts = [event.data["text"] for event in events if event.name == "log"]
    assert texts == ["one ", "€ two ", "\ufffd", "\ufffdthree\n", "\ufffd end"]
    assert [event.data["at"] for event in events if event.name == "log"] == [0, 4, 12, 14, 21]
    assert [event.data["percent"] for event in events if event.name == "progress"] == [10, 20, 60]
    shown = events[-1].data
    assert (shown["status"], shown["urls"]["events"]) == ("completed", f"/jobs/{job.id}/events")
    assert not {"params", "result"} & set(shown)


async def test_goes_on_exactly_behind_any_event(client: AsyncClient, job: Job) -> None:
    await with_two_attempts(job)
    events = await heard(client, job.id)
    assert len({event.id for event in events}) == len(events)
    for at, event in enumerate(events[:-1]):
        assert await heard(client, job.id, event.id) == events[at + 1 :], event
    over = await ask(client, job.id, events[-1].id)
    assert (over.status_code, over.content) == (204, b"")


async def test_a_job_that_never_ran(client: AsyncClient, job: Job) -> None:
    await client.post(f"/jobs/{job.id}/cancel")
    events = await heard(client, job.id)
    assert [event.data["status"] for event in events] == ["pending", "cancelled", "cancelled"]
    assert [event.data["attempt"] for event in events] == [0, 0, 0]


async def test_output_that_was_cut_is_counted(client: AsyncClient, job: Job) -> None:
    await job.begin()
    await job.say(b"x" * 10_000, left_out=5, keep=1_000)
    await job.say(b"y" * 100, left_out=50, keep=1_000)
    await job.end()
    logs = [event.data for event in await heard(client, job.id) if event.name == "log"]
    assert [(each["at"], each["missing"], len(each["text"])) for each in logs] == [
        (8_197, 8_197, 1_808),
        (10_055, 50, 100),
    ]


async def test_more_words_than_one_look_reads(client: AsyncClient, job: Job) -> None:
    await job.begin()
    for number in range(40):
        await job.say(b"%d\n" % number)
    await job.fail_and_wait()
    await job.begin()
    await job.say(b"again\n")
    await job.end()
    events = await heard(client, job.id)
    assert text_of(events) == "".join(f"{number}\n" for number in range(40)) + "again\n"
    names = [event.name for event in events]
    assert names == ["status"] * 2 + ["log"] * 40 + ["status"] * 2 + ["log", "status", "end"]
    assert await heard(client, job.id, events[20].id) == events[21:]


async def test_another_life_is_told_from_its_start(client: AsyncClient, job: Job) -> None:
    await job.begin()
    await job.say(b"before\n")
    await job.end(error=FAILURE)
    before = await heard(client, job.id)
    assert (await client.post(f"/jobs/{job.id}/retry")).status_code == 202
    await job.begin()
    await job.say(b"after\n")
    await job.end()
    after = await heard(client, job.id)
    assert (statuses(after)[0], text_of(after)) == (("pending", 0), "after\n")
    for last in (before[2].id, before[-1].id):
        assert await heard(client, job.id, last) == after


@pytest.mark.parametrize(
    "last", ["1", "x", "1.0.1.0-0", "-1.0.1.0-0.0", "1.0.1.0-0.0 ", "1.0.1.0-0.0", "9" * 99, "1.0.٣.0-0.0"]
)
async def test_a_last_event_id_that_is_none_of_its_own(client: AsyncClient, job: Job, last: str) -> None:
    headers = {"Last-Event-ID": last.encode()}
    answer = await client.get(f"/jobs/{job.id}/events", headers=headers)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-request")
    assert "Last-Event-ID" in answer.json()["detail"]


async def test_what_is_refused(client: AsyncClient, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = await ask(client, "nobody")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/job-not-found")
    odd = await ask(client, job.id, Accept="application/json")
    assert (odd.status_code, odd.json()["type"]) == (406, "/problems/not-acceptable")
    query = await client.get(f"/jobs/{job.id}/events?from=1")
    assert (query.status_code, query.json()["errors"][0]["pointer"]) == (422, "?from")
    assert (await client.post(f"/jobs/{job.id}/events")).status_code == 405
    monkeypatch.setattr("service.listening.MOST", 0)
    full = await ask(client, job.id)
    assert (full.status_code, full.json()["type"]) == (503, "/problems/too-many-listeners")
    assert full.headers["Retry-After"] == "5"
    assert TABLE["too-many-listeners"][0] == 503


async def test_head_is_answered_at_once(client: AsyncClient, job: Job) -> None:
    answer = await client.head(f"/jobs/{job.id}/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


@pytest.fixture
async def listening(store: Store) -> AsyncIterator[Listening]:
    listening = Listening(store)
    await listening.enter()
    yield listening
    await listening.leave()


async def start(store: Store, job_id: str) -> Place:
    found = await sight(store, job_id)
    assert found is not None
    return Place.start(found.job)


async def next_of(events: AsyncIterator[Event]) -> tuple[str, Any]:
    async with asyncio.timeout(30):
        event = await anext(events)
    return event.name, event.data.get("status", event.data.get("text"))


async def test_one_that_does_not_read_misses_what_is_cut_and_is_told_so(listening: Listening, job: Job) -> None:
    """Nothing waits for it here: it finds what is kept when it reads again."""
    await job.begin()
    events = listening.follow(job.store, job.id, await start(job.store, job.id))
    assert [await next_of(events) for _ in range(2)] == [("status", "pending"), ("status", "running")]
    await job.say(b"begun\n")
    assert await next_of(events) == ("log", "begun\n")
    for _ in range(100):
        await job.say(b"x" * 8_192, keep=32_768)
    await job.end()
    rest = [event async for event in events]
    logs = [event.data for event in rest if event.name == "log"]
    assert sum(each["missing"] for each in logs) + sum(len(each["text"]) for each in logs) == 100 * 8_192
    assert len(logs) <= 5
    assert rest[-1].name == "end"


async def test_a_life_that_ends_unseen(listening: Listening, job: Job, client: AsyncClient) -> None:
    await job.begin()
    events = listening.follow(job.store, job.id, await start(job.store, job.id))
    assert [await next_of(events) for _ in range(2)] == [("status", "pending"), ("status", "running")]
    await job.end(error=FAILURE)
    await client.post(f"/jobs/{job.id}/retry")
    assert await next_of(events) == ("status", "pending")
    await client.post(f"/jobs/{job.id}/cancel")
    await client.delete(f"/jobs/{job.id}")
    assert [event async for event in events] == []


async def test_a_stop_ends_a_stream_at_once(
    listening: Listening, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.listening.LOOK_SECONDS", 600)
    events = listening.follow(job.store, job.id, await start(job.store, job.id))
    assert await next_of(events) == ("status", "pending")
    await news_are_read(job.store)  # so nothing else wakes it
    ending = asyncio.ensure_future(anext(events, None))
    await asyncio.sleep(0)
    listening.stop()
    async with asyncio.timeout(30):
        assert await ending is None


async def test_one_that_never_takes_what_is_sent_is_let_go(
    listening: Listening, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.stream.SEND_SECONDS", 0.05)
    stream = Stream(listening, listening.follow(job.store, job.id, await start(job.store, job.id)))
    never = asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await never.wait()

    with pytest.raises(ClientDisconnect):
        await stream({"type": "http", "method": "GET"}, never.wait, send)  # type: ignore[arg-type]
    monkeypatch.setattr("service.listening.MOST", 2)
    listening.check_room()


async def test_a_quiet_stream_is_kept_alive(
    listening: Listening, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.stream.PING_SECONDS", 0.05)
    stream = Stream(listening, listening.follow(job.store, job.id, await start(job.store, job.id)))
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


async def test_goes_on_after_the_store_was_away(own_server: Server) -> None:
    store = await Store.connect(own_server.url)
    worker = StandInWorker(store, own_server.client)
    worker.enlist(["Rest"])
    job = Job(store, worker, "ab" * 16)
    await store.submit([Submission(job.id, "Rest", {})], max_pending=10)
    listening = Listening(store)
    await listening.enter()
    events = listening.follow(store, job.id, await start(store, job.id))
    assert await next_of(events) == ("status", "pending")
    waiting = asyncio.ensure_future(next_of(events))
    await asyncio.to_thread(own_server.kill)
    await asyncio.to_thread(own_server.start)
    await job.begin()
    assert await waiting == ("status", "running")
    await job.end()
    assert [await next_of(events) for _ in range(2)] == [("status", "completed"), ("end", "completed")]
    await listening.leave()
    await store.close()


async def test_two_listeners_through_the_death_of_a_front_end_and_the_end_of_another(
    fleet: Fleet, store: Store, worker: StandInWorker
) -> None:
    front, process = fleet.front(), fleet.processes[-1]
    job = Job(store, worker, await asyncio.to_thread(submit, front, "Rest"))
    first, second = Listener(front, job.id), Listener(front, job.id)
    await job.begin()
    await job.say(b"one " + EURO[:1], 10)
    before = await asyncio.to_thread(first.until, 4)
    assert await asyncio.to_thread(second.until, 4) == before
    assert [event.name for event in before] == ["status", "status", "log", "progress"]

    process.kill(signal.SIGKILL)
    await asyncio.to_thread(first.end)
    await job.say(EURO[1:] + b" two", 20)
    other, process = await asyncio.to_thread(fleet.front), fleet.processes[-1]
    again, anew = Listener(other, job.id, before[-1].id), Listener(other, job.id)
    after = await asyncio.to_thread(again.until, 2)
    assert (text_of(before + after), len(after)) == ("one € two", 2)
    assert before + after == await asyncio.to_thread(anew.until, 6)

    process.kill(signal.SIGTERM)
    assert await asyncio.to_thread(process.wait, 20) in (0, -signal.SIGTERM)
    for each in (again, anew):
        await asyncio.to_thread(each.end)
        assert not each.broke, "the stream was ended, not cut"
    assert not {"ERROR", "Traceback"} & set(process.said().replace(":", " ").split())
    await job.end()


@pytest.mark.slow
def test_a_real_job_from_its_submit_to_its_end(fleet: Fleet) -> None:
    fleet.settings["ALGORITHMS"] = "tests.talkers"
    front = fleet.front()
    fleet.worker()
    job_id = submit(front, "Advance", steps=3, hold=2.0)
    listener = Listener(front, job_id)
    early = listener.until(3)
    assert statuses(early) == [("pending", 0), ("running", 1)]
    assert early[2].data == {"percent": 100.0, "message": "step 3", "attempt": 1}
    assert front.get(f"/jobs/{job_id}").json()["status"] == "running", "it is told while it runs"
    assert [event.name for event in listener.end()[3:]] == ["status", "end"]

    held = submit(front, "HeedCancel")
    listener = Listener(front, held)
    assert listener.until(3)[2].data["text"] == "waiting\n"
    front.post(f"/jobs/{held}/cancel")
    events = listener.end()
    assert statuses(events)[-1] == ("cancelled", 1)
    shown, found = events[-1].data, ended(front, held)
    assert shown == {name: value for name, value in found.items() if name not in ("params", "result")}
