"""The bytes that arq's clients read as a job's result, by the serializer that the worker was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from arq.jobs import deserialize_job_raw
from arq.utils import timestamp_ms

from slotwise import wire
from slotwise.errors import JobError
from slotwise.trace import NO_TRACE, Trace

LAST_MS: Final = 253_402_300_799_999  # of the year 9999, where dates end
READABLE_BYTES: Final = 400  # an envelope under this is too short to be too deep, or a number too long, to read

Serializer = Callable[[dict[str, Any]], bytes]


@dataclass
class Call:
    """What was called, as its payload says; the defaults stand for a payload that cannot be read."""

    name: str = "<unknown>"
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    enqueued_ms: int = 0
    trace: Trace = NO_TRACE


def called(payload: bytes, deserializer: Callable[[bytes], dict[str, Any]] | None) -> tuple[Call, int]:
    """The call, and the try that it says it is. Raises: what arq raises, ValueError, TypeError, OverflowError."""
    traces = [NO_TRACE]

    def traced(data: bytes) -> dict[str, Any]:
        call = deserializer(data)  # type: ignore[misc]
        traces.append(Trace.of(call))
        return call

    name, args, kwargs, tries, enqueued_ms = deserialize_job_raw(payload, deserializer=deserializer and traced)
    if abs(enqueued_ms) > LAST_MS:
        raise ValueError(f"enqueued at {enqueued_ms} ms")
    return Call(str(name), tuple(args), dict(kwargs), int(enqueued_ms), traces[-1]), int(tries or 0)


@dataclass(frozen=True)
class Envelope:
    """Everything around a result."""

    call: Call
    job_id: str
    queue: str
    attempt: int
    started_ms: int
    serializer: Serializer

    def of(self, success: bool, result: Any) -> bytes:
        """The envelope with `result`: a value, or the failure.

        Raises: whatever the serializer raises; ValueError for a result that nobody could read.
        """
        if isinstance(result, wire.RawJson) and self.serializer is not wire.serialize:
            result = wire.decode(result)
        data = self.serializer(
            {
                "t": self.attempt,
                "f": self.call.name,
                "a": self.call.args,
                "k": self.call.kwargs,
                "et": self.call.enqueued_ms,
                "s": success,
                "r": result,
                "st": self.started_ms,
                "ft": timestamp_ms(),
                "q": self.queue,
                "id": self.job_id,
                **self.call.trace.as_stored(),
            }
        )
        if success and self.serializer is wire.serialize and len(data) > READABLE_BYTES:
            wire.decode(data)
        return data

    def of_unserialisable(self, error: JobError) -> bytes:
        """The envelope in place of one that the serializer refused; without the arguments if need be."""
        own = self.serializer is wire.serialize
        try:
            return self.of(False, error if own else f"unable to serialize result: {error.message}")
        except Exception:
            self.call.args, self.call.kwargs = (), {}
            return self.of(False, error if own else "unable to serialize result")
