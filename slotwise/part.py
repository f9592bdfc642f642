"""One process that `slotwise up` looks after: starts it, notices its end, starts it again with a back-off.

Every process has a session of its own, so that a Ctrl-C of the terminal reaches `up` alone, and so that what
it leaves behind can be swept. Never waits: whoever owns a part asks it to look, and tells it the time.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from slotwise.errors import SlotwiseError

SHORT_LIFE_SECONDS: Final = 10.0  # a part that ends sooner than this after its start keeps its back-off
LONGEST_PAUSE_SECONDS: Final = 30.0
PR_SET_PDEATHSIG: Final = 1  # prctl(2)


class Running(Protocol):
    """Something that runs: a child process, or a server that somebody else started."""

    def poll(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""

    def how(self) -> str:
        """How it ended, for people."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it now, with everything in its session's first process group."""


class Child:
    """A process in a session of its own; on Linux the kernel sends it SIGTERM when the caller's process dies."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        output: int | None = None,
        pass_fds: Sequence[int] = (),
        umask: int = -1,
    ) -> None:
        """Start it. `output`: the descriptor that gets its stdout and stderr. Raises: OSError."""
        self._popen = subprocess.Popen(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
            umask=umask,
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - two system calls, and `up` has one thread
        )
        self.pid: Final = self._popen.pid
        self._swept = False

    def poll(self) -> int | None:
        status = self._popen.poll()
        if status is not None:
            self.kill()  # what it left behind goes before it is started again
            self._swept = True
        return status

    def how(self) -> str:
        return how_ended(self._popen.returncode)

    def terminate(self) -> None:
        self._popen.terminate()

    def kill(self) -> None:
        if self._swept:
            return  # its number may be another's by now
        # PermissionError is macOS's word for "only zombies are left in this group".
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self, within: float) -> int | None:
        """Exit status, or None if it still runs after `within` seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(within)
        return self.poll()


class Part:
    """A named process that is kept running. `running` is None while it waits for its next start."""

    def __init__(self, name: str, launch: Callable[[], Running]) -> None:
        self.name: Final = name
        self.running: Running | None = None
        self.due: float | None = None  # time.monotonic() of the next start
        self.starts = 0
        self.status: int | None = None  # exit status of its last end
        self._launch = launch
        self._started_at = 0.0
        self._short_lives = 0

    def start(self, now: float) -> None:
        """Start it. Raises: SlotwiseError, OSError."""
        self.starts += 1
        self.due = None
        self._started_at = now
        self.running = self._launch()

    def tend(self, now: float) -> str | None:
        """Notice its end, start it where that is due; the line to say, if anything ended."""
        if self.running is not None and self.ended():
            ended, self.running = self.running.how(), None
            return self._plan(now, ended)
        if self.due is not None and self.due <= now:
            try:
                self.start(now)
            except (SlotwiseError, OSError) as error:
                return self._plan(now, f"did not start ({error})")
        return None

    def ended(self) -> bool:
        """Whether nothing of it runs."""
        self.status = self.running.poll() if self.running is not None else self.status
        return self.running is None or self.status is not None

    def abandon(self) -> None:
        """Start it no more."""
        self.due = None

    def _plan(self, now: float, ended: str) -> str:
        if now - self._started_at >= SHORT_LIFE_SECONDS:
            self._short_lives = 0
        pause = min(2.0 ** (self._short_lives - 1), LONGEST_PAUSE_SECONDS) if self._short_lives else 0.0
        self._short_lives += 1
        self.due = now + pause
        when = f"in {pause:.0f} s" if pause else "now"
        return f"{self.name} {ended}; starting it again {when}"


def how_ended(status: int) -> str:
    """An exit status as `subprocess` gives it, in words."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def _die_with_parent() -> Callable[[], None] | None:
    """What a child does before its exec, so that it does not outlive a caller that is killed; Linux only."""
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork, as little as possible

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel knew of our wish
            os._exit(1)

    return ask_the_kernel
