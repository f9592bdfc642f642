"""Processes that are forked ahead of their jobs and wait for them: a fork is paid for before the job comes.

Two wait, as a rule: the second is still being made ready when the first gets a job. They are forked when a job has
ended, while the worker claims the next; or when a job has run for a moment: a fork at once would keep the forking
process from seeing that it has ended.
"""

from __future__ import annotations

import os
import signal
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from worker import scratch
from worker.scratch import Scratch

READY: Final = 2
AHEAD_SECONDS: Final = 0.005  # that a job has run before another process is made
EXIT_SOFTWARE: Final = 70  # EX_SOFTWARE of sysexits.h: a fault of ours, outside of the body


@dataclass
class Spare:
    """It has run nothing. `give` makes it a job's process."""

    pid: int
    files: Path  # its own directory for temporary ones
    _channel: socket.socket

    def give(self, key: str, descriptor: int) -> bool:
        """Let it become the process of the job `key`. False where it has died."""
        try:
            socket.send_fds(self._channel, [key.encode()], [descriptor])
        except (BrokenPipeError, ConnectionResetError):
            return False
        finally:
            self.close()
        return True

    def close(self) -> None:
        """Have no more to do with it."""
        self._channel.close()


class Stock:
    """Makes them: `become` is all that can be done ahead, `run` takes the job."""

    def __init__(
        self, files: Scratch, become: Callable[[], None], run: Callable[[str, socket.socket], NoReturn]
    ) -> None:
        self._files = files
        self._become = become
        self._run = run
        self._ready: deque[Spare] = deque()
        self._short = False  # of what a fork takes: none is made ahead
        self._at = 0.0  # when to make one, on time.monotonic()

    def take(self, key: str, descriptor: int) -> Spare:
        """The process that has the job `key` now. Raises: OSError."""
        self._at = time.monotonic() + AHEAD_SECONDS
        self._short = False
        while self._ready:
            first = self._ready.popleft()
            if first.give(key, descriptor):
                return first
        made = self._fork()
        made.give(key, descriptor)
        return made

    def pause(self) -> float | None:
        """Seconds until `fill` has something to do; None: it has not."""
        enough = len(self._ready) >= READY or self._short
        return None if enough else max(0.0, self._at - time.monotonic())

    def hurry(self) -> None:
        """A job has ended: the next one is near."""
        self._at = 0.0

    def fill(self) -> Spare | None:
        """The one that was made just now, if it was time to."""
        if self.pause() != 0:
            return None
        try:
            made = self._fork()
        except OSError:
            self._short = True
            return None
        self._ready.append(made)
        return made

    def check(self, lives: Callable[[int], bool]) -> None:
        """Forget those that are dead: whatever killed them may kill the next."""
        alive = [each for each in self._ready if lives(each.pid)]
        if len(alive) < len(self._ready):
            self._ready, self._short = deque(alive), True

    def leave(self) -> None:
        """In a child: the others are none of its affair."""
        for each in self._ready:
            each.close()

    def _fork(self) -> Spare:
        return fork(self._files.new(), self._become, self._run)


def fork(files: Path, become: Callable[[], None], run: Callable[[str, socket.socket], NoReturn]) -> Spare:
    """Fork one, which does all that it can ahead (`become`), and `run`s once it has a job. Raises: OSError.

    What it is asked or told meanwhile waits until `become` has made it one that heeds it.
    """
    ours, theirs = socket.socketpair()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        return Spare(pid, files, ours)
    end = os._exit  # a body may replace it, and the stream that a traceback would go to
    try:
        ours.close()
        become()
        scratch.use(files)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _wait(theirs, run)
    except BaseException:
        traceback.print_exc()
    finally:
        end(EXIT_SOFTWARE)


def _wait(line: socket.socket, run: Callable[[str, socket.socket], NoReturn]) -> NoReturn:
    with suppress(ConnectionResetError), line:
        key, descriptors, _, _ = socket.recv_fds(line, 256, 1)
        if descriptors:
            os.set_inheritable(descriptors[0], False)
            line.close()
            run(key.decode(), socket.socket(fileno=descriptors[0]))
    os._exit(0)  # the zygote is gone, or needs it no longer
