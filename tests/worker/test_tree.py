"""What the kernel is asked, and that `none` is never its answer to a question that it could not answer."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest

from worker import kernel, shortage, tree

pytestmark = pytest.mark.skipif(not kernel.LINUX, reason="asks /proc")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def no_descriptor() -> Iterator[None]:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    shortage.set_open_files(3)
    yield
    shortage.set_open_files(soft)


@pytest.fixture
def brood() -> Iterator[tree.Brood]:
    brood = tree.Brood()
    yield brood
    brood.close()


def test_children_are_told_until_they_are_reaped(child: subprocess.Popen[bytes], brood: tree.Brood) -> None:
    assert child.pid in tree.children(os.getpid()) & brood.now()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.pid in tree.children(os.getpid()) & brood.now()
    child.wait()
    assert child.pid not in tree.children(os.getpid()) | brood.now()
    assert tree.children(child.pid) == set()


def test_that_nobody_can_say_is_not_none(
    child: subprocess.Popen[bytes], brood: tree.Brood, no_descriptor: None
) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        tree.children(os.getpid())
    assert child.pid in brood.now()


SPENDS = """
import os, signal, time
from worker import tree

pid = os.fork()
if pid == 0:
    if (grandchild := os.fork()) == 0:
        end = time.process_time() + 0.4
        while time.process_time() < end:
            pass
        os._exit(0)
    os.waitpid(grandchild, 0)
    os.kill(os.getpid(), signal.SIGKILL)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
told = tree.own_cpu_seconds_of_next_killed()
_, _, usage = os.wait4(pid, 0)
assert usage.ru_utime + usage.ru_stime >= 0.4, usage
assert told[pid] < 0.2, told
"""


def test_the_cpu_time_of_a_killed_process_is_its_own() -> None:
    """In a process that has no other children: the answer is of whichever ended."""
    subprocess.run([sys.executable, "-c", SPENDS], check=True, timeout=30)
