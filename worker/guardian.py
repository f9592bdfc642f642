"""The zygote's parent: heir of what a zygote leaves behind that was killed, and the last one to go.

It loads no user code, is told nothing, and cannot be kept stopped. When the zygote has ended, by itself, by the
kernel's timer or by a job that killed it, the guardian kills whatever is left below it, environment and session
whatever they may be; only then does it say so, and the worker gives the slots back. Files it removes after that.
A zygote that does not see that its worker is gone, as one that hangs while it loads, is ended by the guardian.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import Final

from worker import kernel
from worker.scratch import Scratch
from worker.tree import Brood

RESTART_SECONDS: Final = 0.1  # that somebody can keep it stopped
LEAVE_SECONDS: Final = 1.0  # that the zygote has to end by itself once its worker is gone
NOTHING_LEFT: Final = b"."  # what it says, before its line closes


def stand_by(scratch: Scratch, line: int, lifeline: int, control: int) -> bool:
    """Fork. Returns in the child, which is to be the zygote; the parent watches it, and never returns.

    `line` is the guardian's alone, `control` the zygote's; `lifeline` closes when the worker is gone. False, and
    nothing is done, where the kernel gives orphans to nobody of ours (macOS).
    """
    if not kernel.adopt_orphans():
        return False
    guardian = os.getpid()
    zygote = os.fork()
    if zygote == 0:
        kernel.die_with_parent(guardian)
        scratch.pass_on()
        os.close(line)
        return True
    os.close(control)
    watch(zygote, scratch, line, lifeline)
    os._exit(0)


def say_nothing_left(line: int) -> None:
    with suppress(BrokenPipeError):  # the worker is dead
        os.write(line, NOTHING_LEFT)
    os.close(line)


def watch(zygote: int, scratch: Scratch, line: int, lifeline: int) -> None:
    """Until the zygote has ended, and nothing is left below this process; then remove its files."""
    os.set_inheritable(line, False)
    os.set_inheritable(lifeline, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    restart = kernel.Restart(RESTART_SECONDS)  # noqa: F841  (it lives as long as we do)
    brood = Brood()  # while there is a descriptor for it
    with suppress(OSError):  # no process to be had: whoever starts next removes it
        scratch.sweep()
    _outlive(zygote, lifeline)
    brood.end()
    say_nothing_left(line)
    scratch.remove()


def _outlive(zygote: int, lifeline: int) -> None:
    told, tell = os.pipe()
    os.set_blocking(told, False)
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poll = select.poll()
    poll.register(told, select.POLLIN)
    poll.register(lifeline, 0)  # that it closes is told in any case
    strike_at: float | None = None
    while not _reaped(zygote):
        pause = None if strike_at is None else max(0.0, strike_at - time.monotonic())
        found = dict(poll.poll(None if pause is None else pause * 1000))
        if told in found:
            os.read(told, 4096)
        if lifeline in found:
            poll.unregister(lifeline)
            strike_at = time.monotonic() + LEAVE_SECONDS
        elif pause == 0:
            os.kill(zygote, signal.SIGKILL)
            strike_at = None


def _reaped(zygote: int) -> bool:
    """Reap what has ended: whether the zygote has."""
    while True:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid in (0, zygote):
            return pid == zygote
