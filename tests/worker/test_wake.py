"""What wakes a worker: the changes it is told of, and what it does where the server does not tell."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from slotwise import algorithm
from slotwise.keys import ABORT
from slotwise.store import Store
from tests.facts import wait_for
from tests.fleet import Fleet, ended, submit
from tests.proxy import Proxy
from tests.servers import Server
from worker import wake
from worker.wake import Wake, outermost


class Ear:
    """A wake and what it has said."""

    def __init__(self, url: str, *keys: str) -> None:
        self.heard: list[str] = []
        self.refused: list[ResponseError] = []
        self._redis = Redis.from_url(url)
        self._wake = Wake(self._redis, keys, self.heard.append, self.refused.append)

    async def __aenter__(self) -> Ear:
        self._wake.start()
        await wait_for(lambda: self.heard, what="it listens, or has been refused")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wake.stop()
        await self._redis.aclose()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.flushall()
    await client.aclose()


@pytest.mark.parametrize(
    ("prefixes", "left"),
    [
        (("arq:queue", "arq:abort"), ["arq:abort", "arq:queue"]),
        (("arq:abort", "arq:a"), ["arq:a"]),
        (("b", "ab", "abc", "abd", "a"), ["a", "b"]),
        (("same", "same"), ["same"]),
    ],
)
def test_only_the_outermost_prefix_is_asked_for(prefixes: tuple[str, ...], left: list[str]) -> None:
    assert outermost(prefixes) == left


@pytest.mark.parametrize("queue", ["arq:queue", "arq:a", "arq:abort:mine"])
async def test_a_queue_of_any_name_wakes(redis: Redis, redis_url: str, queue: str) -> None:
    async with Ear(redis_url, queue, ABORT) as ear:
        for key in (queue + "-another", queue, ABORT):
            await redis.zadd(key, {"x": 1})
        await wait_for(lambda: ABORT in ear.heard, what="the last change")
        assert ear.heard == ["", queue, ABORT]
        assert not ear.refused


async def test_a_start_that_declares_what_is_known_wakes_nobody(redis: Redis, redis_url: str) -> None:
    store = Store(redis)
    entries = [algorithm(name="A", max_concurrent=2, rate="9/day")(lambda: None).describe()]
    await store.publish(entries)
    async with Ear(redis_url, store.keys.limits, ABORT) as ear:
        await store.publish(entries)
        await redis.zadd(ABORT, {"x": 1})
        await wait_for(lambda: ABORT in ear.heard, what="the last change")
        assert ear.heard == ["", ABORT]


async def test_a_flushed_database_may_have_changed_anything(redis: Redis, redis_url: str) -> None:
    async with Ear(redis_url, "arq:queue") as ear:
        await redis.flushall()
        await wait_for(lambda: ear.heard == ["", ""], what="it is told")


async def test_a_link_that_says_nothing_any_more_is_left_for_another(
    redis: Redis, redis_url: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "QUIET_SECONDS", 0.2)
    proxy = Proxy(server.port)
    async with Ear(f"redis://127.0.0.1:{proxy.port}", "arq:queue") as ear:
        proxy.silence()
        await wait_for(lambda: len(ear.heard) > 2, what="a new link")
        await redis.zadd("arq:queue", {"x": 1})
        await wait_for(lambda: "arq:queue" in ear.heard, what="the change on the new link")
    proxy.close()


async def test_a_quiet_link_is_kept(redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "QUIET_SECONDS", 0.1)
    async with Ear(redis_url, "arq:queue") as ear:
        pings = await _calls(redis, "ping")
        await wait_for(lambda: _more_than(redis, "ping", pings + 3), what="it has asked thrice")
        assert ear.heard == [""]


async def _calls(redis: Redis, command: str) -> int:
    row = (await redis.info("commandstats")).get(f"cmdstat_{command}", {"calls": 0})
    return int(row["calls"])


async def _more_than(redis: Redis, command: str, calls: int) -> bool:
    return await _calls(redis, command) > calls


@pytest.mark.slow
def test_a_server_that_refuses_tracking_is_polled_and_that_is_said_once(fleet: Fleet, server: Server) -> None:
    fleet.redis.acl_setuser("limited", enabled=True, nopass=True, keys=["*"], channels=["*"])
    fleet.redis.execute_command("ACL", "SETUSER", "limited", "+@all", "-client|tracking")
    front = fleet.front()
    worker = fleet.worker(REDIS_URL=f"redis://limited:any@127.0.0.1:{server.port}")
    for number in range(3):
        assert ended(front, submit(front, "Add", a=number, b=1))["result"] == number + 1
    assert worker.said().count('"wake_refused"') == 1, worker.said()
    assert worker.alive
    worker.kill(signal.SIGTERM)  # while the user of its connections is there
    worker.wait()
    fleet.redis.acl_deluser("limited")
