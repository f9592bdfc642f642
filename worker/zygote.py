"""The process that forks jobs' processes: user code loaded once, single-threaded, no event loop, no Redis.

It is its jobs' parent, and the heir of their orphans: it says ENDED only when nothing of a job's process tree
is left. It ends, and with it every job, when the worker does: at once when the worker dies (the lifeline
closes); by a timer of the kernel when the worker or everything is stopped past the worker's lease.

Started as `python -m worker.zygote CONTROL LIFELINE LINE`, the modules to load on standard input.
"""

from __future__ import annotations

import errno
import gc
import math
import os
import select
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from slotwise import wire
from slotwise.algorithm import Algorithm
from slotwise.errors import SlotwiseError, exit_with
from worker import child, files, frames, guardian, kernel, preloading, registry, scratch, shortage, voice
from worker.cgroup import Cgroups, NotDelegated
from worker.offspring import Body, Offspring
from worker.scratch import Scratch
from worker.spare import Stock

MARK: Final = "SLOTWISE_ZYGOTE"  # in the environment of everything below it: how its heirs are known
DEADLINE: Final = struct.Struct(">d")  # on the lifeline: when to be dead, on kernel.clock()
SWEEP_SECONDS: Final = 0.002  # until the next look at orphans that were killed and live; doubled each time
MOST_SWEEP_SECONDS: Final = 0.25  # SIGCHLD tells of most; some cannot be killed


