"""Control groups: what counts as delegated, and, on a machine that delegates, that they bind whole trees.

The last tests need cgroup v2 with the controllers `memory` and `pids`, and may make groups in it. Where it is not
like that they are skipped, and say why.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slotwise import wire
from tests.facts import Tell
from tests.fleet import ROOT
from worker import cgroup
from worker.cgroup import LEAF, Cgroups, NotDelegated

MOUNTS = "22 28 0:20 / /sys rw - sysfs sysfs rw\n30 25 0:26 {root} {at} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize(
    ("groups", "root", "at", "own"),
    [
        ("0::/\n", "/", "/sys/fs/cgroup", "/sys/fs/cgroup"),
        ("0::/a.slice/b.service\n", "/", "/sys/fs/cgroup", "/sys/fs/cgroup/a.slice/b.service"),
        ("4:memory:/x\n0::/a\n", "/", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/a"),
        ("0::/docker/1/in\n", "/docker/1", "/sys/fs/cgroup", "/sys/fs/cgroup/in"),
        ("0::/docker/1\n", "/docker/1", "/sys/fs/cgroup", "/sys/fs/cgroup"),
    ],
)
def test_where_a_process_is(groups: str, root: str, at: str, own: str) -> None:
    assert cgroup._own(groups, MOUNTS.format(root=root, at=at)) == (Path(own), Path(at))


@pytest.mark.parametrize(
    ("groups", "mounts"),
    [("4:memory:/x\n", MOUNTS), ("0::/a\n", "22 28 0:20 / /sys rw - sysfs sysfs rw\n"), ("0::/a\n", MOUNTS)],
)
def test_without_a_hierarchy_of_ours_nothing_is_delegated(groups: str, mounts: str) -> None:
    with pytest.raises(NotDelegated, match="no cgroup v2 hierarchy"):
        cgroup._own(groups, mounts.format(root="/elsewhere", at="/sys/fs/cgroup"))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """What a group looks like, as far as files go."""
    base = tmp_path / "base"
    for directory in (base, base / LEAF):
        directory.mkdir()
        (directory / "cgroup.procs").write_text("")
    (base / "cgroup.controllers").write_text("cpu memory pids\n")
    (base / "cgroup.subtree_control").write_text("")
    (base / "cgroup.type").write_text("domain\n")
    return base


def test_what_was_in_the_base_moves_and_controllers_are_turned_on(base: Path) -> None:
    (base / "cgroup.procs").write_text("17\n")
    Cgroups.at(base, is_root=True)
    assert (base / LEAF / "cgroup.procs").read_text() == "17"
    assert (base / "cgroup.subtree_control").read_text().split() == ["+memory", "+pids"]


def test_a_group_without_the_controllers_is_of_no_use(base: Path) -> None:
    (base / "cgroup.controllers").write_text("cpu memory\n")
    with pytest.raises(NotDelegated, match="no controller for pids"):
        Cgroups.at(base, is_root=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="root may write what is not meant for it; others cannot")
def test_what_root_may_write_is_not_delegated_by_that(base: Path) -> None:
    with pytest.raises(NotDelegated, match="not delegated"):
        Cgroups.at(base, is_root=False)


def test_the_root_of_the_machine_is_not_delegated(base: Path) -> None:
    (base / "cgroup.type").unlink()
    with pytest.raises(NotDelegated, match="not delegated"):
        Cgroups.at(base, is_root=True)


@pytest.fixture
def group() -> Iterator[Path | str]:
    """A real group, delegated to whoever starts in it; on a machine that has none to give, why not."""
    try:
        _, root = cgroup._own(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
        here = root / f"slotwise-test-{os.getpid()}"
        missing = cgroup.CONTROLLERS - set((root / "cgroup.controllers").read_text().split())
        if missing:
            raise NotDelegated(f"{root} has no controller for {' and '.join(sorted(missing))}")
        (root / "cgroup.subtree_control").write_text("+memory +pids")
        here.mkdir()
        os.setxattr(here, "user.delegate", b"1")
    except (OSError, NotDelegated) as why:
        yield str(why)
        return
    yield here
    for directory, _, _ in os.walk(here, topdown=False):
        Path(directory).rmdir()


INSIDE = """
import asyncio, os, sys
from pathlib import Path
from slotwise import wire
from slotwise.context import Silence
from slotwise.errors import JobError
from worker.hearing import Hearing
from worker.runner import Runner
from worker.tally import Tally

if sys.argv[1:]:
    Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))

async def call(runner, algorithm, limits, **params):
    job = {"job_id": "x", "attempt": 1, "seconds": 60, **limits}
    try:
        told = {"algorithm": algorithm, "args": [], "params": params, **job}
        return wire.decode(await runner.run(told, Tally(), Silence()))
    except JobError as error:
        return [error.type, error.detail]

async def main():
    hearing = Hearing(lambda words: None, lambda: True)
    runner = Runner(["tests.zoo", "tests.hostile"], hearing, max_result_bytes=1 << 20, max_processes=40)
    link = await runner.start()
    if not sys.argv[1:]:
        print(wire.encode([link.no_groups, await call(runner, "Allocate", {"memory_mb": 64}, mb=30)]).decode())
        return await runner.stop()
    answers = await asyncio.gather(
        call(runner, "AllocatesTogether", {"memory_mb": 64}, children=8, mb=30),
        call(runner, "Allocate", {"memory_mb": 64}, mb=30),
        call(runner, "ForksAsManyAsItMay", {}),
        call(runner, "Flees", {}, processes=3),
    )
    groups = sorted(path.name for path in Path(sys.argv[1]).glob("*/"))
    await runner.stop()
    print(wire.encode([link.no_groups, answers, groups]).decode())

asyncio.run(main())
"""


def inside(*group: Path) -> Any:
    """What the jobs of a runner say that was started in this group, or in no group."""
    told = subprocess.run(
        [sys.executable, "-c", INSIDE, *group], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert told.returncode == 0, told.stderr
    return wire.decode(told.stdout.encode())


@pytest.mark.slow
def test_memory_and_processes_of_a_whole_tree_are_bound(group: Path | str, tell: Tell) -> None:
    """Or, where the machine delegates no group, that this is said, and a job runs all the same."""
    if isinstance(group, str):
        tell(f"LIMITS OF WHOLE TREES ARE NOT TESTED HERE: {group}")
        why, alone = inside()
        assert why and alone == 30
        return
    why, (together, alone, forks, fled), groups = inside(group)
    assert why == ""
    assert together == ["memory_limit", "limit 64 MB; its processes together passed it, and the kernel ended them"]
    assert (alone, forks, fled) == (30, 39, 3)
    assert groups == [LEAF], "a job's group was left behind"
