"""Stock arq clients on our jobs, and a stock arq project under our worker."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.jobs import Job, JobStatus

from slotwise import JobError, wire
from tests.facts import wait_for, wait_until
from tests.fleet import ROOT, Fleet, ended, job, submit


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[ArqRedis]:
    pool = await create_pool(
        RedisSettings.from_dsn(redis_url), job_serializer=wire.serialize, job_deserializer=wire.deserialize
    )
    yield pool
    await pool.aclose()


def result_of(job: Job, within: float = 60) -> object:
    return job.result(timeout=within, poll_delay=0.02)


async def test_a_stock_client_enqueues_and_gets_its_result(fleet: Fleet, client: ArqRedis) -> None:
    front = fleet.front()
    queued = await client.enqueue_job("Add", a=1, b=2, _job_id="mine/1")
    assert queued is not None
    assert await queued.status() is JobStatus.queued
    seen = front.get("/jobs/mine%2F1").json()
    assert (seen["status"], seen["algorithm"], seen["params"]) == ("pending", "Add", {"a": 1, "b": 2})
    fleet.worker()
    assert await result_of(queued) == 3
    assert await queued.status() is JobStatus.complete
    info = await queued.result_info()
    assert info is not None
    assert (info.success, info.function, info.kwargs, info.job_try) == (True, "Add", {"a": 1, "b": 2}, 1)
    assert front.get("/jobs/mine%2F1").json()["result"] == 3
    assert await client.enqueue_job("Add", a=1, b=2, _job_id="mine/1") is None


async def test_a_stock_client_may_pass_positional_arguments(fleet: Fleet, client: ArqRedis) -> None:
    fleet.worker()
    queued = await client.enqueue_job("Add", 40, 2)
    assert queued is not None
    assert await result_of(queued) == 42


@pytest.mark.slow
async def test_a_stock_client_defers(fleet: Fleet, client: ArqRedis) -> None:
    front = fleet.front()
    fleet.worker()
    due = datetime.now(UTC) + timedelta(seconds=1)
    queued = await client.enqueue_job("Add", 1, 1, _defer_until=due)
    assert queued is not None
    assert await queued.status() is JobStatus.deferred
    assert job(front, queued.job_id)["reason"] == "scheduled"
    assert await result_of(queued) == 2
    info = await queued.result_info()
    assert info is not None
    assert info.start_time >= due - timedelta(milliseconds=2)


@pytest.mark.slow
async def test_a_stock_client_sees_http_jobs(fleet: Fleet, client: ArqRedis) -> None:
    front = fleet.front()
    fleet.worker(flags=("--burst",)).wait()  # its algorithms are known from now on
    job_id = submit(front, "Add", a=2, b=3)
    theirs = Job(job_id, client, _deserializer=wire.deserialize)
    assert await theirs.status() is JobStatus.queued
    info = await theirs.info()
    assert info is not None
    assert (info.function, info.kwargs) == ("Add", {"a": 2, "b": 3})
    fleet.worker()
    assert await result_of(theirs) == 5
    failing = Job(submit(front, "Raises", message="boom"), client, _deserializer=wire.deserialize)
    with pytest.raises(JobError, match="ValueError: boom"):
        await result_of(failing)


@pytest.mark.parametrize("algorithm", ["Hold", "HoldAsync"])
async def test_a_stock_client_aborts_running_and_waiting(fleet: Fleet, client: ArqRedis, algorithm: str) -> None:
    front = fleet.front(MAX_CONCURRENT_JOBS="1")
    worker = fleet.worker()
    running = Job(submit(front, algorithm, seconds=600), client, _deserializer=wire.deserialize)
    await wait_for(running.status, what="a status")
    wait_until(lambda: job(front, running.job_id)["status"] == "running", what="it runs")
    assert await running.status() is JobStatus.in_progress
    waiting = await client.enqueue_job(algorithm, 600.0)
    assert waiting is not None
    abort = asyncio.create_task(waiting.abort(timeout=20, poll_delay=0.02))
    assert await running.abort(timeout=20, poll_delay=0.02) is True
    assert await abort is True
    assert [job(front, one.job_id)["status"] for one in (running, waiting)] == ["cancelled", "cancelled"]
    assert fleet.running() == 0
    assert worker.alive


async def test_http_cancels_what_a_stock_client_enqueued(fleet: Fleet, client: ArqRedis) -> None:
    front = fleet.front()
    queued = await client.enqueue_job("Hold", 600.0)
    assert queued is not None
    assert front.post(f"/jobs/{queued.job_id}/cancel").status_code == 200
    with pytest.raises(asyncio.CancelledError):
        await result_of(queued)


async def test_unknown_function_and_unreadable_payload(fleet: Fleet, client: ArqRedis) -> None:
    front = fleet.front()
    fleet.worker()
    unknown = await client.enqueue_job("nobody_serves_this")
    pickled = await ArqRedis.from_url(fleet.url).enqueue_job("Add", 1, 2)
    assert unknown is not None
    assert pickled is not None
    assert ended(front, unknown.job_id)["error"]["type"] == "algorithm_not_found"
    assert ended(front, pickled.job_id)["error"]["type"] == "bad_params"
    await pickled._redis.aclose()


@pytest.mark.slow
async def test_wrong_parameters_of_a_stock_client(fleet: Fleet, client: ArqRedis) -> None:
    front = fleet.front()
    fleet.worker()
    wrong = await client.enqueue_job("Add", a="1", b=2)
    assert wrong is not None
    assert ended(front, wrong.job_id)["error"]["type"] == "bad_params"


@pytest.fixture
async def stock(redis_url: str) -> AsyncIterator[ArqRedis]:
    """A client of the stock project: arq's own default, pickle."""
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    yield pool
    await pool.aclose()


