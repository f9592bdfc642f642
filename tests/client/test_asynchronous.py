"""`AsyncClient` carries the same scripts out: each kind of them once, against a real front end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest

from slotwise import AsyncClient, Client, JobError
from slotwise.client import asynchronous, connection
from slotwise.client.problems import JobNotFound, Unreachable
from slotwise.settings import Settings
from tests.fleet import Fleet
from tests.proxy import Proxy
from tests.servers import free_port


def public(kind: type) -> dict[str, inspect.Signature]:
    return {name: inspect.signature(made) for name, made in vars(kind).items() if not name.startswith("_")}


def test_both_clients_have_the_same_methods() -> None:
    theirs, ours = public(AsyncClient), public(Client)
    assert theirs.pop("aclose").parameters == ours.pop("close").parameters
    assert {name: list(each.parameters.values()) for name, each in theirs.items()} == {
        name: list(each.parameters.values()) for name, each in ours.items()
    }
    assert inspect.signature(AsyncClient) == inspect.signature(Client)


@pytest.mark.slow
async def test_calls_waits_and_streams(fleet: Fleet) -> None:
    fleet.worker()
    first, second = (fleet.front().base_url.port for _ in range(2))
    assert first is not None and second is not None
    proxy = Proxy(first)
    async with AsyncClient(f"http://127.0.0.1:{proxy.port}") as client:
        jobs = await asyncio.gather(*(client.submit("Add", {"a": n, "b": 1}) for n in range(5)))
        results = await asyncio.gather(*(client.result(job.job_id, timeout=20) for job in jobs))
        assert results == [1, 2, 3, 4, 5]
        failed = await client.submit("Raises")
        with pytest.raises(JobError):
            await client.result(failed.job_id, timeout=20)
        await client.erase(failed.job_id)
        with pytest.raises(JobNotFound):
            await client.explain(failed.job_id)
        with pytest.raises(JobNotFound):
            await anext(client.events(failed.job_id))

        held = await client.submit("Hold", {"seconds": 60})
        events = client.events(held.job_id)
        assert [(await anext(events)).data["status"] for _ in range(2)] == ["pending", "running"]
        proxy.target = second
        proxy.drop()
        assert (await client.get(held.job_id)).worker
        await client.cancel(held.job_id)
        rest = [(event.name, event.data["status"]) async for event in events]
        slots = (await anext(client.events())).slots
        assert slots and slots.max_concurrent == 10
        assert rest == [("status", "cancelled"), ("end", "cancelled")]
        assert (await client.concurrency()).running_jobs == 0
    proxy.close()


async def test_nobody_is_there() -> None:
    async with AsyncClient(f"http://127.0.0.1:{free_port()}", retries=1) as client:
        with pytest.raises(Unreachable):
            await client.workers()
        with pytest.raises(Unreachable):
            await anext(client.events("a", patience=0.01))


BODY = b'{"job_id":"a","status":"completed"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@asynccontextmanager
async def service(held: Callable[[], Awaitable[object]]) -> AsyncIterator[str]:
    """The URL of one that holds back each answer until `held`."""

    links: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        links.append(asyncio.current_task())
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await held()
                writer.write(ANSWER)
        except asyncio.IncompleteReadError:
            writer.close()
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*filter(None, links))


def test_an_idle_connection_is_given_up_before_the_service_does() -> None:
    expiry = connection.LIMITS.keepalive_expiry
    assert expiry is not None
    assert expiry < Settings(_env_file=None).http_keep_alive_seconds


async def test_many_wait_at_once() -> None:
    """None is answered until all have asked."""
    asked, all_have = [0], asyncio.Event()

    async def held() -> None:
        asked[0] += 1
        if asked[0] == 150:
            all_have.set()
        await all_have.wait()

    async with service(held) as url, AsyncClient(url, timeout=5, retries=0) as client:
        jobs = await asyncio.gather(*(client.get("a", wait=30) for _ in range(150)))
        assert len(jobs) == 150


async def test_who_waits_for_a_connection_is_not_told_that_the_service_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asynchronous, "LIMITS", httpx2.Limits(max_connections=1))

    async def held() -> None:
        await asyncio.sleep(
            0.5
        )  # longer than the client's timeout, as a service holds back what was asked to wait

    async with service(held) as url, AsyncClient(url, timeout=0.2, retries=0) as client:
        jobs = await asyncio.gather(*(client.get("a", wait=30) for _ in range(2)))
        assert len(jobs) == 2
