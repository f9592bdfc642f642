"""One zygote as the worker sees it: its process, the sockets to it, and the bodies that it runs.

A link is used once: when its zygote has ended, everything on it has, and a new link is made.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from slotwise import wire
from slotwise.errors import JobError
from worker import frames, shortage
from worker.end import End
from worker.household import Household
from worker.shortage import NoProcess
from worker.zygote import DEADLINE

READY_SECONDS: Final = 900.0  # that the user's modules and start-up hooks may take to load
SHORT_SECONDS: Final = 0.02  # until an order is sent again for which the kernel had no room
RECEIVE_BYTES: Final = 1 << 18  # at once


class ZygoteDied(RuntimeError):
    """The process that forks jobs ended, and with it every job's process: not the fault of this job alone."""


class Unloadable(ZygoteDied):
    """It could not load the algorithms, and has said why on standard error."""


@dataclass
class Body:
    """One job's process, as far as the worker knows: what it has said so far, and when its tree is gone."""

    key: str
    channel: socket.socket
    unpacker: frames.Unpacker
    ended: asyncio.Future[End]
    outcome: tuple[bytes, bytes] | None = None


@dataclass
class _Order:
    """`passed` goes with a SPAWN, of `body`."""

    message: bytes
    passed: socket.socket | None = None
    body: Body | None = None


