"""What no queue can beat here: the same bodies without one, and the least that Redis has to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.cpu_jobs import bare
from bench.peers.sightings import Witness
from bench.peers.workloads import CPU_CAP, CPU_JOBS, CPU_SECONDS, Run, Size, rests_for
from bench.stage import ROOT
from tests.servers import Server

PACE = 20_000  # no-ops a second
SEMAPHORE, LUA, PROCESSES = "floor: asyncio.Semaphore", "floor: one Lua script", "floor: bare processes"

# KEYS queue, running; ARGV: how many to claim, then the ids to finish. Ends those; returns ids and payloads.
CLAIM_AND_FINISH = """
for i = 2, #ARGV do
    redis.call('ZREM', KEYS[2], ARGV[i])
    redis.call('DEL', 'payload:' .. ARGV[i])
    redis.call('SET', 'result:' .. ARGV[i], '1', 'EX', 3600)
end
local taken = redis.call('ZPOPMIN', KEYS[1], ARGV[1])
local reply = {}
for i = 1, #taken, 2 do
    redis.call('ZADD', KEYS[2], taken[i + 1], taken[i])
    reply[#reply + 1] = taken[i]
    reply[#reply + 1] = redis.call('GET', 'payload:' .. taken[i])
end
return reply
"""


def semaphore(kind: str, size: Size, cap: int, milliseconds: float) -> Run:
    """The bodies as tasks of one process under an asyncio.Semaphore, with the same witness."""
    jobs = int(PACE * size.seconds) if kind == "noop" else rests_for(milliseconds, size, cap, PACE)
    with tempfile.TemporaryDirectory() as directory:
        witness = Witness(Path(directory, "witness"))
        env = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_WITNESS": str(witness.path)}
        command = [sys.executable, "-m", "bench.peers.semaphore", kind, str(jobs), str(milliseconds), str(cap)]
        subprocess.run(command, env=env, check=True)
        seen = witness.seen()
    faults = seen.faults(jobs, cap)
    if kind == "noop":
        return Run({"jobs/s": jobs / seen.span}, faults)
    return Run({"used": jobs * milliseconds / 1000 / cap / seen.span}, faults)


def lua(server: Server, size: Size, cap: int) -> Run:
    """One client that ends `cap` jobs and takes as many, again and again; nothing is run."""
    client, jobs = server.client, int(PACE * 2 * size.seconds)
    client.flushall()
    for at in range(0, jobs, 1000):
        pipe = client.pipeline(transaction=False)
        pipe.zadd("queue", {str(id): id for id in range(at, min(jobs, at + 1000))})
        for id in range(at, min(jobs, at + 1000)):
            pipe.set(f"payload:{id}", "x" * 100)
        pipe.execute()
    script = client.register_script(CLAIM_AND_FINISH)
    held: list[bytes] = []
    began, done = time.monotonic(), 0
    while True:
        reply = script(keys=["queue", "running"], args=[cap, *held])
        done += len(held)
        held = reply[::2]
        if not held:
            break
    assert done == jobs, "the floor lost jobs"
    return Run({"jobs/s": jobs / (time.monotonic() - began)})


def processes(rounds: int) -> Run:
    """As many bare processes as the cap, each with its part of the loops."""
    return Run({"used": CPU_JOBS * CPU_SECONDS / CPU_CAP / bare(CPU_CAP, CPU_JOBS, rounds)})


def of(workload: str, server: Server, size: Size, rounds: int) -> dict[str, Run]:
    """The floors of a workload, by name."""
    if workload in {"noop10", "noop100"}:
        cap = int(workload.removeprefix("noop"))
        return {LUA: lua(server, size, cap), SEMAPHORE: semaphore("noop", size, cap, 0)}
    if workload.startswith("rest"):
        return {SEMAPHORE: semaphore("rest", size, 10, float(workload.removeprefix("rest")))}
    if workload == "cpu":
        return {PROCESSES: processes(rounds)}
    return {}
