"""What a body may know of its job, and how it speaks while it runs: progress, and lines for its log.

A function asks for it with a parameter annotated `Context`; `slotwise.progress` and `slotwise.log` find it from
anywhere below. Where the words go is the affair of a `Voice`, which whoever runs the body provides.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from numbers import Real
from types import UnionType
from typing import Any, Final, Protocol, Union, get_args, get_origin

from pydantic_core import to_json

from slotwise.trace import NO_TRACE, Trace

MESSAGE_BYTES: Final = 1000  # of a progress message as UTF-8; what is longer is cut


class Voice(Protocol):
    """Where a body's words go. Called from any thread of the body's; must not block for long, nor raise."""

    def progress(self, percent: float, message: str) -> None: ...

    def log(self, output: bytes) -> None:
        """Lines with their ends, as a rule."""
        ...

    def cancelled(self) -> bool: ...


class Silence:
    """Nobody listens."""

    def progress(self, percent: float, message: str) -> None:
        return None

    def log(self, output: bytes) -> None:
        return None

    def cancelled(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Context:
    """The running job, for its own function: ask for it with a parameter `ctx: Context`, under any name.

    `deadline` is when the timeout ends the body, UTC; None where nothing does. `request_id` and `traceparent`
    are those of the HTTP request that brought the job, "" where none did.
    """

    job_id: str
    attempt: int = 1
    deadline: datetime | None = None
    voice: Voice = field(default_factory=Silence, repr=False, compare=False)
    ends_at: float | None = field(default=None, repr=False, compare=False)  # on time.monotonic()
    request_id: str = ""
    traceparent: str = ""

    @classmethod
    def until(
        cls, job_id: str, attempt: int, seconds: float | None, voice: Voice | None = None, trace: Trace = NO_TRACE
    ) -> Context:
        """Of a body that begins now and may run so many seconds; None: as long as it likes."""
        voice = voice or Silence()
        if seconds is None:
            return cls(job_id, attempt, None, voice, None, trace.request_id, trace.parent)
        ends_at = time.monotonic() + seconds
        return cls(job_id, attempt, _after(seconds), voice, ends_at, trace.request_id, trace.parent)

    def remaining_seconds(self) -> float:
        """Seconds left before the job's timeout, whatever the wall clock does; never below 0, inf without one."""
        return math.inf if self.ends_at is None else max(0.0, self.ends_at - time.monotonic())

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants the body to end: its cancel, its timeout, or the worker's leaving."""
        return self.voice.cancelled()

    def progress(self, percent: float, message: str = "") -> None:
        """Say how far the job is, as often as you like: the latest counts.

        Raises: ValueError for a percent that is no number from 0 to 100.
        """
        if isinstance(percent, bool) or not isinstance(percent, Real) or not 0 <= percent <= 100:
            raise ValueError(f"percent must be a number from 0 to 100, not {percent!r}")
        told = str(message).encode("utf-8", "replace")[:MESSAGE_BYTES]
        self.voice.progress(float(percent), told.decode("utf-8", "ignore"))

    def log(self, text: str, **fields: Any) -> None:
        """Write a line to the job's log, with `fields` behind it as name=JSON."""
        told = [str(text), *(f"{name}={_json(value)}" for name, value in fields.items())]
        self.voice.log(" ".join(told).encode("utf-8", "backslashreplace") + b"\n")


def _after(seconds: float) -> datetime | None:
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except OverflowError:  # beyond the year 9999
        return None


def _json(value: Any) -> str:
    return to_json(value, fallback=repr, inf_nan_mode="constants").decode()


def is_context(hint: Any) -> bool:
    """Whether a parameter of this type asks for the context: `Context`, or `Context | None`."""
    if get_origin(hint) in (Union, UnionType):
        return Context in get_args(hint)
    return hint is Context


# Of the body that runs in this context of execution; and, in a process that runs one job, of all of its threads.
_current: ContextVar[Callable[[], Context] | None] = ContextVar("slotwise-job", default=None)
_whole_process: list[Context] = []


def begin(context: Callable[[], Context]) -> Token[Callable[[], Context] | None]:
    """Let `current()` find the context, which is made when somebody asks for it, until `end`."""
    return _current.set(context)


def end(token: Token[Callable[[], Context] | None]) -> None:
    _current.reset(token)


def own_process(context: Context) -> None:
    """This process runs nothing but this job."""
    _whole_process[:] = [context]


def current() -> Context | None:
    """The context of the job that runs here; None where none does."""
    asked = _current.get()
    if asked is not None:
        return asked()
    return _whole_process[0] if _whole_process else None


def progress(percent: float, message: str = "") -> None:
    """`Context.progress` of the job that runs here. Raises: RuntimeError where none does; ValueError."""
    _here("progress").progress(percent, message)


def log(text: str, **fields: Any) -> None:
    """`Context.log` of the job that runs here. Raises: RuntimeError where none does."""
    _here("log").log(text, **fields)


def _here(what: str) -> Context:
    context = current()
    if context is None:
        raise RuntimeError(
            f"slotwise.{what}() was called where no job runs. A thread that an async function starts by itself "
            "does not belong to its job: use asyncio.to_thread, or hand it the Context."
        )
    return context
