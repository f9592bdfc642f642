"""Start-up hooks: once in each process that needs what they load, before any job, and again in a new zygote."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.facts import wait_until
from tests.fleet import ROOT, Fleet, ended, job, submit
from tests.worker.test_fleet import zygote_below

MODULE = """
import asyncio, gc, os, signal
from pathlib import Path
from slotwise import algorithm, preload

MODEL = {}
LOG = Path("hooks.log")

@preload
def load_model():
    MODEL["pid"] = os.getpid()
    MODEL["frozen"] = gc.get_freeze_count
    with LOG.open("a") as log:
        log.write(f"sync {os.getpid()}\\n")

@algorithm
def Sees() -> list[int]:
    return [MODEL["pid"], os.getppid(), MODEL["frozen"]()]

@algorithm
def KillsItsParent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    signal.pause()
"""

ON_THE_LOOP = """
@preload
async def connect():
    MODEL["loop"] = asyncio.get_running_loop()
    with LOG.open("a") as log:
        log.write(f"async {os.getpid()}\\n")

@algorithm
async def SeesAsync() -> list[bool]:
    return [MODEL["pid"] == os.getpid(), MODEL["loop"] is asyncio.get_running_loop()]
"""


WAITS = """
@preload
def wait():
    import time
    while Path("wait").exists():
        time.sleep(0.01)
"""


def write(fleet: Fleet, source: str) -> None:
    (fleet.directory / "loads.py").write_text(source)
    fleet.settings["ALGORITHMS"] = "loads"
    fleet.settings["PYTHONPATH"] = f"{ROOT}:{fleet.directory}"


def hooks_run(fleet: Fleet) -> Counter[str]:
    log: Path = fleet.directory / "hooks.log"
    return Counter(log.read_text().splitlines() if log.exists() else [])


def test_a_model_is_loaded_once_and_shared_by_every_job_until_the_zygote_dies(fleet: Fleet) -> None:
    write(fleet, MODULE)
    front = fleet.front()
    fleet.worker()
    first, second = (ended(front, submit(front, "Sees"))["result"] for _ in range(2))
    loaded_in, zygote, frozen = first
    assert second[:2] == first[:2]
    assert loaded_in == zygote
    assert frozen > 1_000, "what was loaded is not kept out of the garbage collector's sight"
    assert hooks_run(fleet) == {f"sync {zygote}": 1}, "it has no algorithm that runs in the worker"
    submit(front, "KillsItsParent")
    wait_until(lambda: not Path(f"/proc/{zygote}").exists(), what="the zygote is dead")
    loaded_in, new, _ = ended(front, submit(front, "Sees"))["result"]
    assert (loaded_in, new != zygote) == (new, True)
    assert hooks_run(fleet)[f"sync {new}"] == 1


@pytest.mark.slow
def test_the_time_of_a_job_does_not_run_while_modules_load(fleet: Fleet) -> None:
    write(fleet, MODULE + WAITS)
    front = fleet.front()
    worker = fleet.worker()
    zygote = zygote_below(worker.popen.pid)
    (fleet.directory / "wait").touch()
    os.kill(zygote, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{zygote}").exists(), what="the zygote is dead")
    answer = front.post("/jobs", json={"algorithm": "Sees", "params": {}, "timeout": 0.5}).json()
    wait_until(lambda: job(front, answer["job_id"])["status"] == "running", what="it has its slot")
    wait_until(
        lambda: [row["running_seconds"] > 1 for row in front.get("/jobs/concurrency").json()["jobs"]] == [True],
        what="it waits for longer than it may run",
    )
    (fleet.directory / "wait").unlink()
    assert ended(front, answer["job_id"])["status"] == "completed"


def test_hooks_run_in_the_worker_for_what_runs_there(fleet: Fleet) -> None:
    write(fleet, MODULE + ON_THE_LOOP)
    front = fleet.front()
    worker = fleet.worker()
    zygote = ended(front, submit(front, "Sees"))["result"][1]
    assert ended(front, submit(front, "SeesAsync"))["result"] == [True, True]
    pid = worker.popen.pid
    assert zygote == zygote_below(pid)
    assert hooks_run(fleet) == {f"sync {pid}": 1, f"async {pid}": 1, f"sync {zygote}": 1}


BAD_HOOKS = {
    "raises": (
        "@preload\ndef bad():\n    raise ValueError('no weights\\nat all')\n",
        "ValueError: no weights at all (",
    ),
    "exits": ("@preload\ndef bad():\n    raise SystemExit('no GPU')\n", "SystemExit: no GPU"),
    "in the worker": (
        "@preload\nasync def bad():\n    1 / 0\n@algorithm\nasync def F() -> None: ...\n",
        "ZeroDivisionError: division by zero",
    ),
    "nowhere to run": ("@preload\nasync def bad(): ...\n", "is async, and runs in the worker's own process only"),
    "wants an argument": ("@preload\ndef bad(path): ...\n", "nobody gives it its parameter 'path'"),
}


@pytest.mark.parametrize("name", BAD_HOOKS)
def test_a_hook_that_fails_stops_the_worker_with_one_line(fleet: Fleet, name: str) -> None:
    source, said = BAD_HOOKS[name]
    write(fleet, "from slotwise import algorithm, preload\n@algorithm\ndef P() -> None: ...\n" + source)
    worker = fleet.worker(flags=("--no-burst",))
    assert worker.wait() == 2
    [line] = [line for line in worker.said().splitlines() if line.startswith("slotwise: ")]
    assert line.startswith("slotwise: start-up hook 'bad' ")
    assert said in line
    assert fleet.redis.hlen(fleet.keys.leases) == 0


KILLS = """
@preload
def kill():
    if "SLOTWISE_ZYGOTE" in os.environ and not Path("spare").exists():
        Path("spare").{then}
        os.kill({whom}, signal.SIGKILL)
        signal.pause()
"""


@pytest.mark.parametrize("whom", ["os.getpid()", "os.getppid()"])
def test_who_is_killed_while_it_loads_is_started_again(fleet: Fleet, whom: str) -> None:
    write(fleet, MODULE + KILLS.format(then="touch()", whom=whom))
    front = fleet.front()
    worker = fleet.worker()
    assert ended(front, submit(front, "Sees"))["result"][1] == zygote_below(worker.popen.pid)


def test_who_is_killed_whenever_it_loads_stops_the_worker_with_one_line(fleet: Fleet) -> None:
    write(fleet, MODULE + KILLS.format(then="exists()", whom="os.getpid()"))
    worker = fleet.worker(flags=("--no-burst",))
    assert worker.wait() == 2
    [line] = [line for line in worker.said().splitlines() if line.startswith("slotwise: ")]
    assert line == "slotwise: the process that loads the algorithms was killed, 3 times"


def test_threads_that_a_hook_leaves_are_told(fleet: Fleet) -> None:
    thread = "threading.Thread(target=time.sleep, args=(600,), name='feeder', daemon=True)"
    source = f"import threading, time\n@preload\ndef start():\n    {thread}.start()\n"
    write(fleet, "from slotwise import algorithm, preload\n@algorithm\ndef P() -> int:\n    return 1\n" + source)
    front = fleet.front()
    worker = fleet.worker()
    assert ended(front, submit(front, "P"))["result"] == 1
    assert "left threads running (feeder)" in worker.said()
