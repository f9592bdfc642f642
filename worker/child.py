"""What runs in a job's own process: one call of one algorithm, its outcome as one message, and the end.

The process is forked by the zygote, holds no connection to Redis and no secret of the service, and ends with
`os._exit`: nothing that the zygote registered runs here.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any, Final, NoReturn

from slotwise import wire
from slotwise.algorithm import Algorithm
from slotwise.context import Context, own_process
from slotwise.errors import Cancelled, JobError
from slotwise.failure import named, pause_seconds
from slotwise.limits import Limits
from slotwise.trace import Trace
from worker import frames, kernel, voice
from worker.bounds import Bounds
from worker.spare import EXIT_SOFTWARE


class Interruption:
    """SIGINT's handler: in a body it raises what Python code can see, elsewhere it does nothing."""

    def __init__(self) -> None:
        self.context: Context | None = None  # set while the body runs

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.context is not None:
            raise Cancelled if self.context.cancelled else KeyboardInterrupt


_interruption: Final = Interruption()
REHEARSAL: Final = Algorithm(lambda: None, "rehearsal")


def become(parent: int) -> None:
    """All that needs no job: live and die with `parent`; signals, input and randomness as a fresh program's."""
    kernel.die_with_parent(parent)
    kernel.adopt_orphans()  # its descendants stay below it, so that they are found and killed with it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _interruption)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if "numpy.random" in sys.modules:  # `random` sees to itself after a fork
        sys.modules["numpy.random"].seed()


def rehearse() -> None:
    """Call nothing at all: after a fork the first touch of each page costs a copy. Better now than in a job."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told = {"algorithm": REHEARSAL.name, "args": [], "params": {}, "job_id": "", "attempt": 0, "seconds": 1.0}
        theirs.sendall(frames.pack(frames.CALL, wire.encode(told)))
        call, _ = _receive(ours)
        context = Context.until(call["job_id"], call["attempt"], call["seconds"])
        theirs.sendall(_answer(call, {REHEARSAL.name: REHEARSAL}, context))


def run(
    channel: socket.socket,
    algorithms: Mapping[str, Algorithm[Any, Any]],
    enter_group: Callable[[int | None], None] | None = None,
) -> NoReturn:
    """Take the call from `channel`, run it, answer, end. Never returns.

    `enter_group` takes the job's `memory_mb`, and puts this process into a control group of its own.

    What a body may have replaced since, or may share with a copy of its process, is looked at before the answer.
    """
    end, process_id = os._exit, os.getpid
    me, ours, status = process_id(), _identity(channel), 0
    try:
        call, descriptors = _receive(channel)
        if enter_group is not None:
            with suppress(OSError):  # the limits of each process hold in any case
                enter_group(Limits.of(call).memory_mb)
        trace = Trace.of(call)
        if trace.parent:
            os.environ["TRACEPARENT"] = trace.parent  # for what the body starts
        context = Context.until(call["job_id"], call["attempt"], call["seconds"], voice.raised(descriptors), trace)
        own_process(context)
        answer = _answer(call, algorithms, context)
        if process_id() == me:  # not a copy that the body forked, and let return
            if _identity(channel) == ours:
                channel.sendall(answer)
            else:  # the body closed it, and something of its own has that number now
                status = EXIT_SOFTWARE
        voice.flush()
    except BrokenPipeError:
        end(0)  # the worker is gone: nobody is there to hear
    except BaseException:
        traceback.print_exc()
        end(EXIT_SOFTWARE)
    end(status)


def _identity(channel: socket.socket) -> tuple[int, int]:
    """Of what is open under its number, whatever that is."""
    found = os.fstat(channel.fileno())
    return found.st_dev, found.st_ino


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
        result = _body(algorithms[call["algorithm"]], call, context)
        bounds.body_ended()
    except BaseException as error:  # whatever a body raises is its outcome, KeyboardInterrupt too
        bounds.body_ended()
        message = _failed(error, bounds)
    else:
        message = _returned(result, bounds)
    overspent = bounds.overspent()
    return message if overspent is None else _failure(overspent)


def _body(algorithm: Algorithm[Any, Any], call: Mapping[str, Any], context: Context) -> Any:
    _interruption.context = context
    try:
        if context.cancelled:  # the SIGINT may have come before anybody heard it
            raise Cancelled
        return algorithm.call(call["args"], call["params"], lambda: context)
    finally:
        _interruption.context = None


def _returned(result: Any, bounds: Bounds) -> bytes:
    try:
        return frames.pack(frames.RESULT, wire.encode(result))
    except (ValueError, RecursionError) as error:
        return _failure(JobError("bad_result", f"the result is not JSON: {error}"))
    except BaseException as error:  # no memory for it, which the encoder may tell as a panic
        return _failed(error, bounds)


def _failed(error: BaseException, bounds: Bounds) -> bytes:
    pause = pause_seconds(error)
    if pause is not None:
        return frames.pack(frames.AGAIN, wire.encode(pause))
    return _failure(bounds.refused(error) or named(error))


def _failure(error: JobError) -> bytes:
    return frames.pack(frames.FAILURE, wire.encode(error.as_dict()))
