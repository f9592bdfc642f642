"""The runner on a machine that runs out of what a job's process needs: nothing else may break."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from slotwise.context import Silence
from slotwise.errors import JobError
from tests.facts import wait_until
from tests.fleet import Fleet, ended, job, submit
from tests.worker.test_fleet import zygote_below
from worker import kernel, link, runner, shortage, tree
from worker.grace import Grace
from worker.hearing import Hearing
from worker.runner import AGAIN_SECONDS, NoProcess, Runner, ZygoteDied
from worker.shortage import NoZygote
from worker.spare import READY
from worker.tally import Tally

Start = Callable[..., Runner]
FEW = 256


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    made: list[Runner] = []

    def start(module: str = "tests.zoo") -> Runner:
        made.append(Runner([module], Hearing(lambda words: None, lambda: True), max_result_bytes=1 << 20))
        return made[-1]

    yield start
    for one in made:
        await one.stop()


@pytest.fixture
def few_files() -> Iterator[None]:
    """A process that may open few files, and could ask for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shortage.raise_open_files.cache_clear()
    shortage.set_open_files(FEW)
    yield
    shortage.set_open_files(soft)
    shortage.raise_open_files.cache_clear()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No second try for a process."""
    monkeypatch.setattr(runner, "PAUSES", ())


async def call(runner: Runner, algorithm: str, **params: int) -> bytes:
    job = {"job_id": "x", "attempt": 1, "seconds": 60}
    call = {"algorithm": algorithm, "args": [], "params": params, **job}
    return await runner.run(call, Tally(), Silence())


async def zygote_of(runner: Runner) -> int:
    before = tree.children(os.getpid())
    await runner.start()
    (guardian,) = tree.children(os.getpid()) - before
    (pid,) = tree.children(guardian)
    return pid


def grant(pid: int, what: int, most: int | None = None) -> None:
    """Let `pid` have so much of `what`; None: as much as it may."""
    hard = resource.prlimit(pid, what)[1]
    resource.prlimit(pid, what, (hard if most is None else most, hard))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_more_jobs_than_the_limit_on_open_files_and_each_has_the_old_limit(
    start: Start, few_files: None, at_once: None
) -> None:
    runner = start()
    limits = await asyncio.gather(*(call(runner, "OpenFiles") for _ in range(FEW)))
    assert {int(limit) for limit in limits} == {FEW}


async def test_a_zygote_that_is_started_when_a_thousand_files_are_open(start: Start) -> None:
    shortage.raise_open_files()
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert await asyncio.wait_for(call(start(), "Add", a=1, b=2), 20) == b"3"
    finally:
        for descriptor in held:
            os.close(descriptor)


async def test_a_zygote_that_cannot_fork_says_so_and_lives(start: Start, at_once: None) -> None:
    runner = start("tests.worker.cramped")
    zygote = await zygote_of(runner)
    for _ in range(3):
        with pytest.raises(NoProcess, match=os.strerror(errno.EAGAIN)):
            await call(runner, "Twice", number=1)
    os.kill(zygote, signal.SIGUSR1)
    assert await call(runner, "Twice", number=21) == b"42"
    assert tree.children(zygote), "it has forked the next one ahead"


async def test_a_shortage_of_a_moment_is_not_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = start("tests.worker.cramped")
    zygote = await zygote_of(runner)
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def relieve(seconds: float) -> None:
        pauses.append(seconds)
        os.kill(zygote, signal.SIGUSR1)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", relieve)
    assert await call(runner, "Twice", number=21) == b"42"
    assert len(pauses) == 1


async def test_a_descriptor_lost_on_its_way_is_no_other_jobs(start: Start, at_once: None) -> None:
    runner = start()
    zygote = await zygote_of(runner)
    grant(zygote, resource.RLIMIT_NOFILE, 4)
    answers = await asyncio.gather(
        *(call(runner, "Add", a=number, b=0) for number in range(20)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {NoProcess}
    grant(zygote, resource.RLIMIT_NOFILE)
    answers = await asyncio.gather(*(call(runner, "Add", a=number, b=0) for number in range(20)))
    assert [int(answer) for answer in answers] == list(range(20))


async def test_a_worker_without_a_free_descriptor(start: Start, at_once: None) -> None:
    runner = start()
    await runner.start()
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    before = open_files()
    shortage.set_open_files(3)
    try:
        with pytest.raises(NoProcess, match=os.strerror(errno.EMFILE)):
            await call(runner, "Add", a=1, b=2)
    finally:
        shortage.set_open_files(soft)
    assert open_files() == before
    assert await call(runner, "Add", a=1, b=2) == b"3"


async def test_a_zygote_that_cannot_be_started(
    start: Start, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = start()
    before = open_files()
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", _no_room)
        with pytest.raises(NoProcess):
            await call(runner, "Add", a=1, b=2)
    assert open_files() == before
    assert await call(runner, "Add", a=1, b=2) == b"3"


def _no_room(*_: object, **__: object) -> None:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


FRAGILE = """
import os, time
from pathlib import Path
from slotwise import algorithm, preload

