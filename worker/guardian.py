"""The zygote's parent: heir of what a zygote leaves behind that was killed, and the last one to go.

It loads no user code, is told nothing, and cannot be kept stopped. When the zygote has ended, by itself, by the
kernel's timer or by a job that killed it, the guardian kills whatever is left below it, environment and session
whatever they may be; only then does it end, and the worker gives the slots back.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import Final

from worker import kernel
from worker.scratch import Scratch
from worker.tree import Brood

RESTART_SECONDS: Final = 0.1  # that somebody can keep it stopped
DIED: Final = 1  # exit status, when the zygote was killed


def stand_by(scratch: Scratch, descriptors: Iterable[int]) -> None:
    """Fork. Returns in the child, which is to be the zygote; the parent watches it, and never returns.

    `descriptors` are the zygote's alone. Does nothing where the kernel gives orphans to nobody of ours (macOS).
    """
    if not kernel.adopt_orphans():
        return
    guardian = os.getpid()
    zygote = os.fork()
    if zygote == 0:
        kernel.die_with_parent(guardian)
        scratch.pass_on()
        return
    for descriptor in descriptors:
        os.close(descriptor)
    os._exit(_watch(zygote, scratch))


def _watch(zygote: int, scratch: Scratch) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    restart = kernel.Restart(RESTART_SECONDS)  # noqa: F841  (it lives as long as we do)
    brood = Brood()  # while there is a descriptor for it
    scratch.sweep()
    _, status = os.waitpid(zygote, 0)
    brood.end()
    scratch.remove()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else DIED
