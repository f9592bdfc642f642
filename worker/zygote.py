"""The process that forks jobs' processes: user code loaded once, single-threaded, no event loop, no Redis.

It is its jobs' parent, and the heir of their orphans: it says ENDED only when nothing of a job's process tree
is left. It ends, and with it every job, when the worker does: at once when the worker dies (the lifeline
closes); by a timer of the kernel when the worker or everything is stopped past the worker's lease.

Started as `python -m worker.zygote CONTROL LIFELINE`, the modules to load on standard input.
"""

from __future__ import annotations

import errno
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from slotwise import wire
from slotwise.algorithm import Algorithm
from slotwise.errors import SlotwiseError
from slotwise.settings import exit_with
from worker import child, frames, kernel, preloading, registry, shortage, voice
from worker.end import MB, End

MARK: Final = "SLOTWISE_ZYGOTE"  # in the environment of everything below it: how its heirs are known
DEADLINE: Final = struct.Struct(">d")  # on the lifeline: when to be dead, on kernel.clock()
SWEEP_SECONDS: Final = 0.002  # between two looks at orphans that were killed and have not ended yet


@dataclass
class Body:
    """A job's process: `end` is set once it has ended."""

    key: str
    pid: int
    end: End | None = None


class Zygote:
    def __init__(
        self, control: socket.socket, lifeline: int, algorithms: Mapping[str, Algorithm[Any, Any]]
    ) -> None:
        self._control = control
        self._lifeline = lifeline
        self._algorithms = algorithms
        self._unpacker = frames.Unpacker()
        self._descriptors: deque[int | None] = deque()
        self._bodies: dict[int, Body] = {}
        self._deadline = kernel.Deadline()
        self._deadline_at: float | None = None
        _, self._resident = kernel.memory_bytes()  # that every body begins with, copy-on-write
        self._wakeup, self._wakeup_in = os.pipe()

    def serve(self) -> None:
        """Fork and kill as told until the worker is gone; then end every job."""
        self._listen_to_signals()
        self._control.sendall(frames.pack(frames.READY))
        poll = select.poll()  # select() knows no descriptor above 1023, and ours have the numbers they had
        for descriptor in (self._control.fileno(), self._lifeline, self._wakeup):
            poll.register(descriptor, select.POLLIN)
        while True:
            pause = SWEEP_SECONDS * 1000 if self._ending() else None
            readable = {descriptor for descriptor, _ in poll.poll(pause)}
            if self._wakeup in readable:
                os.read(self._wakeup, 4096)
            if self._lifeline in readable and not self._take_deadline():
                break
            if self._control.fileno() in readable and not self._take_orders():
                break
            self._bury()
        self._end_everything()

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
        self._deadline.set(self._deadline_at if self._bodies else None)

    def _take_orders(self) -> bool:
        data, descriptors, flags, _ = socket.recv_fds(self._control, 1 << 16, 1)  # one with each order
        # truncated: we had no number free for it, and the kernel has closed it
        self._descriptors.extend([None] if flags & socket.MSG_CTRUNC else descriptors)
        for kind, body in self._unpacker.feed(data):
            key = body.decode()
            if kind == frames.SPAWN:
                self._spawn(key, self._descriptors.popleft())
            elif kind == frames.KILL:
                self._kill(key)
        return bool(data)

    def _spawn(self, key: str, descriptor: int | None) -> None:
        if descriptor is None:
            self._tell(frames.REFUSED, key=key, why=os.strerror(errno.EMFILE))
            return
        zygote = os.getpid()
        self._deadline.set(self._deadline_at)  # before the fork: stopped in between, the body must not be immortal
        try:
            pid = os.fork()
        except OSError as error:
            os.close(descriptor)
            self._arm()
            self._tell(frames.REFUSED, key=key, why=str(error))
            return
        if pid == 0:
            self._leave_behind()
            os.set_inheritable(descriptor, False)
            child.run(socket.socket(fileno=descriptor), zygote, self._algorithms)
        os.close(descriptor)
        self._bodies[pid] = Body(key, pid)

    def _leave_behind(self) -> None:
        """In the child: a session of its own, and nothing of the zygote's that it could speak through."""
        os.setsid()
        signal.set_wakeup_fd(-1)
        self._control.close()
        for descriptor in (self._lifeline, self._wakeup, self._wakeup_in, *self._descriptors):
            if descriptor is not None:
                os.close(descriptor)

    def _kill(self, key: str) -> None:
        for body in self._bodies.values():
            if body.key == key and body.end is None:
                self._strike(body)

    def _strike(self, body: Body) -> None:
        if kernel.LINUX:
            os.kill(body.pid, signal.SIGKILL)  # its descendants become ours, and are swept
        else:
            os.killpg(body.pid, signal.SIGKILL)

    def _bury(self) -> None:
        """Reap what has ended; kill orphans; say ENDED for jobs of which nothing is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._bodies:
                self._bodies[pid].end = self._end_of(status, usage)
        ending = self._ending()
        if ending and not self._sweep():
            for body, end in ending:
                del self._bodies[body.pid]
                self._tell(frames.ENDED, key=body.key, **asdict(end))
            self._arm()

    def _tell(self, kind: bytes, **what: Any) -> None:
        self._control.sendall(frames.pack(kind, wire.encode(what)))

    def _end_of(self, status: int, usage: resource.struct_rusage) -> End:
        peak = max(0, kernel.peak_bytes(usage) - self._resident)
        return End(status, usage.ru_utime + usage.ru_stime, peak / MB)

    def _ending(self) -> list[tuple[Body, End]]:
        return [(body, body.end) for body in self._bodies.values() if body.end is not None]

    def _sweep(self) -> bool:
        """Kill every child that is no job's own process: an orphan of a job that ended. Whether there was one."""
        orphans = kernel.children(os.getpid()) - self._bodies.keys()
        for orphan in orphans:
            os.kill(orphan, signal.SIGKILL)
        return bool(orphans)

    def _end_everything(self) -> None:
        for body in self._bodies.values():
            if body.end is None:
                self._strike(body)
        while kernel.children(os.getpid()):
            for pid in kernel.children(os.getpid()):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(-1, 0)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    start = wire.decode(sys.stdin.buffer.read())
    sys.path[:] = start["path"]
    shortage.set_open_files(start["open_files"])
    kernel.adopt_orphans()
    voice.talk_by_line()
    try:
        algorithms = registry.load(start["modules"])
        preloading.in_zygote(start["modules"])
    except SlotwiseError as error:
        exit_with(error)
    voice.flush()  # else what loading printed would be every job's first words
    gc.collect()
    gc.freeze()  # pages that hold nothing but loaded code stay shared with every child
    Zygote(control, int(sys.argv[2]), algorithms).serve()


if __name__ == "__main__":
    main()