async def test_a_stock_project_runs_under_our_worker(fleet: Fleet, stock: ArqRedis) -> None:
    fleet.settings["STOCK_REDIS"] = fleet.url
    del fleet.settings["ALGORITHMS"]
    (fleet.directory / ".env").write_text("THEIR_OWN_SETTING=1\n")  # a stock project's .env is its own affair
    worker = fleet.worker(target="tests.stock.project.WorkerSettings")
    greet = await stock.enqueue_job("greet", "ada", mark="?", _job_id="g1")
    flaky = await stock.enqueue_job("renamed")
    broken = await stock.enqueue_job("broken")
    parent = await stock.enqueue_job("parent")
    long = await stock.enqueue_job("long")
    assert greet and flaky and broken and parent and long
    assert await result_of(greet) == "hello ada? (try 1)"
    assert await result_of(flaky) == 3
    with pytest.raises(KeyError, match="missing"):
        await result_of(broken)
    assert await result_of(Job(str(await result_of(parent)), stock)) == "hello child! (try 1)"
    await wait_for(lambda: _is(long, JobStatus.in_progress), what="the long one runs")
    assert await long.abort(timeout=20, poll_delay=0.02) is True
    worker.kill(signal.SIGTERM)
    worker.wait()
    hooks = [line.decode() for line in await stock.lrange("stock:hooks", 0, -1)]
    assert hooks[0] == "startup"
    assert hooks[-1] == "shutdown"
    assert {"start g1", "end g1"} <= set(hooks)


async def _is(job: Job, status: JobStatus) -> bool:
    return await job.status() is status


@pytest.mark.slow
async def test_cron_runs_once_a_fleet_and_due_time(fleet: Fleet, stock: ArqRedis) -> None:
    fleet.settings["STOCK_REDIS"] = fleet.url
    del fleet.settings["ALGORITHMS"]
    for _ in range(2):
        fleet.worker(target="tests.stock.project.WorkerSettings")

    async def enough() -> bool:
        return int(await stock.llen("stock:ticks")) >= 4

    await wait_for(enough, within=20, what="four ticks")
    ticks = await stock.lrange("stock:ticks", 0, -1)
    assert len(ticks) == len(set(ticks)), "a cron job ran twice for one due time"