class Link:
    def __init__(self, modules: Sequence[str], max_message_bytes: int, processes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_message_bytes = max_message_bytes
        self.no_groups = ""
        self._bodies: dict[str, Body] = {}
        self._keys = 0
        self._unpacker = frames.Unpacker()
        self._orders: deque[_Order] = deque()
        self._ready: asyncio.Future[bool] = self._loop.create_future()
        self._unloadable = False
        self._buried: asyncio.Task[None] | None = None
        start = {
            "path": sys.path,
            "modules": list(modules),
            "open_files": shortage.raise_open_files(),
            "processes": processes,
        }
        with ExitStack() as undo:
            self._control, theirs = socket.socketpair()
            undo.enter_context(self._control)
            with theirs:
                lifeline, self._lifeline = os.pipe()
                undo.callback(os.close, self._lifeline)
                try:
                    self._household = Household(theirs.fileno(), lifeline, start)
                finally:
                    os.close(lifeline)
            undo.pop_all()
        os.set_blocking(self._lifeline, False)
        self._control.setblocking(False)
        self.open = True
        self._loop.add_reader(self._control, self._hear)

    async def ready(self) -> None:
        """Return once the user's modules are loaded. Raises: Unloadable; ZygoteDied if it was killed."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                if not await asyncio.shield(self._ready):
                    raise self._why_it_ended()
        except TimeoutError:
            sys.stderr.write(f"slotwise: the algorithms' modules took over {READY_SECONDS:.0f} s to load\n")
            raise Unloadable("the algorithms took too long to load") from None

    def _why_it_ended(self) -> ZygoteDied:
        if self._unloadable:
            return Unloadable("the algorithms could not be loaded")
        return ZygoteDied("the process that loads the algorithms was killed")

    def extend(self, deadline: float) -> None:
        """From any thread: let bodies live until `deadline` on kernel.clock(), when the kernel ends them all."""
        with suppress(BlockingIOError, OSError):  # full: the zygote is stopped, and its timer runs; or it is gone
            if self.open:
                os.write(self._lifeline, DEADLINE.pack(deadline))
                self._household.note_own()

    async def stop(self) -> None:
        """End the zygote and every body; returns when they are gone, and soon after their temporary files are."""
        self._hang_up()
        await self._burial()
        await self._household.tidied()

    def _burial(self) -> asyncio.Future[None]:
        if self._buried is None:
            self._buried = self._loop.create_task(self._bury())
        return asyncio.shield(self._buried)

    async def _bury(self) -> None:
        """Until nothing that the zygote left behind is alive: only then may slots be given back."""
        await self._household.gone()
        self._end_bodies()

    def spawn(self) -> Body:
        """Fork a process that waits for its call; `ended` is NoProcess where that fails. Raises: OSError."""
        self._keys += 1
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        body = Body(str(self._keys), ours, frames.Unpacker(self._max_message_bytes), self._loop.create_future())
        self._bodies[body.key] = body
        self._loop.add_reader(ours, self._read, body)
        self._order(_Order(frames.pack(frames.SPAWN, body.key.encode()), theirs, body))
        return body

    def ask(self, body: Body) -> None:
        """SIGINT to the body's own process, which raises `Cancelled`: its page says that it is cancelled."""
        self._order(_Order(frames.pack(frames.ASK, body.key.encode())))

    def terminate(self, body: Body) -> None:
        """SIGTERM to each process of the body's tree."""
        self._order(_Order(frames.pack(frames.TERMINATE, body.key.encode())))

    def kill(self, body: Body) -> None:
        """Kill the body's whole process tree; `ended` says when it is gone."""
        self._order(_Order(frames.pack(frames.KILL, body.key.encode())))

    def forget(self, body: Body) -> None:
        """Free what an ended body held."""
        self._loop.remove_reader(body.channel)
        body.channel.close()
        del self._bodies[body.key]

    def _order(self, order: _Order) -> None:
        if not self.open:
            if order.passed is not None:
                order.passed.close()
            return
        self._orders.append(order)
        if len(self._orders) == 1:
            self._send_orders()

    def _send_orders(self) -> None:
        """Send what the socket takes; the rest when it takes more. A full socket is no dead zygote."""
        while self._orders:
            order = self._orders[0]
            try:
                descriptors = [] if order.passed is None else [order.passed.fileno()]
                sent = socket.send_fds(self._control, [order.message], descriptors)
            except BlockingIOError:
                self._loop.add_writer(self._control, self._send_orders)
                return
            except OSError as error:
                if error.errno in shortage.ERRNOS and self._gave_up(order, error):
                    continue
                if error.errno in shortage.ERRNOS:
                    self._loop.remove_writer(self._control)  # it has room, and would call us all the time
                    self._loop.call_later(SHORT_SECONDS, self._send_orders)
                    return
                break  # the zygote is gone, as `_hear` will hear
            if order.passed is not None:
                order.passed.close()
            if sent < len(order.message):
                self._orders[0] = _Order(order.message[sent:])
            else:
                self._orders.popleft()
        if self.open:
            self._loop.remove_writer(self._control)

    def _gave_up(self, order: _Order, error: OSError) -> bool:
        """Whether this was a SPAWN: no order may wait behind one, least of all a KILL."""
        if order.body is None or order.passed is None:
            return False
        self._orders.popleft()
        order.passed.close()
        if not order.body.ended.done():
            order.body.ended.set_exception(NoProcess(str(error)))
        return True

    def _hear(self) -> None:
        data = _received(self._control)
        if data is None:
            return
        for kind, message in self._unpacker.feed(data):
            if kind == frames.READY:
                self.no_groups = wire.decode(message)["no_groups"]
                self._ready.set_result(True)
            elif kind == frames.UNLOADABLE:
                self._unloadable = True
            elif kind == frames.REFUSED:
                told = wire.decode(message)
                self._bodies[told["key"]].ended.set_exception(NoProcess(told["why"]))
            elif kind == frames.ENDED:
                told = wire.decode(message)
                body = self._bodies[told["key"]]
                while self._read(body):  # what it said last may stand in the socket still
                    pass
                if not body.ended.done():
                    body.ended.set_result(End.of(told))
        if not data:
            self._zygote_gone()

    def _zygote_gone(self) -> None:
        """It hung up: it is dead or dying, and the guardian ends what it leaves behind."""
        self._hang_up()
        if not self._ready.done():
            self._ready.set_result(False)
        self._burial()

    def _end_bodies(self) -> None:
        for body in self._bodies.values():
            if not body.ended.done():
                body.ended.set_exception(ZygoteDied("the process that runs jobs has ended"))

    def _hang_up(self) -> None:
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._control)
        self._loop.remove_writer(self._control)
        self._control.close()
        os.close(self._lifeline)
        for order in self._orders:
            if order.passed is not None:
                order.passed.close()
        self._orders.clear()

    def _read(self, body: Body) -> bool:
        """Take in what has arrived, once: a body that never stops talking must not have the loop to itself.

        Whether there may be more.
        """
        data = _received(body.channel)
        if data is None:
            return False
        try:
            for message in body.unpacker.feed(data):
                body.outcome = body.outcome or message
        except ValueError as error:
            too_large = JobError("bad_result", f"the result is too large (MAX_RESULT_BYTES): {error}")
            body.outcome = body.outcome or (frames.FAILURE, wire.encode(too_large.as_dict()))
            self.kill(body)  # it would wait for ever to be read to the end
            data = b""
        if not data:
            self._loop.remove_reader(body.channel)
        return bool(data)


def _received(channel: socket.socket) -> bytes | None:
    """What has arrived: b'' once the other side is gone, None while there is nothing."""
    try:
        return channel.recv(RECEIVE_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""
