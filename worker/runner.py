"""The worker's side of jobs that run in processes of their own: run one, hear its outcome, kill its tree.

`run` returns or raises only when nothing of the job's process tree is left: that is when its slot is free.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from arq.worker import Retry

from slotwise import wire
from slotwise.context import Voice
from slotwise.errors import JobError
from slotwise.failure import MOST_PAUSE_SECONDS, OWN_TYPES
from slotwise.limits import Limits
from worker import frames, shortage
from worker.capture import Capture
from worker.end import End, describe
from worker.grace import NO_GRACE, Grace
from worker.hearing import Hearing
from worker.link import Body, Link, Unloadable, ZygoteDied
from worker.page import Pages
from worker.shortage import NoProcess, NoZygote
from worker.tally import Tally

__all__ = ["NoProcess", "Runner", "Unloadable", "ZygoteDied"]

FRAME_BYTES: Final = 1 << 16  # that a message may have beyond the result itself
PAUSES: Final = (0.1, 0.2)  # seconds before another try for a process: a shortage often lasts for moments only
AGAIN_SECONDS: Final = 1.0  # before a zygote that could not load is tried again; doubled each time
AGAIN_MOST_SECONDS: Final = 30.0


class Runner:
    """Runs jobs on a zygote, and on a new one when that has died."""

    def __init__(
        self, modules: Sequence[str], hearing: Hearing, *, max_result_bytes: int, max_processes: int = 1024
    ) -> None:
        self._modules = list(modules)
        self._hearing = hearing
        self._pages = Pages()
        self._max_result_bytes = max_result_bytes
        self._max_processes = max_processes
        self._link: Link | None = None
        self._loading: asyncio.Task[Link] | None = None
        self._failures = 0  # to load, one after the other
        self._again_at = 0.0  # on the monotonic clock
        self._deadline: float | None = None

    async def start(self) -> Link:
        """The zygote, started if there is none, with the user's modules loaded. Raises: ZygoteDied, OSError."""
        if self._loading is None or (self._loading.done() and not self._up):
            self._loading = asyncio.get_running_loop().create_task(self._load())
            self._loading.add_done_callback(lambda task: task.cancelled() or task.exception())  # seen by somebody
        return await asyncio.shield(self._loading)  # whoever waits may be cancelled, and it goes on

    @property
    def _up(self) -> bool:
        return self._link is not None and self._link.open

    async def _load(self) -> Link:
        link = self._link = Link(self._modules, self._max_result_bytes + FRAME_BYTES, self._max_processes)
        try:
            await link.ready()
        except ZygoteDied:
            pause = min(AGAIN_MOST_SECONDS, AGAIN_SECONDS * 2 ** min(self._failures, 16))
            self._failures += 1
            await link.stop()  # it may be stuck, and not dead
            self._again_at = time.monotonic() + pause
            raise
        self._failures = 0
        if self._deadline is not None:
            link.extend(self._deadline)
        return link

    async def _zygote(self) -> Link:
        """As `start`, for a job, which is not to blame for what does not load. Raises: NoZygote, OSError."""
        wait = self._again_at - time.monotonic()
        if wait > 0 and not self._up:
            raise NoZygote("the algorithms could not be loaded", wait)
        try:
            return await self.start()
        except ZygoteDied as error:
            raise NoZygote(str(error), max(0.0, self._again_at - time.monotonic())) from None

    async def stop(self) -> None:
        """End the zygote, and every job that it still runs; returns when they are gone."""
        if self._loading is not None:
            self._loading.cancel()
        if self._link is not None:
            await self._link.stop()
        self._pages.close()

    def extend(self, deadline: float) -> None:
        """From any thread: let jobs live until `deadline` on kernel.clock(), when the kernel ends them all."""
        self._deadline = deadline
        if self._link is not None:
            self._link.extend(deadline)

    async def run(
        self,
        call: Mapping[str, Any],
        tally: Tally,
        voice: Voice,
        grace: Callable[[], Grace] = lambda: NO_GRACE,
        begins: Callable[[], None] = lambda: None,
    ) -> wire.RawJson:
        """Run one call (see child.py) in a process of its own: its result, as JSON bytes.

        `begins` is called when its process is told of it, once for each try: that is when its time begins.

        Cancelling this ends the whole process tree first, with the `grace` that there is then; cancelling it once
        more, with none. Raises: JobError, Retry, ZygoteDied; NoProcess when
        the machine has none for it: then the body has not begun.
        """
        try:
            message = frames.pack(frames.CALL, wire.encode(call))
        except ValueError as error:
            raise JobError("bad_params", f"the parameters are not JSON: {error}") from None
        for pause in PAUSES:
            try:
                return await self._run(message, Limits.of(call), tally, voice, grace, begins)
            except NoZygote:
                raise
            except NoProcess:
                await asyncio.sleep(pause)
        return await self._run(message, Limits.of(call), tally, voice, grace, begins)

    async def _run(
        self,
        message: bytes,
        limits: Limits,
        tally: Tally,
        voice: Voice,
        grace: Callable[[], Grace],
        begins: Callable[[], None],
    ) -> wire.RawJson:
        with shortage.as_no_process():
            link = await self._zygote()
            capture = Capture(self._pages, self._hearing, voice)
            try:
                body = link.spawn()
            except OSError:
                capture.close()
                raise
        begins()
        cancelled = not await self._sent(link, body, message, capture, tally)
        while not body.ended.done():
            try:
                await asyncio.wait([body.ended])
            except asyncio.CancelledError:
                capture.cancel()
                await self._end(link, body, tally, NO_GRACE if cancelled else grace())
                cancelled = True
        link.forget(body)
        capture.close()
        if body.ended.exception() is None:  # and seen, if there is one
            tally.used(body.ended.result())
        if cancelled:
            raise asyncio.CancelledError
        return self._result(body, body.ended.result(), limits)

    async def _end(self, link: Link, body: Body, tally: Tally, grace: Grace) -> None:
        """Ask, then SIGTERM, then SIGKILL, as far as needed; a cancel meanwhile leads to SIGKILL at once."""
        steps = (("cancel", link.ask, grace.cancel_seconds), ("SIGTERM", link.terminate, grace.kill_seconds))
        with suppress(asyncio.CancelledError):
            for name, take, seconds in steps:
                if seconds > 0 and not body.ended.done():
                    tally.step(name)
                    take(body)
                    await asyncio.wait([body.ended], timeout=seconds)
        if not body.ended.done():
            tally.step("SIGKILL")
            link.kill(body)

    async def _sent(self, link: Link, body: Body, message: bytes, capture: Capture, tally: Tally) -> bool:
        """Tell the body what to run. False when this was cancelled, and the body is killed."""
        try:
            with suppress(OSError):  # it died before it read its call: `ended` says so
                rest = message[_begun(body.channel, message, capture.descriptors) :]
                capture.passed()
                if rest:
                    await asyncio.get_running_loop().sock_sendall(body.channel, rest)
        except asyncio.CancelledError:
            tally.step("SIGKILL")
            link.kill(body)
            return False
        return True

    def _result(self, body: Body, end: End, limits: Limits) -> wire.RawJson:
        if body.outcome is None:
            raise describe(end, limits)
        kind, message = body.outcome
        try:
            value = wire.decode(message)
            if kind == frames.AGAIN:
                raise Retry(defer=min(MOST_PAUSE_SECONDS, max(0.0, float(value))))
            if kind == frames.FAILURE:
                raise _failure(value)
            if kind != frames.RESULT:
                raise ValueError(f"a message of kind {kind!r}")
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise JobError("bad_result", f"the job's process answered nonsense: {error}") from None
        if len(message) > self._max_result_bytes:
            raise JobError("bad_result", f"the result is over {self._max_result_bytes} bytes (MAX_RESULT_BYTES)")
        return wire.RawJson(message)


def _failure(told: Mapping[str, Any]) -> JobError:
    """What the job's process says of its failure. Raises: ValueError, TypeError or KeyError for nonsense."""
    if told["type"] not in OWN_TYPES:
        raise ValueError(f"an error of type {str(told['type'])[:40]!r}")
    return JobError(told["type"], str(told["message"]), told["detail"])


def _begun(channel: socket.socket, message: bytes, descriptors: list[int]) -> int:
    """Send what the socket takes of `message`, descriptors with it: how many bytes. Raises: OSError."""
    try:
        return socket.send_fds(channel, [message], descriptors)
    except OSError as error:
        if error.errno not in shortage.ERRNOS:
            raise
        return 0  # too many descriptors are on their way: it runs unheard
