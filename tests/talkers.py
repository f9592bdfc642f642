"""Algorithms that say something of themselves, each in a way that a test needs to hear."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import slotwise
from slotwise import Context, algorithm
from tests.facts import wait_for

print("loading", end="")  # no job's word, although it stands in a buffer when jobs are forked

log = logging.getLogger("talkers")


@algorithm
def SayAll(job: Context) -> str:
    """By every way that there is."""
    print("printed")
    print("on stderr", file=sys.stderr)
    log.info("logged")
    subprocess.run(["sh", "-c", "echo below; echo below on stderr >&2"], check=True)
    os.write(1, b"odd \xff\n")
    print("lone \ud800")
    job.log("said", n=1)
    slotwise.log("said from anywhere")
    print("unfinished", end="")
    return job.job_id


@algorithm
def Advance(steps: int, hold: float = 0.0, die: bool = False) -> int:
    for step in range(1, steps + 1):
        slotwise.progress(100 * step / steps, f"step {step}")
    time.sleep(hold)
    if die:
        os.kill(os.getpid(), signal.SIGKILL)
    return steps


@algorithm
async def SayAsync(job: Context, name: str, until: str = "/") -> None:
    """Ends when that file is there."""
    log.info("logged %s", name)
    log.warning("warned %s", name)
    job.log(f"said {name}")
    print("printed", name)
    await asyncio.to_thread(slotwise.progress, 25, name)
    await wait_for(Path(until).exists)
    job.progress(50.5)


@algorithm
def Flood(mb: int) -> int:
    """Writes that much in lines of 1,000 bytes."""
    lines = (b"x" * 999 + b"\n") * 1_000
    for _ in range(mb):
        rest = lines
        while rest:
            rest = rest[os.write(1, rest) :]
    print("the end")
    return mb


@algorithm
def HeedCancel(job: Context) -> None:
    """Ends as soon as it sees that it is to."""
    job.log("waiting")
    while not job.cancelled:
        time.sleep(0.01)


@algorithm
def BadPercent() -> None:
    slotwise.progress(101)


@algorithm
def UseUp(cpu_seconds: float, mb: int) -> None:
    held = bytearray(mb << 20)
    held[::4096] = b"x" * len(held[::4096])
    while time.process_time() < cpu_seconds:
        pass


@algorithm
def UseUpBelow(cpu_seconds: float, mb: int) -> None:
    """The same, in a process of its own that it waits for."""
    code = f"""
import time
held = bytearray({mb} << 20)
held[::4096] = b"x" * len(held[::4096])
while time.process_time() < {cpu_seconds}: pass
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@algorithm
def LeaveBehind(cpu_seconds: float) -> None:
    """Ends while a process of its own works on, which has used that much."""
    code = f"import time\nwhile time.process_time() < {cpu_seconds}: pass\nprint(flush=True)\ntime.sleep(600)"
    left = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert left.stdout is not None
    left.stdout.readline()


@algorithm
def CloseAll() -> str:
    """A body that closes what it did not open."""
    os.close(1)
    os.close(2)
    slotwise.log("still heard")
    slotwise.progress(10)
    return "done"
