"""The worker's side of jobs that run in processes of their own: run one, hear its outcome, kill its tree.

`run` returns or raises only when nothing of the job's process tree is left: that is when its slot is free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from arq.worker import Retry

from slotwise import wire
from slotwise.errors import JobError
from slotwise.limits import Limits
from worker import frames, shortage
from worker.end import End, describe
from worker.link import Body, Link, ZygoteDied
from worker.shortage import NoProcess

__all__ = ["NoProcess", "Runner", "ZygoteDied"]

FRAME_BYTES: Final = 1 << 16  # that a message may have beyond the result itself
PAUSES: Final = (0.1, 0.2)  # seconds before another try for a process: a shortage often lasts for moments only


class Runner:
    """Runs jobs on a zygote, and on a new one when that has died."""

    def __init__(self, modules: Sequence[str], *, max_result_bytes: int) -> None:
        self._modules = list(modules)
        self._max_result_bytes = max_result_bytes
        self._link: Link | None = None
        self._deadline: float | None = None

    async def start(self) -> Link:
        """The zygote, started if there is none, with the user's modules loaded. Raises: ZygoteDied."""
        link = self._link
        if link is None or not link.open:
            link = self._link = Link(self._modules, self._max_result_bytes + FRAME_BYTES)
        await link.ready()
        if self._deadline is not None:
            link.extend(self._deadline)
        return link

    async def stop(self) -> None:
        """End the zygote, and every job that it still runs; returns when they are gone."""
        if self._link is not None:
            await self._link.stop()

    def extend(self, deadline: float) -> None:
        """From any thread: let jobs live until `deadline` on kernel.clock(), when the kernel ends them all."""
        self._deadline = deadline
        if self._link is not None:
            self._link.extend(deadline)

    async def run(self, call: Mapping[str, Any]) -> wire.RawJson:
        """Run one call (see child.py) in a process of its own: its result, as JSON bytes.

        Cancelling this kills the whole process tree first. Raises: JobError, Retry, ZygoteDied; NoProcess when
        the machine has none for it: then the body has not begun.
        """
        try:
            message = frames.pack(frames.CALL, wire.encode(call))
        except ValueError as error:
            raise JobError("bad_params", f"the parameters are not JSON: {error}") from None
        for pause in PAUSES:
            try:
                return await self._run(message, Limits.of(call))
            except NoProcess:
                await asyncio.sleep(pause)
        return await self._run(message, Limits.of(call))

    async def _run(self, message: bytes, limits: Limits) -> wire.RawJson:
        with shortage.as_no_process():
            link = await self.start()
            body = link.spawn()
        cancelled = not await self._sent(link, body, message)
        while not body.ended.done():
            try:
                await asyncio.wait([body.ended])
            except asyncio.CancelledError:
                cancelled = True
                link.kill(body)
        link.forget(body)
        if cancelled:
            body.ended.exception()  # seen, if there is one
            raise asyncio.CancelledError
        return self._result(body, body.ended.result(), limits)

    async def _sent(self, link: Link, body: Body, message: bytes) -> bool:
        """Tell the body what to run. False when this was cancelled, and the body is killed."""
        try:
            with suppress(OSError):  # it died before it read its call: `ended` says so
                await asyncio.get_running_loop().sock_sendall(body.channel, message)
        except asyncio.CancelledError:
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
                raise Retry(defer=float(value))
            if kind == frames.FAILURE:
                raise JobError(str(value["type"]), str(value["message"]), value["detail"])
        except (ValueError, TypeError, KeyError) as error:
            raise JobError("bad_result", f"the job's process answered nonsense: {error}") from None
        if len(message) > self._max_result_bytes:
            raise JobError("bad_result", f"the result is over {self._max_result_bytes} bytes (MAX_RESULT_BYTES)")
        return wire.RawJson(message)
