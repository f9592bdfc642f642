"""GET /metrics: the numbers of the whole fleet, from any front end."""

from __future__ import annotations

from httpx2 import AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from slotwise import wire
from slotwise.store import Store
from tests.service.conftest import Connect
from tests.service.stand_in import StandInWorker

Samples = dict[tuple[str, ...], float]


async def scraped(client: AsyncClient) -> Samples:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def submitted(client: AsyncClient, count: int) -> list[str]:
    answers = [await client.post("/jobs", json={"algorithm": "Rest"}) for _ in range(count)]
    return [answer.json()["job_id"] for answer in answers]


async def test_what_became_of_jobs_is_counted_once(client: AsyncClient, worker: StandInWorker) -> None:
    *_, waiting = await submitted(client, 4)
    first, second, third = await worker.claim(3)
    await worker.finish(first)
    await worker.finish(second, error={"type": "exception", "message": "no", "detail": None})
    await client.post(f"/jobs/{waiting}/cancel")
    samples = await scraped(client)
    assert samples["jobs_created_total", "Rest"] == 4
    assert {
        key[2]: value for key, value in samples.items() if key[0] == "jobs_completed_total" and key[1] == "Rest"
    } == {"completed": 1, "failed": 1, "cancelled": 1}
    assert samples["job_execution_duration_seconds_count", "Rest"] == 2
    assert samples["job_execution_duration_seconds_bucket", "Rest", "+Inf"] == 2
    assert samples[("job_queue_wait_seconds_count",)] == 3
    assert samples[("job_pickup_latency_seconds_count",)] == 3
    assert 0 < samples[("job_pickup_latency_seconds_sum",)] <= samples[("job_queue_wait_seconds_sum",)] + 0.001
    assert abs(samples[("idle_slot_seconds_total",)] - samples[("job_pickup_latency_seconds_sum",)]) < 0.01
    gauges = {name[0]: value for name, value in samples.items() if len(name) == 1}
    assert (gauges["jobs_max_concurrent"], gauges["jobs_running"], gauges["jobs_available_slots"]) == (10, 1, 9)
    assert (gauges["jobs_pending"], gauges["workers_alive"], gauges["store_up"]) == (0, 1, 1)
    await worker.finish(third)


async def test_a_late_finish_is_counted(client: AsyncClient, worker: StandInWorker, store: Store) -> None:
    (job_id,) = await submitted(client, 1)
    (grant,) = await worker.claim()
    worker.leave()
    for _ in range(2):
        assert await store.claims.finish(worker.incarnation, [worker.done(grant)]) == ["stale"]
    assert (await scraped(client))[("stale_finishes_total",)] == 2
    await store.cancel(job_id, keep_ms=60_000)


async def test_a_dead_worker_is_counted_and_one_that_left_is_not(
    client: AsyncClient, worker: StandInWorker
) -> None:
    worker.leave()
    assert (await scraped(client))[("job_leases_expired_total",)] == 0
    worker.enlist(["Rest"])
    worker.die()
    assert (await scraped(client))[("job_leases_expired_total",)] == 1


async def test_names_that_nobody_serves_are_no_labels(
    client: AsyncClient, store: Store, worker: StandInWorker
) -> None:
    """Ten made-up functions of stock jobs; the one that is cancelled while it waits was created all the same."""
    for n in range(10):
        await store.redis.set(
            f"arq:job:s{n}", wire.serialize({"t": None, "f": f"made_up_{n}", "a": (), "k": {}, "et": 1})
        )
        await store.redis.zadd(store.keys.queue, {f"s{n}": 1 + n})
    assert (await client.post("/jobs/s9/cancel")).status_code == 200
    for grant in await worker.claim(9):
        await worker.finish(grant, error={"type": "algorithm_not_found", "message": "no", "detail": None})
    samples = await scraped(client)
    assert {name: count for name, count in samples.items() if name[0].startswith("jobs_c")} == {
        ("jobs_created_total", ""): 10,
        ("jobs_completed_total", "", "cancelled"): 1,
        ("jobs_completed_total", "", "failed"): 9,
    }
    assert not [field for field in await store.redis.hkeys(store.keys.counts) if b"made_up" in field]
    assert not [field for field in await store.redis.hkeys(store.keys.pace) if b"made_up" in field]


async def test_every_front_end_tells_the_same(
    client: AsyncClient, connect: Connect, worker: StandInWorker
) -> None:
    await submitted(client, 2)
    (grant,) = await worker.claim()
    async with connect() as another:
        seen = [await scraped(each) for each in (client, another)]
    moving = ("jobs_oldest_pending_seconds",)
    assert [{name: count for name, count in each.items() if name != moving} for each in seen] == [
        {name: count for name, count in seen[0].items() if name != moving}
    ] * 2
    assert seen[0][moving] > 0
    await worker.finish(grant)


async def test_a_scrape_costs_the_same_however_many_wait(client: AsyncClient, store: Store) -> None:
    async def once() -> int:
        before = await store.redis.info("commandstats")
        await scraped(client)
        after = await store.redis.info("commandstats")
        names = ("cmdstat_hgetall", "cmdstat_hmget", "cmdstat_hget", "cmdstat_zrange", "cmdstat_zcard")
        return sum(after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in names)

    async def commands() -> int:
        return min([await once() for _ in range(8)])  # without what the front end does besides

    await submitted(client, 1)
    few = await commands()
    for _ in range(3):
        assert (await client.post("/jobs/batch", json={"jobs": [{"algorithm": "Rest"}] * 100})).status_code == 202
    assert await commands() == few


async def test_before_anything_happened(client: AsyncClient) -> None:
    samples = await scraped(client)
    assert samples[("job_queue_wait_seconds_count",)] == 0
    assert samples[("idle_slot_seconds_total",)] == 0


async def test_while_the_store_is_away(connect: Connect) -> None:
    async with connect("redis://127.0.0.1:1") as client:
        assert await scraped(client) == {("store_up",): 0}
