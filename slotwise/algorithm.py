"""The decorator that makes a plain typed function an algorithm, and what it knows about the function.

Its types become a strict model and JSON Schemas (`signature`). Runs no job: that is the worker's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import WRAPPER_ASSIGNMENTS, cached_property
from typing import Any, Final, Generic, Literal, ParamSpec, TypeVar, overload

from slotwise.context import Context
from slotwise.job import MOST_SLOTS
from slotwise.limits import Limits
from slotwise.preload import Hook
from slotwise.rate import Rate
from slotwise.signature import Signature, unusable

P = ParamSpec("P")
R = TypeVar("R")

Executor = Literal["process", "loop", "thread"]
MOST_GRACE: Final = 3600.0  # seconds


@dataclass(frozen=True)
class Algorithm(Generic[P, R]):
    """A function with its name, its parameter model and its limits. Calling it calls the function."""

    function: Callable[P, R]
    name: str
    version: str = "1"
    timeout: float | None = None
    max_attempts: int | None = None
    memory_mb: int | None = None
    cpu_seconds: float | None = None
    open_files: int | None = None
    file_mb: int | None = None
    max_concurrent: int | None = None
    rate: str | None = None
    thread: bool = False
    cancel_grace: float | None = None
    kill_grace: float | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    preload: Hook | None = None  # a start-up hook of its own, beside those of its module

    def __post_init__(self) -> None:
        """Raises: SlotwiseError `invalid-algorithms` for limits that cannot be."""
        told: dict[str, Any] = {name: getattr(self.function, name, None) for name in WRAPPER_ASSIGNMENTS}
        vars(self).update(told, __wrapped__=self.function)  # for help(), inspect.signature() and editors
        faults = [*self.limits.faults(), *self._slot_faults(), *self._grace_faults()]
        if self.limits.as_dict() and self.executor != "process":
            faults += [
                f"{' and '.join(self.limits.as_dict())} can limit a process of its own only, and {self._where}: "
                "make it a plain `def`, or leave the limit out"
            ]
        if faults:
            raise unusable(self.name, "; ".join(faults))

    def _slot_faults(self) -> Iterator[str]:
        most = self.max_concurrent
        if most is not None and (type(most) is not int or not 1 <= most <= MOST_SLOTS):
            yield f"max_concurrent={most!r} must be a whole number from 1 to {MOST_SLOTS}"
        if self.rate is not None:
            try:
                Rate.of(self.rate)
            except ValueError as error:
                yield str(error)

    def _grace_faults(self) -> Iterator[str]:
        if self.thread and inspect.iscoroutinefunction(self.function):
            yield "an async function runs on the worker's event loop: leave executor out, or make it a plain `def`"
        for name, seconds in (("cancel_grace", self.cancel_grace), ("kill_grace", self.kill_grace)):
            if seconds is None:
                continue
            if self.executor != "process":
                yield f"{name} is for a process of its own, which can be killed, and {self._where}: leave it out"
            elif isinstance(seconds, bool) or not 0 <= seconds <= MOST_GRACE:
                yield f"{name}={seconds!r} must be seconds from 0 to {MOST_GRACE:g}"

    @property
    def _where(self) -> str:
        return "it runs in a thread" if self.thread else "an async function runs on the worker's event loop"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def executor(self) -> Executor:
        """`loop` for an async function; else `process`, a child of its own, or `thread`, where it says so."""
        if inspect.iscoroutinefunction(self.function):
            return "loop"
        return "thread" if self.thread else "process"

    @property
    def limits(self) -> Limits:
        """The most that a job may use; a request may tighten it."""
        return Limits(self.memory_mb, self.cpu_seconds, self.open_files, self.file_mb)

    @property
    def description(self) -> str:
        return inspect.getdoc(self.function) or ""

    @cached_property
    def signature(self) -> Signature:
        """What the function takes and gives, by its annotations."""
        return Signature(self.function, self.name)

    def bind(self, args: Sequence[Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """The values to call the function with. Raises: JobError `bad_params`."""
        return self.signature.bind(args, params)

    def call(self, args: Sequence[Any], params: Mapping[str, Any], context: Callable[[], Context]) -> Any:
        """Bind and call; `context` makes the context for a function that asks for one.

        The coroutine of an async function is returned, not awaited. Raises: JobError `bad_params`.
        """
        values = self.bind(args, params)
        if self.signature.context_parameter is not None:
            values[self.signature.context_parameter] = context()
        return self.function(**values)  # type: ignore[call-arg]

    def describe(self) -> dict[str, Any]:
        """The catalogue entry: plain JSON values. Raises: SlotwiseError `invalid-algorithms`."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "executor": self.executor,
            "timeout": self.timeout,
            "max_attempts": self.max_attempts,
            "memory_mb": self.memory_mb,
            "cpu_seconds": self.cpu_seconds,
            "open_files": self.open_files,
            "file_mb": self.file_mb,
            "max_concurrent": self.max_concurrent,
            "rate": self.rate,
            "parameters": self.signature.schema(),
            "result": self.signature.result_schema(),
            "example": dict(self.example),
        }


