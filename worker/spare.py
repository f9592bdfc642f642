"""A process that was forked ahead of its job and waits for it: what a fork costs is paid before the job comes."""

from __future__ import annotations

import os
import signal
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NoReturn

EXIT_SOFTWARE: Final = 70  # EX_SOFTWARE of sysexits.h: a fault of ours, outside of the body


@dataclass
class Spare:
    """It has run nothing. `give` makes it a job's process."""

    pid: int
    _channel: socket.socket

    def give(self, key: str, descriptor: int) -> bool:
        """Let it become the process of the job `key`. False where it has died."""
        try:
            socket.send_fds(self._channel, [key.encode()], [descriptor])
        except (BrokenPipeError, ConnectionResetError):
            return False
        finally:
            self._channel.close()
        return True


def fork(become: Callable[[], None], run: Callable[[str, socket.socket], NoReturn]) -> Spare:
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
        return Spare(pid, ours)
    end = os._exit  # a body may replace it, and the stream that a traceback would go to
    try:
        ours.close()
        become()
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
