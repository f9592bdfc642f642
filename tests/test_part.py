"""A part: real processes, and a clock that the test sets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slotwise.errors import SlotwiseError
from slotwise.part import Child, Part, Running, how_ended
from tests.facts import alive, wait_until


def ended(part: Part, now: float) -> str:
    """The line about the end of a part that is about to end."""
    wait_until(lambda: part.running is not None and part.running.poll() is not None)
    line = part.tend(now)
    assert line is not None
    return line


def test_it_starts_again_at_once_and_then_later_and_later() -> None:
    part = Part("it", lambda: Child(["false"]))
    part.start(0.0)
    lines, pauses, now = [], [], 0.0
    for _ in range(8):
        lines.append(ended(part, now))
        assert part.due is not None
        pauses.append(part.due - now)
        now = part.due
        assert part.tend(now) is None, "a start says nothing"
        assert part.running is not None
    assert pauses == [0, 1, 2, 4, 8, 16, 30, 30]
    assert lines[0] == "it ended with status 1; starting it again now"
    assert lines[2] == "it ended with status 1; starting it again in 2 s"
    assert part.starts == 9
    wait_until(part.ended)


def test_a_long_life_clears_the_pause() -> None:
    part = Part("it", lambda: Child(["false"]))
    part.start(0.0)
    ended(part, 0.0)
    part.tend(0.0)
    assert ended(part, 5.0).endswith("in 1 s")
    part.tend(6.0)
    assert ended(part, 16.0).endswith("now")


def test_it_is_not_started_before_it_is_due() -> None:
    part = Part("it", lambda: Child(["false"]))
    part.start(0.0)
    ended(part, 0.0)
    part.tend(0.0)
    ended(part, 0.0)
    assert part.tend(0.9) is None
    assert part.running is None
    part.abandon()
    assert part.tend(100.0) is None
    assert part.running is None


def test_a_start_that_fails_is_said_and_tried_again() -> None:
    def launch() -> Running:
        if part.starts == 2:
            raise SlotwiseError("no-server", "no room")
        return Child(["true"])

    part = Part("it", launch)
    part.start(0.0)
    ended(part, 0.0)
    assert part.tend(0.0) == "it did not start (no room); starting it again in 1 s"
    assert part.tend(1.0) is None
    assert part.starts == 3
    wait_until(part.ended)


def test_how_it_ended_is_said_in_words() -> None:
    assert how_ended(3) == "ended with status 3"
    assert how_ended(-signal.SIGKILL) == "was ended by SIGKILL"
    assert how_ended(-60) == "was ended by signal 60"


def test_what_it_leaves_behind_goes_with_it(tmp_path: Path) -> None:
    left = tmp_path / "pid"
    child = Child(["sh", "-c", f"sleep 60 & echo $! >{left}; exit 3"])
    assert child.wait(10) == 3
    pid = int(left.read_text())
    wait_until(lambda: not alive(pid), what="the end of the process left behind")


def test_its_session_is_its_own_and_kill_takes_the_group(tmp_path: Path) -> None:
    left = tmp_path / "pid"
    child = Child(["sh", "-c", f"trap '' TERM; sleep 60 & echo $! >{left}; wait"])
    wait_until(lambda: left.exists() and left.read_text().strip())
    assert os.getsid(child.pid) == child.pid
    child.kill()
    assert child.wait(10) == -signal.SIGKILL
    wait_until(lambda: not alive(int(left.read_text())))
    child.kill()  # the number may be another's by now: nothing happens


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_it_does_not_outlive_a_killed_parent() -> None:
    program = (
        "import time; from slotwise.part import Child\n"
        "print(Child(['sleep', '60']).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    wait_until(lambda: not alive(pid), what="the end of the child")
