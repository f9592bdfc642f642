"""What the processes below a worker owe each other: nobody's end holds up another's, and nobody is left behind."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from slotwise import wire
from slotwise.context import Silence
from tests.facts import alive, wait_until
from tests.fleet import ROOT
from worker import guardian, kernel, tree
from worker.grace import NO_GRACE, Grace
from worker.hearing import Hearing
from worker.heirs import Heirs
from worker.runner import Runner, ZygoteDied
from worker.scratch import Scratch
from worker.tally import Tally

pytestmark = pytest.mark.skipif(not kernel.LINUX, reason="asks /proc")

LONG = Grace(0, 300)


@pytest.fixture
async def runner(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runner]:
    monkeypatch.setenv("redis_url", "redis://:secret@nowhere/0")
    runner = Runner(["tests.worker.tidy"], Hearing(lambda words: None, lambda: True), max_result_bytes=1 << 20)
    await runner.start()
    yield runner
    await runner.stop()


async def call(runner: Runner, algorithm: str, grace: Grace = NO_GRACE, **params: Any) -> Any:
    call = {"algorithm": algorithm, "args": [], "params": params, "job_id": "x", "attempt": 1, "seconds": 60}
    return wire.decode(await runner.run(call, Tally(), Silence(), lambda: grace))


async def there(path: Path) -> str:
    """What stands in it, once its line is whole."""
    return await asyncio.to_thread(wait_until, lambda: path.exists() and path.read_text().partition("\n")[0])


def wakes(pid: int) -> int:
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["voluntary_ctxt_switches"])


def guardian_here() -> int:
    (found,) = (
        pid for pid in tree.children(os.getpid()) if b"zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    return found


def below(pid: int) -> int:
    (child,) = tree.children(pid)
    return child


async def test_a_neighbour_ends_during_a_grace_and_nothing_spins(runner: Runner, tmp_path: Path) -> None:
    zygote = below(guardian_here())
    deaf = asyncio.create_task(call(runner, "LeavesDeaf", LONG, path=str(tmp_path / "up")))
    await there(tmp_path / "up")
    deaf.cancel()
    async with asyncio.timeout(30):
        await call(runner, "Rests", seconds=0)  # the zygote has heard of the cancel before
        before = wakes(zygote)
        await call(runner, "Rests", seconds=0.5)
    assert wakes(zygote) - before < 50
    assert not deaf.done()
    deaf.cancel()  # once more: no grace
    with pytest.raises(asyncio.CancelledError):
        await deaf


async def test_bodies_that_are_killed_as_they_are_made_harm_nobody(runner: Runner) -> None:
    link = await runner.start()
    for _ in range(5):
        bodies = [link.spawn() for _ in range(4)]
        for body in bodies:
            link.ask(body)
            link.terminate(body)
            link.kill(body)
        await asyncio.wait([body.ended for body in bodies])
        for body in bodies:
            assert body.ended.exception() is None
            link.forget(body)
    assert link.open


async def test_a_job_of_a_burst_has_its_own_channel_once(runner: Runner) -> None:
    found = await asyncio.gather(*(call(runner, "Channels") for _ in range(6)))
    assert found == [["own"]] * 6


async def test_no_secret_reaches_a_job_whatever_its_case(runner: Runner) -> None:
    names = await call(runner, "Environment")
    assert [name for name in names if name.upper() == "REDIS_URL"] == []


@pytest.fixture
def apart() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Programs without an environment, one of them in a session of its own."""
    made = [subprocess.Popen(["/bin/sleep", "60"], env={}, start_new_session=new) for new in (False, True)]
    yield made
    for program in made:
        program.kill()
        program.wait()


async def test_a_killed_guardian_leaves_no_outlaw_and_others_are_spared(
    apart: list[subprocess.Popen[bytes]], runner: Runner, tmp_path: Path
) -> None:
    runner.extend(kernel.clock() + 60)  # as with each renewal: they are known from now on
    job = asyncio.create_task(call(runner, "LeavesOutlaw", path=str(tmp_path / "outlaw")))
    outlaw = int(await there(tmp_path / "outlaw"))
    os.kill(guardian_here(), signal.SIGKILL)
    with pytest.raises(ZygoteDied):
        await job
    assert _dead(outlaw)
    assert [program.poll() for program in apart] == [None, None]


def _dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1] == b"Z"
    except FileNotFoundError:
        return True


def test_a_live_child_without_an_environment_holds_nobody_up(apart: list[subprocess.Popen[bytes]]) -> None:
    heirs = Heirs("SLOTWISE_ZYGOTE", "none")
    stray = subprocess.Popen(["/bin/sleep", "60"], env={}, start_new_session=True)
    try:
        wait_until(lambda: not heirs.strike(), what="it is taken for what was left behind, and dead")
        assert _dead(stray.pid)
        assert [program.poll() for program in apart] == [None, None]
    finally:
        stray.kill()
        stray.wait()


class Removal(Scratch):
    """It takes until `end` closes."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self._end = end

    def remove(self) -> None:
        os.read(self._end, 1)
        super().remove()


def test_slots_do_not_wait_for_the_removal_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (heard, line), (end, let_end) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(let_end)
            watch(line, Removal(end))
        finally:
            os._exit(0)
    for descriptor in (line, end):
        os.close(descriptor)
    poll = select.poll()
    poll.register(heard, select.POLLIN)
    said = poll.poll(10_000)
    left = list(tmp_path.iterdir())
    os.close(let_end)
    os.waitpid(pid, 0)
    assert said
    assert os.read(heard, 2) == guardian.NOTHING_LEFT
    os.close(heard)
    assert left
    assert not list(tmp_path.iterdir())


def test_a_zygote_that_hangs_while_it_loads_ends_with_its_worker(tmp_path: Path) -> None:
    up = tmp_path / "up"
    (tmp_path / "hangs.py").write_text(
        f"import os, pathlib, time\npathlib.Path({str(up)!r}).write_text(f'{{os.getpid()}}\\n')\ntime.sleep(600)\n"
    )
    source = """
        import asyncio
        from worker.link import Link

        async def main():
            await Link(["hangs"], 1 << 20, 64).ready()

        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(source)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}) as worker:
        zygote = int(wait_until(lambda: up.exists() and up.read_text().partition("\n")[0], within=30))
        (guardian,) = tree.children(worker.pid)
        worker.kill()
    for pid in (zygote, guardian):
        wait_until(lambda pid=pid: not alive(pid), within=30, what="its end")


def watch(line: int, scratch: Scratch) -> None:
    """As a guardian does, of a zygote that ends at once."""
    lifeline, _ = os.pipe()
    zygote = os.fork()
    if zygote == 0:
        os._exit(0)
    guardian.watch(zygote, scratch, line, lifeline)
