"""Cores and memory, as the machine has them or a cgroup allows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.facts import wait_until
from tests.fleet import Fleet
from worker.end import MB
from worker.machine import Machine, machine

AFFINITY = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A /proc and a /sys/fs/cgroup of a process in the cgroup `/jobs/mine`, with no limits."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:  8192000 kB\nMemFree: 1 kB\nMemAvailable:  4096000 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/jobs/mine\n")
    (tmp_path / "cgroup/jobs/mine").mkdir(parents=True)
    return tmp_path


def write(tree: Path, group: str, **files: str) -> None:
    (tree / "cgroup" / group).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (tree / "cgroup" / group / name.replace("__", ".")).write_text(text + "\n")


def seen(tree: Path) -> Machine:
    return machine(tree / "proc", tree / "cgroup")


def test_without_limits_it_is_the_machines(tree: Path) -> None:
    write(tree, "jobs/mine", cpu__max="max 100000", memory__max="max", memory__current="1")
    assert seen(tree) == Machine(AFFINITY, 8000, 4000)


def test_a_quota_is_a_fraction_of_cores_and_the_least_of_all_above_counts(tree: Path) -> None:
    write(tree, "jobs/mine", cpu__max="75000 100000")
    write(tree, "jobs", cpu__max="50000 100000")
    assert seen(tree).cores == 0.5


def test_memory_that_the_kernel_would_give_up_is_free(tree: Path) -> None:
    stat = f"anon 1\ninactive_file {100 * MB}"
    write(tree, "jobs", memory__max=str(512 * MB), memory__current=str(300 * MB), memory__stat=stat)
    assert (seen(tree).memory_mb, seen(tree).memory_free_mb) == (512, 312)


def test_version_1(tree: Path) -> None:
    (tree / "proc/self/cgroup").write_text("3:cpu,cpuacct:/a\n2:memory:/a\n0::/\n")
    write(tree, "cpu/a", cpu__cfs_quota_us="25000", cpu__cfs_period_us="100000")
    write(tree, "memory/a", memory__limit_in_bytes=str(256 * MB), memory__usage_in_bytes=str(56 * MB))
    write(tree, "memory", memory__limit_in_bytes="9223372036854771712", memory__usage_in_bytes="1")
    assert seen(tree) == Machine(0.25, 256, 200)


def test_a_system_that_tells_nothing(tmp_path: Path) -> None:
    of = seen(tmp_path)
    assert (of.cores, of.memory_free_mb) == (AFFINITY, None)
    assert of.row()["memory_free_mb"] == ""


def test_a_worker_tells_what_it_has(fleet: Fleet) -> None:
    front = fleet.front()
    fleet.worker()
    [worker] = wait_until(lambda: front.get("/workers").json()["workers"], what="a worker is listed")
    here = machine()
    assert (worker["cores"], worker["memory_mb"]) == (here.cores, here.memory_mb)
    assert 0 < worker["memory_free_mb"] <= worker["memory_mb"]
