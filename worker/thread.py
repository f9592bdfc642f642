"""A body in a thread of its own. Nobody can kill a thread: it is asked to end, and waited for until it has.

Asking raises `Cancelled` in it at its next step of Python code, once. What waits in C, or goes on all the same,
keeps its slot, and ends with the worker at the latest. Where it strikes a finalizer, which swallows it, it is
raised once more.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Final

from slotwise.errors import Cancelled
from slotwise.failure import named
from worker.shortage import NoProcess

AGAIN_SECONDS: Final = 0.01

_here = threading.local()  # `body`, in a body's thread
_raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc


class Body:
    def __init__(self, function: Callable[[], Any]) -> None:
        """Raises: NoProcess when the machine has no thread for it."""
        _mind_what_is_swallowed()
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._running = self._asked = self._noticing = False
        self.ended: asyncio.Future[Any] = self._loop.create_future()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="job", daemon=True)
        self._running = True
        try:
            self._thread.start()
        except RuntimeError as error:
            raise NoProcess(str(error)) from error

    def ask(self) -> None:
        """Raise `Cancelled` in it, if it still runs; once, for a second could strike where it tells of its end."""
        with self._lock:
            if self._running and not self._asked:
                self._asked = True
                _raise_in(ctypes.c_ulong(self._thread.ident or 0), ctypes.py_object(Cancelled))

    def swallowed(self) -> None:
        """It met its `Cancelled` where nothing can be raised. In its own thread: another must raise it again."""
        self._noticing = True
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._ask_again)
        self._noticing = False

    def _ask_again(self) -> None:
        if self._noticing:  # here it would be swallowed once more, and nobody told
            self._loop.call_later(AGAIN_SECONDS, self._ask_again)
            return
        with self._lock:
            self._asked = False
        self.ask()

    def _run(self) -> None:
        """Whatever is raised where: somebody waits to hear that the thread has ended."""
        result, error = None, None
        _here.body = self
        try:
            try:
                result = self._function()
            finally:
                self._past_asking()
        except BaseException as raised:
            self._past_asking()
            error = raised
        with suppress(RuntimeError):  # the loop is closed: the worker has ended
            self._loop.call_soon_threadsafe(self._tell, result, error)

    def _past_asking(self) -> None:
        """From now on no `Cancelled` comes, not even one that is on its way."""
        with self._lock:
            self._running = False
        _raise_in(ctypes.c_ulong(threading.get_ident()), None)

    def _tell(self, result: Any, error: BaseException | None) -> None:
        if error is None:
            self.ended.set_result(result)
        elif isinstance(error, Exception) and not isinstance(error, StopIteration):
            self.ended.set_exception(error)
        else:
            self.ended.set_exception(named(error))


@cache
def _mind_what_is_swallowed() -> None:
    hook = sys.unraisablehook

    def notice(unraisable: sys.UnraisableHookArgs) -> None:
        body: Body | None = getattr(_here, "body", None)
        if body is not None and unraisable.exc_type is Cancelled:
            body.swallowed()
        else:
            hook(unraisable)

    sys.unraisablehook = notice


async def run(function: Callable[[], Any]) -> Any:
    """The result of `function`, called in a thread of its own; returns when that has ended.

    Cancelling this asks the thread to end, and goes on waiting. Raises: what the function raised;
    NoProcess when the machine has no thread for it.
    """
    body, cancelled = Body(function), False
    while not body.ended.done():
        try:
            await asyncio.wait([body.ended])
        except asyncio.CancelledError:
            cancelled = True
            body.ask()
    if cancelled:
        body.ended.exception()  # seen, if there is one
        raise asyncio.CancelledError
    return body.ended.result()
