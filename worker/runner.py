"""The worker's side of jobs that run in processes of their own: start one, hear its outcome, kill its tree.

`run` returns or raises only when nothing of the job's process tree is left: that is when its slot is free.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from arq.worker import Retry
from pydantic_core import to_json

from slotwise import wire
from slotwise.errors import JobError
from worker import frames
from worker.zygote import DEADLINE

READY_SECONDS: Final = 120.0  # that the user's modules may take to load
STOP_SECONDS: Final = 5.0


class ZygoteDied(RuntimeError):
    """The process that forks jobs ended, and with it every job's process: not the fault of this job alone."""


@dataclass
class _Body:
    """One job's process, as far as the worker knows: its messages so far, and when its tree is gone."""

    key: str
    channel: socket.socket
    unpacker: frames.Unpacker
    ended: asyncio.Future[int]  # wait status
    outcome: tuple[bytes, bytes] | None = None


class Runner:
    """One zygote and the jobs that it runs. Not for use before `start` has returned."""

    def __init__(self, modules: Sequence[str], *, max_result_bytes: int) -> None:
        self._modules = list(modules)
        self._max_result_bytes = max_result_bytes
        self._bodies: dict[str, _Body] = {}
        self._keys = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._deadline: float | None = None
        self._starting = asyncio.Lock()
        self._open = False  # the zygote is there, as far as we have heard

    async def start(self) -> None:
        """Start the zygote, until the user's modules are loaded. Raises: ZygoteDied if they cannot be."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        os.set_blocking(self._lifeline, False)
        command = [sys.executable, "-P", "-m", "worker.zygote", str(theirs.fileno()), str(lifeline)]
        self._process = subprocess.Popen(  # noqa: ASYNC220  (it forks at once; nothing here waits)
            command, stdin=subprocess.PIPE, pass_fds=[theirs.fileno(), lifeline], start_new_session=True
        )
        theirs.close()
        os.close(lifeline)
        assert self._process.stdin is not None
        self._process.stdin.write(to_json({"path": sys.path, "modules": self._modules}))
        self._process.stdin.close()
        ours.setblocking(False)
        self._control = ours
        self._unpacker = frames.Unpacker()
        self._ready: asyncio.Future[bool] = loop.create_future()
        loop.add_reader(ours, self._hear)
        self._open = True
        async with asyncio.timeout(READY_SECONDS):
            if not await self._ready:
                raise ZygoteDied("the algorithms could not be loaded")
        if self._deadline is not None:
            self.extend(self._deadline)

    async def stop(self) -> None:
        """End the zygote, and every job that it still runs; returns when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        self._hang_up()
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def extend(self, deadline: float) -> None:
        """From any thread: let jobs live until `deadline` on kernel.clock(), when the kernel ends them all."""
        self._deadline = deadline
        if self._lifeline >= 0:
            with suppress(BlockingIOError, BrokenPipeError):  # full: the zygote is stopped, and its timer runs
                os.write(self._lifeline, DEADLINE.pack(deadline))

    async def run(self, call: Mapping[str, Any]) -> wire.RawJson:
        """Run one call (see child.py) in a process of its own: its result, as JSON bytes.

        Cancelling this kills the whole process tree first. Raises: JobError, Retry, ZygoteDied.
        """
        try:
            message = frames.pack(frames.CALL, wire.encode(call))
        except ValueError as error:
            raise JobError("bad_params", f"the parameters are not JSON: {error}") from None
        async with self._starting:
            if not self._open:
                await self.start()
        body = self._spawn()
        cancelled = not await self._sent(body, message)
        while not body.ended.done():
            try:
                await asyncio.wait([body.ended])
            except asyncio.CancelledError:
                cancelled = True
                self._kill(body)
        self._forget(body)
        if cancelled:
            raise asyncio.CancelledError
        return self._result(body, body.ended.result())

    def _spawn(self) -> _Body:
        loop = asyncio.get_running_loop()
        self._keys += 1
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        unpacker = frames.Unpacker(self._max_result_bytes + (1 << 16))
        body = self._bodies[str(self._keys)] = _Body(str(self._keys), ours, unpacker, loop.create_future())
        loop.add_reader(ours, self._read, body)
        self._order(frames.pack(frames.SPAWN, body.key.encode()), theirs)
        theirs.close()
        return body

    async def _sent(self, body: _Body, message: bytes) -> bool:
        """Tell the body what to run. False when this was cancelled, and the body is killed."""
        try:
            with suppress(OSError):  # it died before it read its call: ENDED says so
                await asyncio.get_running_loop().sock_sendall(body.channel, message)
        except asyncio.CancelledError:
            self._kill(body)
            return False
        return True

    def _kill(self, body: _Body) -> None:
        self._order(frames.pack(frames.KILL, body.key.encode()))

    def _order(self, message: bytes, passed: socket.socket | None = None) -> None:
        """Tell the zygote. A zygote that does not listen is as good as dead: it is ended, and its jobs with it."""
        try:
            if passed is None:
                self._control.sendall(message)
            else:
                socket.send_fds(self._control, [message], [passed.fileno()])
        except OSError:
            if self._process is not None:
                self._process.kill()

    def _hear(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        for kind, message in self._unpacker.feed(data):
            if kind == frames.READY:
                self._ready.set_result(True)
            elif kind == frames.ENDED:
                told = wire.decode(message)
                self._end(self._bodies[told["key"]], told["status"])
        if not data:
            self._zygote_gone()

    def _end(self, body: _Body, status: int) -> None:
        self._read(body)  # what it said last may stand in the socket still
        if not body.ended.done():
            body.ended.set_result(status)

    def _zygote_gone(self) -> None:
        self._hang_up()
        if self._process is not None:
            self._process.kill()
            self._process.wait()  # it has closed its end: it is dead, or as good as dead
        if not self._ready.done():
            self._ready.set_result(False)
        for body in self._bodies.values():
            if not body.ended.done():
                body.ended.set_exception(ZygoteDied("the process that runs jobs has ended"))

    def _hang_up(self) -> None:
        self._open = False
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control)
        self._control.close()
        if self._lifeline >= 0:
            lifeline, self._lifeline = self._lifeline, -1
            os.close(lifeline)

    def _read(self, body: _Body) -> None:
        while True:
            try:
                data = body.channel.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            try:
                for message in body.unpacker.feed(data):
                    body.outcome = body.outcome or message
            except ValueError:
                body.outcome = body.outcome or (frames.FAILURE, wire.encode(self._too_large().as_dict()))
                self._kill(body)  # it would wait for ever to be read to the end
                data = b""
            if not data:
                asyncio.get_running_loop().remove_reader(body.channel)
                return

    def _forget(self, body: _Body) -> None:
        asyncio.get_running_loop().remove_reader(body.channel)
        body.channel.close()
        self._bodies.pop(body.key, None)

    def _result(self, body: _Body, status: int) -> wire.RawJson:
        if body.outcome is None:
            raise _crashed(status)
        kind, message = body.outcome
        try:
            value = wire.decode(message)
            if kind == frames.AGAIN:
                raise Retry(defer=float(value))
            if kind == frames.FAILURE:
                raise JobError(str(value["type"]), str(value["message"]), value["detail"])
        except (ValueError, TypeError, KeyError) as error:
            raise JobError("bad_result", f"the job's process answered nonsense: {error}") from None
        if len(message) > self._max_result_bytes:
            raise self._too_large()
        return wire.RawJson(message)

    def _too_large(self) -> JobError:
        return JobError("bad_result", f"the result is over {self._max_result_bytes} bytes (MAX_RESULT_BYTES)")


def _crashed(status: int) -> JobError:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return JobError(
            "crashed", f"the job's process ended with exit code {code} and no result", f"exit code {code}"
        )
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return JobError("crashed", f"the job's process was killed by {name}", f"signal {-code} ({name})")