class Zygote:
    def __init__(
        self,
        control: socket.socket,
        lines: Sequence[int],
        algorithms: Mapping[str, Algorithm[Any, Any]],
        scratch: Scratch,
        processes: int,
    ) -> None:
        self._control = control
        self._lifeline, *_ = self._lines = lines
        self._algorithms = algorithms
        self._pid = os.getpid()
        self._unpacker = frames.Unpacker()
        self._descriptors: deque[int | None] = deque()
        self._deadline = kernel.Deadline()
        self._deadline_at: float | None = None
        self._files = files.opened()  # by the user's modules
        self._wakeup, self._wakeup_in = os.pipe()
        self._sweep_seconds = SWEEP_SECONDS
        self._stock = Stock(scratch, self._leave_behind, self._run)
        self._processes = processes  # that a job may have, where a group of its own counts them
        self._cgroups: Cgroups | None = None
        self._no_groups = ""
        try:
            self._cgroups = Cgroups.delegated()
        except NotDelegated as why:
            self._no_groups = str(why)
        self._offspring = Offspring()

    def serve(self) -> None:
        """Fork and kill as told until the worker is gone; then end every job."""
        self._listen_to_signals()
        self._tell(frames.READY, no_groups=self._no_groups)
        poll = select.poll()  # select() knows no descriptor above 1023, and ours have the numbers they had
        for descriptor in (self._control.fileno(), self._lifeline, self._wakeup):
            poll.register(descriptor, select.POLLIN)
        while True:
            readable = {descriptor for descriptor, _ in poll.poll(self._pause())}
            if not readable:
                self._fork_ahead()
            if self._wakeup in readable:
                os.read(self._wakeup, 4096)
            if self._lifeline in readable and not self._take_deadline():
                break
            if self._control.fileno() in readable and not self._take_orders():
                break
            self._bury()
        self._offspring.end()

    def _fork_ahead(self) -> None:
        if self._stock.pause() == 0:
            self._deadline.set(self._deadline_at)  # a fork runs what users' modules registered, which may hang
            if (spare := self._stock.fill()) is not None:
                self._offspring.add_helper(spare.pid)
            self._arm()

    def _pause(self) -> float | None:
        """Milliseconds until there is something to do that nobody tells of."""
        pauses = [self._stock.pause()]
        if self._offspring.killed:
            pauses.append(self._sweep_seconds)
            self._sweep_seconds = min(2 * self._sweep_seconds, MOST_SWEEP_SECONDS)
        else:
            self._sweep_seconds = SWEEP_SECONDS
        return min((math.ceil(pause * 1000) for pause in pauses if pause is not None), default=None)

    def _listen_to_signals(self) -> None:
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._wakeup_in, False)
        signal.set_wakeup_fd(self._wakeup_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the worker decides when jobs end

    def _take_deadline(self) -> bool:
        data = os.read(self._lifeline, 1 << 12)
        if data:
            (self._deadline_at,) = DEADLINE.unpack(data[-DEADLINE.size :])
            self._arm()
        return bool(data)

    def _arm(self) -> None:
        self._deadline.set(self._deadline_at if self._offspring.has_bodies else None)

    def _take_orders(self) -> bool:
        data, descriptors, flags, _ = socket.recv_fds(self._control, 1 << 16, 1)  # one with each order
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        # truncated: we had no number free for it, and the kernel has closed it
        self._descriptors.extend([None] if flags & socket.MSG_CTRUNC else descriptors)
        for kind, body in self._unpacker.feed(data):
            key = body.decode()
            if kind == frames.SPAWN:
                self._spawn(key)
            else:
                self._offspring.order(kind, key)
        return bool(data)

    def _spawn(self, key: str) -> None:
        descriptor = self._descriptors[0]
        try:
            if descriptor is None:
                self._tell(frames.REFUSED, key=key, why=os.strerror(errno.EMFILE))
            else:
                self._take_in(key, descriptor)
        finally:
            self._descriptors.popleft()  # not sooner: a process that is forked for it leaves all of these behind
            if descriptor is not None:
                os.close(descriptor)

    def _take_in(self, key: str, descriptor: int) -> None:
        self._deadline.set(self._deadline_at)  # before it begins: stopped in between, it must not be immortal
        try:
            made = self._stock.take(key, descriptor)
        except OSError as error:
            self._arm()
            self._tell(frames.REFUSED, key=key, why=str(error))
            return
        group = None if self._cgroups is None else self._cgroups.group(key)
        self._offspring.add(Body(key, made.pid, made.files, group))

    def _run(self, key: str, channel: socket.socket) -> NoReturn:
        enter = None if self._cgroups is None else partial(self._cgroups.group(key).enter, self._processes)
        child.run(channel, self._algorithms, enter)

    def _leave_behind(self) -> None:
        """In the child: a session of its own, and nothing of the zygote's that it could speak through."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        self._control.close()
        self._offspring.leave()
        self._stock.leave()
        for descriptor in (*self._lines, self._wakeup, self._wakeup_in, *self._descriptors):
            if descriptor is not None:
                os.close(descriptor)
        files.reopen(self._files)
        child.become(self._pid)
        child.rehearse()

    def _bury(self) -> None:
        """Say ENDED for jobs of which nothing is left."""
        gone = self._offspring.gone()
        self._stock.check(self._offspring.helps)
        for body, end in gone:
            self._tell(frames.ENDED, key=body.key, **end.told())
        if gone:
            self._arm()
            self._stock.hurry()
        for body, _ in gone:  # after it is told: nobody waits for this
            self._clean(body.files)

    def _clean(self, files: Path) -> None:
        with suppress(OSError):  # no process to be had: the guardian removes it at the end
            if (cleaner := scratch.clear(files)) is not None:
                self._offspring.add_helper(cleaner)

    def _tell(self, kind: bytes, **what: Any) -> None:
        self._control.sendall(frames.pack(kind, wire.encode(what)))


def main() -> None:
    control, lines = socket.socket(fileno=int(sys.argv[1])), [int(argument) for argument in sys.argv[2:]]
    start = wire.decode(sys.stdin.buffer.read())
    own = Scratch()
    guarded = guardian.stand_by(own, lines[1], lines[0], control.fileno())
    if guarded:
        del lines[1]
    sys.path[:] = start["path"]
    shortage.set_open_files(start["open_files"])
    kernel.adopt_orphans()
    voice.talk_by_line()
    try:
        algorithms = registry.load(start["modules"])
        preloading.in_zygote(start["modules"])
    except SlotwiseError as error:
        with suppress(OSError):  # the worker is gone
            control.sendall(frames.pack(frames.UNLOADABLE))
        exit_with(error)
    voice.log_at_all()
    voice.flush()  # else what loading printed would be every job's first words
    child.rehearse()  # what it makes for itself is made once
    gc.collect()
    gc.freeze()  # pages that hold nothing but loaded code stay shared with every child
    Zygote(control, lines, algorithms, own, start["processes"]).serve()
    if not guarded:
        guardian.say_nothing_left(lines[1])
        own.remove()


if __name__ == "__main__":
    main()
