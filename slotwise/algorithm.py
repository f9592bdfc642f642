"""The decorator that makes a plain typed function an algorithm, and what it knows about the function.

Parameters become a strict pydantic model that forbids extras: its JSON Schema is published for the front end,
and the model itself has the last word where the body runs. Runs no job: that is the worker's.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Literal, ParamSpec, TypeVar, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic_core import PydanticSerializationError, to_json

from slotwise.errors import JobError, SlotwiseError
from slotwise.job import MOST_SLOTS
from slotwise.limits import Limits
from slotwise.rate import Rate

P = ParamSpec("P")
R = TypeVar("R")

Executor = Literal["process", "loop"]


@dataclass(frozen=True)
class Context:
    """What a body may know of its job: ask for it with a parameter `ctx: Context`.

    `deadline` is on the clock of `time.monotonic()`, in seconds, in the process that runs the body.
    """

    job_id: str
    attempt: int
    deadline: float

    def remaining_seconds(self) -> float:
        """Seconds left before the job's timeout; never below 0."""
        return max(0.0, self.deadline - time.monotonic())


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
    max_concurrent: int | None = None
    rate: str | None = None
    example: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises: SlotwiseError `invalid-algorithms` for limits that cannot be."""
        faults = [*self.limits.faults(), *self._slot_faults()]
        if self.limits.as_dict() and self.executor != "process":
            faults += [
                f"{' and '.join(self.limits.as_dict())} can limit a process of its own only, and an async "
                "function runs on the worker's event loop: make it a plain `def`, or leave the limit out"
            ]
        if faults:
            raise self._unusable("; ".join(faults))

    def _slot_faults(self) -> Iterator[str]:
        most = self.max_concurrent
        if most is not None and (type(most) is not int or not 1 <= most <= MOST_SLOTS):
            yield f"max_concurrent={most!r} must be a whole number from 1 to {MOST_SLOTS}"
        if self.rate is not None:
            try:
                Rate.of(self.rate)
            except ValueError as error:
                yield str(error)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    @property
    def executor(self) -> Executor:
        """`loop` for an async function; `process`, a child of its own, for every other."""
        return "loop" if inspect.iscoroutinefunction(self.function) else "process"

    @property
    def limits(self) -> Limits:
        """The most that a job may use; a request may tighten it."""
        return Limits(self.memory_mb, self.cpu_seconds)

    @property
    def description(self) -> str:
        return inspect.getdoc(self.function) or ""

    @cached_property
    def wants_context(self) -> bool:
        return "ctx" in inspect.signature(self.function).parameters

    @cached_property
    def parameters(self) -> type[BaseModel]:
        """The strict model of the function's parameters. Raises: SlotwiseError `invalid-algorithms`."""
        try:
            hints = get_type_hints(self.function, include_extras=True)
            fields = {
                name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
                for name, parameter in self._declared()
            }
            model: type[BaseModel] = create_model(
                f"{self.name}Parameters",
                __config__=ConfigDict(
                    extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=False
                ),
                **fields,  # type: ignore[call-overload]
            )
            return model
        except (NameError, TypeError, PydanticSchemaGenerationError, PydanticUserError) as error:
            raise self._unusable(f"its parameters cannot be typed: {error}") from error

    def _declared(self) -> list[tuple[str, inspect.Parameter]]:
        declared = []
        for name, parameter in inspect.signature(self.function).parameters.items():
            if name == "ctx":
                continue
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise self._unusable(f"parameter {name!r} must be an ordinary named one (no *, ** or /)")
            if parameter.annotation is parameter.empty:
                raise self._unusable(f"parameter {name!r} needs a type annotation")
            declared.append((name, parameter))
        return declared

    def bind(self, args: Sequence[Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """The values to call the function with. Raises: JobError `bad_params`.

        `args` are positional ones, as a stock arq client may send; JSON rules decide what is valid.
        """
        names = [name for name, _ in self._declared()]
        if len(args) > len(names) or set(names[: len(args)]) & set(params):
            raise JobError("bad_params", f"{self.name} takes {', '.join(names) or 'no parameters'}")
        try:
            given = to_json(dict(zip(names, args, strict=False)) | dict(params))
            model = self.parameters.model_validate_json(given, strict=True)  # nested models as well
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False, include_context=False)
            text = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
            raise JobError("bad_params", text) from None
        except PydanticSerializationError as error:
            raise JobError("bad_params", str(error)) from None
        return {name: getattr(model, name) for name in names}

    def call(self, args: Sequence[Any], params: Mapping[str, Any], job: Mapping[str, Any]) -> Any:
        """Bind and call, with a context of `job` {job_id, attempt, seconds} for a function that asks for one.

        The coroutine of an async function is returned, not awaited. Raises: JobError `bad_params`.
        """
        values = self.bind(args, params)
        if self.wants_context:
            deadline = time.monotonic() + job["seconds"]
            values["ctx"] = Context(job_id=job["job_id"], attempt=job["attempt"], deadline=deadline)
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
            "max_concurrent": self.max_concurrent,
            "rate": self.rate,
            "parameters": self.parameters.model_json_schema(),
            "result": self._result_schema(),
            "example": dict(self.example),
        }

    def _result_schema(self) -> dict[str, Any]:
        hint = get_type_hints(self.function, include_extras=True).get("return", Any)
        try:
            return TypeAdapter(hint).json_schema(mode="serialization")
        except (PydanticSchemaGenerationError, PydanticUserError):
            return {}  # any JSON value: the annotation says nothing that JSON Schema can say

    def _unusable(self, why: str) -> SlotwiseError:
        return SlotwiseError("invalid-algorithms", f"algorithm {self.name!r} cannot be used: {why}")


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
    max_concurrent: int | None = None,
    rate: str | None = None,
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
    max_concurrent: int | None = None,
    rate: str | None = None,
    example: Mapping[str, Any] | None = None,
) -> Algorithm[P, R] | Callable[[Callable[P, R]], Algorithm[P, R]]:
    """Make a function an algorithm that jobs can name.

    A plain `def` runs in a child process of its own; an `async def` runs on the worker's event loop.

    Args:
        name: what jobs call it; the function's own name when left out.
        version: free text, shown in the catalogue.
        timeout: seconds a job may run; the service's JOB_TIMEOUT when left out.
        max_attempts: attempts before an exception, a timeout or a crash is final; MAX_ATTEMPTS when left out.
        memory_mb: MB of 2^20 bytes that a job may allocate on top of what its process begins with (the
            interpreter and the modules that are loaded already), at least 16. Private memory counts, touched or
            not, 8 MB for the stack of each thread included; shared memory and mapped files do not.
        cpu_seconds: CPU time that a job may use, fractions too, its threads together.
        max_concurrent: the most of its jobs that run at once over the whole fleet, under the fleet's own cap.
        rate: the most of its jobs that start in any window of time, as "100/minute": a number of starts, a slash,
            and second, minute, hour or day. Attempts count, not jobs.
        example: parameters that work, shown in the catalogue.

    `memory_mb` and `cpu_seconds` bind each process: one that the body starts inherits the limit on memory, and on
    CPU time rounded up to a second, and counts by itself. Beyond them a job fails with `memory_limit` or
    `cpu_limit`, and is not tried again. A request may tighten them. No memory limit is enforced on macOS.

    Raises: SlotwiseError `invalid-algorithms` for limits that cannot be, as any on an `async def`.
    """

    def decorate(target: Callable[P, R]) -> Algorithm[P, R]:
        return Algorithm(
            function=target,
            name=name or target.__name__,
            version=version,
            timeout=timeout,
            max_attempts=max_attempts,
            memory_mb=memory_mb,
            cpu_seconds=cpu_seconds,
            max_concurrent=max_concurrent,
            rate=rate,
            example=example or {},
        )

    return decorate if function is None else decorate(function)