@preload
def load():
    while Path("{stuck}").exists():
        time.sleep(0.01)
    if Path("{broken}").exists():
        raise RuntimeError("the model is away")

@algorithm
def Two() -> int:
    return 2
"""


@pytest.fixture
def fragile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a file `broken` or `stuck` keeps the module `fragile` from being loaded."""
    (tmp_path / "fragile.py").write_text(FRAGILE.format(stuck=tmp_path / "stuck", broken=tmp_path / "broken"))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.slow
async def test_what_does_not_load_again_is_tried_ever_more_seldom_and_costs_no_job_its_life(
    start: Start, fragile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = start("fragile")
    (fragile / "broken").touch()
    with pytest.raises(NoZygote) as first:
        await call(runner, "Two")
    with pytest.raises(NoZygote) as second:
        await call(runner, "Two")
    assert 0 < second.value.pause_seconds < first.value.pause_seconds <= AGAIN_SECONDS
    monkeypatch.setattr(runner, "_again_at", 0.0)
    with pytest.raises(NoZygote) as third:
        await call(runner, "Two")
    assert AGAIN_SECONDS < third.value.pause_seconds <= 2 * AGAIN_SECONDS
    (fragile / "broken").unlink()
    monkeypatch.setattr(runner, "_again_at", 0.0)
    assert await call(runner, "Two") == b"2"


@pytest.mark.slow
async def test_a_zygote_that_is_not_ready_in_time_is_ended_and_another_may_be(
    start: Start, fragile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = start("fragile")
    (fragile / "stuck").touch()
    with monkeypatch.context() as patch:
        patch.setattr(link, "READY_SECONDS", 0.3)
        answers = await asyncio.gather(*(call(runner, "Two") for _ in range(2)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {NoZygote}
    assert not runner._up
    (fragile / "stuck").unlink()
    monkeypatch.setattr(runner, "_again_at", 0.0)
    assert await call(runner, "Two") == b"2"


async def test_a_cancel_before_the_body_begins_is_heard(start: Start) -> None:
    """The order to interrupt it comes right behind the one to begin."""
    runner = start()
    zygote = await zygote_of(runner)
    for _ in range(5):
        tally, grace = Tally(), Grace(cancel_seconds=5, kill_seconds=0)
        os.kill(zygote, signal.SIGSTOP)
        told = {
            "algorithm": "Spin",
            "args": [],
            "params": {"seconds": 2},
            "job_id": "x",
            "attempt": 1,
            "seconds": 60,
        }
        begun = asyncio.Event()
        task = asyncio.create_task(runner.run(told, tally, Silence(), lambda grace=grace: grace, begun.set))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
        os.kill(zygote, signal.SIGCONT)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tally.cpu_seconds is not None
        assert tally.cpu_seconds < 1, "the body ran"


async def test_a_job_does_not_know_the_servers_secret_however_it_is_spelt(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting's name counts in any case."""
    for name in ("REDIS_URL", "redis_url", "Redis_Url"):
        monkeypatch.setenv(name, "redis://:secret@localhost")
    monkeypatch.setenv("OF_THE_USER", "x")
    names = set(json.loads(await call(start(), "Environment")))
    assert "OF_THE_USER" in names
    assert not [name for name in names if name.upper() == "REDIS_URL"]


async def test_an_order_that_the_kernel_has_no_room_for_is_sent_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, refusals = socket.send_fds, [errno.ETOOMANYREFS, errno.ENOBUFS]

    def hesitant(*args: Any) -> int:
        if refusals:
            raise OSError(refusals.pop(), "no room")
        return send(*args)

    monkeypatch.setattr(socket, "send_fds", hesitant)
    assert await asyncio.wait_for(call(start(), "Add", a=1, b=2), 20) == b"3"
    assert not refusals


async def test_no_order_waits_behind_a_process_that_is_not_to_be_had(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, began = start(), asyncio.Event()
    told = {"algorithm": "Burn", "args": [], "params": {"seconds": 600}, "job_id": "x", "attempt": 1}
    running = asyncio.create_task(runner.run(told | {"seconds": 900}, Tally(), Silence(), begins=began.set))
    await began.wait()
    send = socket.send_fds

    def refusing(line: socket.socket, data: list[bytes], descriptors: list[int]) -> int:
        if len(descriptors) == 1:  # a SPAWN's
            raise OSError(errno.ETOOMANYREFS, "no room")
        return send(line, data, descriptors)

    monkeypatch.setattr(socket, "send_fds", refusing)
    with pytest.raises(NoProcess):
        await asyncio.wait_for(call(runner, "Add", a=1, b=2), 20)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 20)
    monkeypatch.undo()
    assert await call(runner, "Add", a=1, b=2) == b"3"


HANGS = """
import os, pathlib, time
from slotwise import algorithm

def hang():
    if pathlib.Path(__file__).with_name("flag").exists():
        time.sleep(600)

os.register_at_fork(before=hang)

@algorithm
def Nothing() -> None: pass
"""


async def test_a_fork_that_hangs_between_jobs_ends_by_the_deadline(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hangs_at_fork.py").write_text(HANGS)
    monkeypatch.syspath_prepend(str(tmp_path))
    runner = start("hangs_at_fork")
    await runner.start()
    runner.extend(kernel.clock() + 3)
    await call(runner, "Nothing")  # the deadline is known from now on
    (tmp_path / "flag").touch()
    with pytest.raises(ZygoteDied):
        for _ in range(4):  # as many processes as may stand ready, and more
            await asyncio.wait_for(call(runner, "Nothing"), 20)


STARTS_ITS_OWN = """
import os, pathlib, shutil, subprocess, sys
from slotwise import algorithm

server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

@algorithm
def Served() -> str:
    return pathlib.Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[0]

@algorithm
def Wipe() -> None:
    shutil.rmtree(pathlib.Path(os.environ["TMPDIR"]).parent)

@algorithm
def WriteTemporary() -> bool:
    import tempfile
    with tempfile.NamedTemporaryFile() as file:
        return file.write(b"x") == 1
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "starts_its_own.py").write_text(STARTS_ITS_OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "starts_its_own"


async def test_a_process_that_a_module_started_outlives_the_jobs(start: Start, own: str) -> None:
    runner = start(own)
    assert [await call(runner, "Served") for _ in range(4)] == [b'"S"'] * 4


async def test_a_job_that_removes_all_temporary_files_harms_those_that_are_ready_at_most(
    start: Start, own: str
) -> None:
    runner = start(own)
    await call(runner, "Wipe")
    for _ in range(READY):
        with suppress(JobError):
            await call(runner, "WriteTemporary")
    assert [await call(runner, "WriteTemporary") for _ in range(3)] == [b"true"] * 3


async def test_a_burial_does_not_wait_behind_the_threads_of_others(start: Start) -> None:
    runner, let_go, began = start(), threading.Event(), asyncio.Event()
    zygote = await zygote_of(runner)
    busy = [asyncio.create_task(asyncio.to_thread(let_go.wait)) for _ in range(64)]
    told = {"algorithm": "Burn", "args": [], "params": {"seconds": 600}, "job_id": "x", "attempt": 1}
    try:
        running = asyncio.create_task(runner.run(told | {"seconds": 900}, Tally(), Silence(), begins=began.set))
        await began.wait()
        os.kill(zygote, signal.SIGKILL)
        ended, _ = await asyncio.wait({running}, timeout=20)
    finally:
        let_go.set()
        await asyncio.gather(*busy)
    assert ended, "it waits for a thread that never comes free"
    with pytest.raises(ZygoteDied):
        await running


@pytest.mark.slow
def test_a_job_that_gets_no_process_waits_and_burns_no_attempt(fleet: Fleet) -> None:
    front = fleet.front()
    worker = fleet.worker()
    zygote = zygote_below(worker.popen.pid)
    grant(zygote, resource.RLIMIT_NOFILE, 4)
    job_id = submit(front, "Add", a=1, b=2)
    wait_until(lambda: worker.said().count('"no_process"') == 2, what="it has been put off twice")
    assert job(front, job_id)["status"] in ("pending", "running")
    grant(zygote, resource.RLIMIT_NOFILE)
    found = ended(front, job_id)
    assert (found["status"], found["result"], found["attempt"]) == ("completed", 3, 1)
    assert "Traceback" not in worker.said()