@pytest.mark.slow
async def test_burst_check_and_max_jobs(fleet: Fleet, client: ArqRedis) -> None:
    jobs = [await client.enqueue_job("Add", i, 1) for i in range(30)]
    burst = fleet.worker(flags=("--burst",))
    assert burst.wait() == 0
    assert [await result_of(job) for job in jobs if job] == [i + 1 for i in range(30)]
    check = fleet.worker(flags=("--check",))
    assert check.wait() == 1, "no worker is alive"
    fleet.worker()
    await wait_for(lambda: client.exists("arq:queue:health-check"), what="its health record")
    check = fleet.worker(flags=("--check",))
    assert check.wait() == 0, check.said()
    check = fleet.worker(flags=("--check",), CHECK_BY_HOST="1")
    assert check.wait() == 1, "no worker of this host says so"
    fleet.worker(CHECK_BY_HOST="1")
    sign = fleet.keys.sign_of(socket.gethostname())
    await wait_for(lambda: client.exists(sign), what="its own health record")
    check = fleet.worker(flags=("--check",), CHECK_BY_HOST="1")
    assert check.wait() == 0, check.said()


@pytest.mark.slow
async def test_watch_serves_the_code_that_was_saved(fleet: Fleet, client: ArqRedis) -> None:
    code = fleet.directory / "code"
    code.mkdir()
    module = code / "watched.py"
    source = "from slotwise import algorithm\n@algorithm\ndef Watched() -> int:\n    return {}\n"
    module.write_text(source.format(1))
    settings = {"ALGORITHMS": "watched", "PYTHONPATH": f"{ROOT}:{code}", "PYTHONDONTWRITEBYTECODE": "1"}
    worker = fleet.worker(flags=("--watch", str(code)), **settings)
    wait_until(lambda: fleet.redis.hlen(fleet.keys.leases) == 1, within=30, what="its lease")
    first = await client.enqueue_job("Watched")
    assert first is not None
    assert await result_of(first) == 1
    wait_until(lambda: "Starting worker" in worker.said(), what="it runs")
    starts = worker.said().count("Starting worker")

    module.write_text(source.format(2))

    def reloaded() -> bool:
        return worker.said().count("Starting worker") > starts

    wait_until(reloaded, within=20, what="it was started anew")
    second = await client.enqueue_job("Watched")
    assert second is not None
    assert await result_of(second) == 2


async def test_a_module_of_ones_own_from_the_directory_of_the_call(fleet: Fleet) -> None:
    (fleet.directory / "word_count.py").write_text((ROOT / "examples" / "word_count.py").read_text())
    front = fleet.front()
    fleet.worker(ALGORITHMS="word_count")
    answer = ended(front, submit(front, "WordCount", text="to be or not to be", most_common=2))
    assert answer["result"] == {"to": 2, "be": 2}
    assert front.get("/algorithms/WordCount").json()["example"] == {"text": "to be or not to be"}


BAD_MODULES = {
    "no_such_module": (None, "there is no such module on PYTHONPATH or in"),
    "broken_module": ("x = 1/0\n", "ZeroDivisionError"),
    "empty_module": ("x = 1\n", "has no function decorated with @algorithm"),
    "twin_module": (
        "from slotwise import algorithm\n@algorithm(name='PrimeChecker')\ndef p(n: int) -> int:\n    return n\n",
        "two algorithms are called 'PrimeChecker'",
    ),
    "untyped_module": ("from slotwise import algorithm\n@algorithm\ndef u(n):\n    return n\n", "type annotation"),
}


@pytest.mark.parametrize("name", BAD_MODULES)
def test_a_module_that_cannot_be_used_is_one_clear_line(fleet: Fleet, name: str) -> None:
    source, said = BAD_MODULES[name]
    if source is not None:
        (fleet.directory / f"{name}.py").write_text(source)
    worker = fleet.worker(flags=("--no-burst",), ALGORITHMS=name)
    assert worker.wait() == 2
    lines = [line for line in worker.said().splitlines() if line]
    assert len(lines) == 1, lines
    assert said in lines[0]
    assert fleet.redis.hlen(fleet.keys.leases) == 0
    assert fleet.redis.hlen(fleet.keys.catalogue) == 0
