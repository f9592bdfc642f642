"""Run an algorithm in the test's own process, as a worker would: the same parsing, context, errors and JSON.

    def test_it_counts() -> None:
        ran = slotwise.testing.run(WordCount, {"text": "to be or not to be"})
        assert ran.result["to"] == 2

What only a process of its own can have is left out: limits on memory and CPU time, being killed. Start-up hooks
are plain functions: call them yourself, once.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from arq import Retry

from slotwise import context, wire
from slotwise.algorithm import Algorithm
from slotwise.context import Context
from slotwise.errors import JobError
from slotwise.failure import named
from slotwise.settings import Settings

JOB_ID: Final = "0" * 32
TIMEOUT_SECONDS: Final = float(Settings.model_fields["job_timeout"].default)
MOST_BYTES: Final = int(Settings.model_fields["max_result_bytes"].default)


@dataclass(frozen=True)
class Ran:
    """What became of it. `result` is the JSON value that a client reads, `returned` what the function returned."""

    algorithm: Algorithm[..., Any]
    result: Any
    returned: Any
    progress: tuple[tuple[float, str], ...]
    logs: str

    def as_declared(self) -> Any:
        """The result, read from its JSON as the type that the function declares.

        Raises: pydantic.ValidationError where it does not fit: the published schema of the result is wrong.
        """
        return self.algorithm.signature.result.validate_json(wire.encode(self.result), strict=True)


def run(
    algorithm: Algorithm[..., Any],
    params: Mapping[str, Any] | str | bytes | None = None,
    *,
    job_id: str = JOB_ID,
    attempt: int = 1,
    timeout: float | None = None,
    cancelled: bool = False,
) -> Ran:
    """Run one job. `params` are JSON: a mapping, or its text.

    `timeout` is in seconds; the algorithm's, or the default, where it is left out. Only an async function is held
    to it. `cancelled` is what the function sees as `ctx.cancelled`.

    Raises: JobError as the job's record would tell it, with the function's own exception as its cause;
    arq.Retry where the function asks for another attempt.
    """
    told: dict[str, Any] = {"job_id": job_id, "attempt": attempt, "timeout": timeout, "cancelled": cancelled}
    return asyncio.run(run_async(algorithm, params, **told))


async def run_async(
    algorithm: Algorithm[..., Any],
    params: Mapping[str, Any] | str | bytes | None = None,
    *,
    job_id: str = JOB_ID,
    attempt: int = 1,
    timeout: float | None = None,
    cancelled: bool = False,
) -> Ran:
    """`run`, for a test that runs on an event loop."""
    seconds = timeout or algorithm.timeout or TIMEOUT_SECONDS
    limit = asyncio.timeout(seconds)
    ear = _Ear(cancelled)
    job = Context.until(job_id, attempt, seconds, ear)
    given = _object(params)
    token = context.begin(lambda: job)
    try:
        with redirect_stdout(_Tee(ear, sys.stdout)), redirect_stderr(_Tee(ear, sys.stderr)):
            returned = await _returned(algorithm, given, job, limit)
    except Retry:
        raise
    except (Exception, SystemExit) as error:
        told = wire.error_of(TimeoutError()) if limit.expired() else named(error)
        if told is error:
            raise
        raise told from error
    finally:
        context.end(token)
    return Ran(algorithm, _result(returned), returned, tuple(ear.progresses), ear.text())


async def _returned(
    algorithm: Algorithm[..., Any], params: Mapping[str, Any], job: Context, limit: asyncio.Timeout
) -> Any:
    returned = algorithm.call((), params, lambda: job)
    if inspect.isawaitable(returned):
        async with limit:
            return await returned
    return returned


@dataclass
class _Ear:
    """A voice's other end."""

    is_cancelled: bool
    progresses: list[tuple[float, str]] = field(default_factory=list)
    output: bytearray = field(default_factory=bytearray)

    def progress(self, percent: float, message: str) -> None:
        self.progresses.append((percent, message))

    def log(self, output: bytes) -> None:
        self.output += output

    def cancelled(self) -> bool:
        return self.is_cancelled

    def text(self) -> str:
        return self.output.decode("utf-8", "replace")


class _Tee(io.TextIOBase):
    """Standard output of the body: into its log as well."""

    def __init__(self, ear: _Ear, stream: TextIO) -> None:
        self._ear = ear
        self._stream = stream

    def write(self, text: str) -> int:
        self._ear.log(text.encode("utf-8", "backslashreplace"))
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


def _object(params: Mapping[str, Any] | str | bytes | None) -> Mapping[str, Any]:
    if params is None or isinstance(params, Mapping):
        return params or {}
    try:
        given = wire.decode(params.encode() if isinstance(params, str) else params)
    except ValueError as error:
        raise JobError("bad_params", str(error)) from None
    if not isinstance(given, dict):
        raise JobError("bad_params", "the parameters are not a JSON object")
    return given


def _result(returned: Any) -> Any:
    try:
        data = wire.encode(returned)
        value = wire.decode(data)
    except (ValueError, RecursionError) as error:
        raise JobError("bad_result", f"the result is not JSON: {error}") from error
    if len(data) > MOST_BYTES:
        raise JobError("bad_result", f"the result is over {MOST_BYTES} bytes (MAX_RESULT_BYTES)")
    return value
