"""What runs in a job's own process: one call of one algorithm, its outcome as one message, and the end.

The process is forked by the zygote, holds no connection to Redis and no secret of the service, and ends with
`os._exit`: nothing that the zygote registered runs here.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

from arq.worker import Retry

from slotwise import wire
from slotwise.algorithm import Algorithm
from slotwise.errors import MAX_DETAIL_CHARS, JobError, text_of
from worker import frames, kernel

EXIT_SOFTWARE = 70  # EX_SOFTWARE of sysexits.h: a fault outside of the body


def run(channel: socket.socket, parent: int, algorithms: Mapping[str, Algorithm[Any, Any]]) -> NoReturn:
    """Become the job's process: take the call from `channel`, run it, answer, end. Never returns."""
    try:
        kernel.die_with_parent(parent)
        kernel.adopt_orphans()  # its descendants stay below it, so that they are found and killed with it
        _become_plain()
        call = _receive(channel)
        channel.sendall(frames.pack(*_answer(call, algorithms)))
        _flush()
    except BrokenPipeError:
        os._exit(0)  # the worker is gone: nobody is there to hear
    except BaseException:
        traceback.print_exc()
        os._exit(EXIT_SOFTWARE)
    os._exit(0)


def _become_plain() -> None:
    """Signals, input and randomness as a freshly started program has them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    random.seed()


def _receive(channel: socket.socket) -> dict[str, Any]:
    unpacker = frames.Unpacker()
    while data := channel.recv(1 << 16):
        for _, body in unpacker.feed(data):
            call: dict[str, Any] = wire.decode(body)
            return call
    os._exit(0)  # the worker hung up before it said what to run


def _answer(call: Mapping[str, Any], algorithms: Mapping[str, Algorithm[Any, Any]]) -> tuple[bytes, bytes]:
    """The one message that tells what became of the call."""
    try:
        result = algorithms[call["algorithm"]].call(call["args"], call["params"], call)
    except Retry as retry:
        return frames.AGAIN, wire.encode((retry.defer_score or 0) / 1000)
    except JobError as error:
        return frames.FAILURE, wire.encode(error.as_dict())
    except SystemExit as end:
        return frames.FAILURE, wire.encode(exited(end).as_dict())
    except BaseException as error:  # whatever a body raises is its outcome, KeyboardInterrupt too
        return frames.FAILURE, wire.encode(described(error).as_dict())
    try:
        return frames.RESULT, wire.encode(result)
    except (ValueError, RecursionError) as error:
        return frames.FAILURE, wire.encode(JobError("bad_result", f"the result is not JSON: {error}").as_dict())


def exited(end: SystemExit) -> JobError:
    """A body that called `sys.exit`."""
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return JobError("crashed", f"the job called sys.exit({end.code!r})", f"exit code {code}")


def described(error: BaseException) -> JobError:
    """The error as the job's record tells it: type, message, and the end of the traceback."""
    lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-20)
    return JobError("exception", f"{type(error).__name__}: {text_of(error)}", "".join(lines)[-MAX_DETAIL_CHARS:])


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the body closed it
            continue
