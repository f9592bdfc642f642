"""`AsyncClient` carries the same scripts out: each kind of them once, against a real front end."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from slotwise import AsyncClient, Client, JobError
from slotwise.client.problems import JobNotFound, Unreachable
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
