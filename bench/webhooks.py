"""What webhooks cost: jobs whose receiver takes 10 s against jobs without one, and what many untold ones weigh.

python -m bench.webhooks              100 jobs of 50 ms at cap 10, three runs of each kind, in turn
python -m bench.webhooks --untold 100000   bytes of Redis for each, and the memory of a worker and a front end
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import redis

from bench.stage import ARQ, process, server, spread, until_served
from slotwise.keys import Keys
from slotwise.store import Store
from tests.hand import Hand, a_job
from tests.receiver import Receiver, receiving
from tests.servers import Server, free_port

JOBS, SECONDS, CAP, ANSWER_SECONDS = 100, 0.05, 10, 10.0


def makespan(client: httpx2.Client, more: dict[str, Any]) -> float:
    """Seconds from the submit to the last end."""
    entry = {"algorithm": "Sleep", "params": {"seconds": SECONDS}, **more}
    made = client.post("/jobs/batch", json={"jobs": [entry] * JOBS}).json()["jobs"]
    ended = [client.get(job["urls"]["self"], headers={"Prefer": "wait=60"}).json() for job in made]
    assert {job["status"] for job in ended} == {"completed"}
    last = max(datetime.fromisoformat(job["completed_at"]) for job in ended)
    return (last - datetime.fromisoformat(made[0]["created_at"])).total_seconds()


def throughput(running: Server, runs: int) -> None:
    port, pause = free_port(), threading.Event()

    def slow(_: object) -> int:
        pause.wait(ANSWER_SECONDS)
        return 200

    env = {
        "REDIS_URL": running.url,
        "PORT": str(port),
        "MAX_CONCURRENT_JOBS": str(CAP),
        "WEBHOOK_ALLOW": "127.0.0.1",
    }
    with (
        receiving(Receiver(answer=slow)) as receiver,
        process([sys.executable, "-m", "service"], env),
        process([ARQ, "worker.settings.WorkerSettings"], env),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=90) as client,
    ):
        until_served(client)
        makespan(client, {})
        spans: dict[str, list[float]] = {"without": [], "with": []}
        for _ in range(runs):
            spans["without"].append(makespan(client, {}))
            spans["with"].append(makespan(client, {"webhook": receiver.url()}))
        told = len(receiver.told)
        pause.set()
    print(f"{os.cpu_count()} cores, {JOBS} jobs of {SECONDS * 1000:g} ms at cap {CAP}: seconds to the last end")
    for kind, values in spans.items():
        print(f"  {kind:8} a webhook   {spread(values)}")
    ratio = median(spans["without"]) / median(spans["with"])
    print(
        f"  throughput with / without {ratio:.3f}; its receiver takes {ANSWER_SECONDS:g} s, {told} were being told"
    )


async def fill(url: str, jobs: int, webhook: str) -> None:
    """End so many jobs by hand, each with a webhook that is not told."""
    store, blocking = await Store.connect(url), redis.Redis.from_url(url)
    blocking.flushall(asynchronous=False)
    await store.configure(100, by="bench")
    hand = Hand(store, blocking)
    hand.enlist()
    for _ in range(0, jobs, 100):
        made = [a_job(webhook=webhook, webhook_events=("completed",)) for _ in range(100)]
        await store.submit(made, max_pending=10**6)
        finishes = [
            hand.finish_of(grant, envelope=grant.payload[:-1] + b',"s":true,"r":3}')
            for grant in (await hand.claim(100)).grants
        ]
        await store.claims.finish(hand.incarnation, finishes)
    hand.leases.leave(hand.incarnation)
    due = store.keys.due_of + webhook.removesuffix("/hook")
    assert blocking.zcard(due) == jobs
    used = _outboxes(blocking, store.keys) + int(blocking.memory_usage(due, samples=0))
    print(f"{jobs} jobs whose webhooks are not told: {used / jobs:.0f} bytes each")
    await store.close()
    blocking.close()


def _outboxes(client: redis.Redis, keys: Keys) -> int:
    """Bytes of all that is to be told, with the names of the keys."""
    pipe: Any = client.pipeline(transaction=False)
    for name in client.scan_iter(match=keys.outbox_of + "*", count=1_000):
        pipe.memory_usage(name, samples=0)
    return sum(pipe.execute())


def peak_mb(pid: int) -> int:
    """The most memory that a process has had."""
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) // 1024 for row in rows if row.startswith("VmHWM"))


def told_in_vain(running: Server, receiver: Receiver, seconds: float) -> None:
    """A worker and a front end beside what is there to tell, which every attempt fails to."""
    port = free_port()
    env = {"REDIS_URL": running.url, "WEBHOOK_ALLOW": "127.0.0.1", "PORT": str(port)}
    with (
        process([ARQ, "worker.settings.WorkerSettings"], env) as worker,
        process([sys.executable, "-m", "service"], env) as front,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        until_served(client)
        before = len(receiver.told)
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            for path in ("/metrics", "/jobs?limit=100", "/stats"):
                assert client.get(path).status_code == 200
            time.sleep(0.5)
        print(
            f"  worker {peak_mb(worker.pid)} MB at most, front end {peak_mb(front.pid)} MB; "
            f"{len(receiver.told) - before} attempts in {seconds:g} s"
        )


def untold(running: Server, jobs: int) -> None:
    with receiving(Receiver(answer=503)) as receiver:
        print(f"{os.cpu_count()} cores; with nothing to tell:")
        told_in_vain(running, receiver, 10)
        asyncio.run(fill(running.url, jobs, receiver.url()))
        told_in_vain(running, receiver, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--untold", type=int)
    given = parser.parse_args()
    with server() as running:
        if given.untold:
            untold(running, given.untold)
        else:
            throughput(running, given.runs)


if __name__ == "__main__":
    main()