@overload
def algorithm(function: Callable[P, R], /) -> Algorithm[P, R]: ...


@overload
def algorithm(
    *,
    name: str | None = None,
    version: str = "1",
    timeout: float | None = None,
    max_attempts: int | None = None,
    memory_mb: int | None = None,
    cpu_seconds: float | None = None,
    open_files: int | None = None,
    file_mb: int | None = None,
    max_concurrent: int | None = None,
    rate: str | None = None,
    executor: Literal["process", "thread"] = "process",
    cancel_grace: float | None = None,
    kill_grace: float | None = None,
    example: Mapping[str, Any] | None = None,
) -> Callable[[Callable[P, R]], Algorithm[P, R]]: ...


def algorithm(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    version: str = "1",
    timeout: float | None = None,
    max_attempts: int | None = None,
    memory_mb: int | None = None,
    cpu_seconds: float | None = None,
    open_files: int | None = None,
    file_mb: int | None = None,
    max_concurrent: int | None = None,
    rate: str | None = None,
    executor: Literal["process", "thread"] = "process",
    cancel_grace: float | None = None,
    kill_grace: float | None = None,
    example: Mapping[str, Any] | None = None,
) -> Algorithm[P, R] | Callable[[Callable[P, R]], Algorithm[P, R]]:
    """Make a function an algorithm that jobs can name.

    A plain `def` runs in a process of its own, or in a thread if you say so; an `async def` on the worker's loop.

    Args:
        name: what jobs call it; the function's own name when left out.
        version: free text, shown in the catalogue.
        timeout: seconds a job may run; the service's JOB_TIMEOUT when left out.
        max_attempts: attempts before an exception, a timeout or a crash is final; MAX_ATTEMPTS when left out.
        memory_mb: MB of 2^20 bytes that a job may allocate on top of what its process begins with (the
            interpreter and the modules that are loaded already), at least 16. Private memory counts, touched or
            not, 8 MB for the stack of each thread included; shared memory and mapped files do not.
        cpu_seconds: CPU time that a job may use, fractions too, its threads together.
        open_files: descriptors that a job may hold at once, at least 16; past it the body meets an OSError.
        file_mb: MB that each file may have that a job writes; past it the body meets an OSError.
        max_concurrent: the most of its jobs that run at once over the whole fleet, under the fleet's own cap.
        rate: the most of its jobs that start in any window of time, as "100/minute": a number of starts, a slash,
            and second, minute, hour or day. Attempts count, not jobs.
        executor: "thread" runs a plain `def` in a thread of the worker, which nobody can kill: one that does not
            end when it is asked to keeps its slot.
        cancel_grace: seconds between `Cancelled`, raised in a job's main thread when it is to end, and SIGTERM to
            each of its processes; 0: it is not asked. CANCEL_GRACE_SECONDS when left out.
        kill_grace: seconds from there to SIGKILL; 0: no SIGTERM. KILL_GRACE_SECONDS when left out.
        example: parameters that work, shown in the catalogue.

    Limits bind each process: one that the body starts inherits them, CPU time rounded up to a second, and counts
    by itself. Beyond `memory_mb` and `cpu_seconds` a job fails with `memory_limit` or `cpu_limit`, and is not
    tried again. A request may tighten each. No memory limit is enforced on macOS.

    Raises: SlotwiseError `invalid-algorithms` for limits that cannot be, as any on an `async def`.
    """
    told: dict[str, Any] = {"max_attempts": max_attempts, "max_concurrent": max_concurrent, "rate": rate}
    told |= {"timeout": timeout, "memory_mb": memory_mb, "cpu_seconds": cpu_seconds, "open_files": open_files}
    told |= {"file_mb": file_mb, "example": example or {}, "thread": executor == "thread"}
    told |= {"cancel_grace": cancel_grace, "kill_grace": kill_grace}

    def decorate(target: Callable[P, R]) -> Algorithm[P, R]:
        return Algorithm(target, name or target.__name__, version, **told)

    return decorate if function is None else decorate(function)
