"""What runs in a job's own process: one call of one algorithm, its outcome as one message, and the end.

The process is forked by the zygote, holds no connection to Redis and no secret of the service, and ends with
`os._exit`: nothing that the zygote registered runs here.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

from arq.worker import Retry

from slotwise import wire
from slotwise.algorithm import Algorithm
from slotwise.context import Context, own_process
from slotwise.errors import JobError, described, exited
from slotwise.limits import Limits
from worker import frames, kernel, voice
from worker.bounds import Bounds

EXIT_SOFTWARE = 70  # EX_SOFTWARE of sysexits.h: a fault outside of the body


def run(channel: socket.socket, parent: int, algorithms: Mapping[str, Algorithm[Any, Any]]) -> NoReturn:
    """Become the job's process: take the call from `channel`, run it, answer, end. Never returns."""
    try:
        kernel.die_with_parent(parent)
        kernel.adopt_orphans()  # its descendants stay below it, so that they are found and killed with it
        _become_plain()
        call, descriptors = _receive(channel)
        context = Context.until(call["job_id"], call["attempt"], call["seconds"], voice.raised(descriptors))
        own_process(context)
        channel.sendall(_answer(call, algorithms, context))
        voice.flush()
    except BrokenPipeError:
        os._exit(0)  # the worker is gone: nobody is there to hear
    except BaseException:
        traceback.print_exc()
        os._exit(EXIT_SOFTWARE)
    os._exit(0)


def _become_plain() -> None:
    """Signals, input and randomness as a freshly started program has them; no core dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    random.seed()


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The call, and the descriptors that came with it."""
    unpacker, passed = frames.Unpacker(), list[int]()
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 2)
        passed += descriptors
        for _, body in unpacker.feed(data):
            return wire.decode(body), passed
        if not data:
            break
    os._exit(0)  # the worker hung up before it said what to run


def _answer(call: Mapping[str, Any], algorithms: Mapping[str, Algorithm[Any, Any]], context: Context) -> bytes:
    """The one message that tells what became of the call."""
    bounds = Bounds(Limits.of(call))
    bounds.impose()
    try:
        result = algorithms[call["algorithm"]].call(call["args"], call["params"], lambda: context)
        bounds.body_ended()
    except BaseException as error:  # whatever a body raises is its outcome, KeyboardInterrupt too
        bounds.body_ended()
        message = _failed(error, bounds)
    else:
        message = _returned(result, bounds)
    overspent = bounds.overspent()
    return message if overspent is None else _failure(overspent)


def _returned(result: Any, bounds: Bounds) -> bytes:
    try:
        return frames.pack(frames.RESULT, wire.encode(result))
    except (ValueError, RecursionError) as error:
        return _failure(JobError("bad_result", f"the result is not JSON: {error}"))
    except BaseException as error:  # no memory for it, which the encoder may tell as a panic
        return _failed(error, bounds)


def _failed(error: BaseException, bounds: Bounds) -> bytes:
    if isinstance(error, Retry):
        return frames.pack(frames.AGAIN, wire.encode((error.defer_score or 0) / 1000))
    if isinstance(error, JobError):
        return _failure(error)
    if isinstance(error, SystemExit):
        return _failure(exited(error))
    return _failure(bounds.refused(error) or described(error))


def _failure(error: JobError) -> bytes:
    return frames.pack(frames.FAILURE, wire.encode(error.as_dict()))
