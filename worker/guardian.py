"""The zygote's parent: heir of what a zygote leaves behind that was killed, and the last one to go.

It loads no user code, is told nothing, and cannot be kept stopped. When the zygote has ended, by itself, by the
kernel's timer or by a job that killed it, the guardian kills whatever is left below it, environment and session
whatever they may be; only then does it say so, and the worker gives the slots back. Files it removes after that.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from worker import kernel
from worker.scratch import Scratch
from worker.tree import Brood

RESTART_SECONDS: Final = 0.1  # that somebody can keep it stopped
NOTHING_LEFT: Final = b"."  # what it says, before its line closes


def stand_by(scratch: Scratch, line: int, descriptors: Iterable[int]) -> bool:
    """Fork. Returns in the child, which is to be the zygote; the parent watches it, and never returns.

    `line` is the guardian's alone, `descriptors` are the zygote's. False, and nothing is done, where the kernel
    gives orphans to nobody of ours (macOS).
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
    for descriptor in descriptors:
        os.close(descriptor)
    watch(zygote, scratch, line)
    os._exit(0)


def say_nothing_left(line: int) -> None:
    with suppress(BrokenPipeError):  # the worker is dead
        os.write(line, NOTHING_LEFT)
    os.close(line)


def watch(zygote: int, scratch: Scratch, line: int) -> None:
    """Until the zygote has ended, and nothing is left below this process; then remove its files."""
    os.set_inheritable(line, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    restart = kernel.Restart(RESTART_SECONDS)  # noqa: F841  (it lives as long as we do)
    brood = Brood()  # while there is a descriptor for it
    with suppress(OSError):  # no process to be had: whoever starts next removes it
        scratch.sweep()
    while os.wait()[0] != zygote:
        pass
    brood.end()
    say_nothing_left(line)
    scratch.remove()
