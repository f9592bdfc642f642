"""The bytes in Redis: arq's dictionaries as JSON, strict both ways. Pickle is never loaded or written here.

Give `serialize` and `deserialize` to any arq client or worker to speak with this service:

    payload   arq:job:{id}     {"t": try, "f": function, "a": args, "k": kwargs, "et": enqueued ms}, and of whoever
                               submitted over HTTP "rq" and "tp" (slotwise/trace.py)
    envelope  arq:result:{id}  the same keys, and "s": success, "r": result or error, "st"/"ft": started and
                               finished ms, "q": queue, "id"
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import PydanticSerializationError, from_json, to_json

from slotwise.errors import JobError, text_of
from slotwise.trace import Trace

_LARGE_EXPONENT: Final = re.compile(rb"[0-9][eE]\+?[0-9]{3}")


class RawJson(bytes):
    """JSON bytes made elsewhere and already checked, to be placed into an envelope as they are."""


def encode(value: Any) -> bytes:
    """`value` as strict JSON. Raises: ValueError for what JSON cannot say (NaN, lone surrogates, objects)."""
    try:
        data = to_json(value)
    except PydanticSerializationError as error:
        raise ValueError(str(error)) from None
    if b"NaN" in data or b"Infinity" in data:  # as a number or within a string: only a parse can tell
        from_json(data, allow_inf_nan=False)
    return data


def decode(data: bytes) -> Any:
    """The value of strict JSON bytes. Raises: ValueError."""
    value = from_json(data, allow_inf_nan=False)
    if _LARGE_EXPONENT.search(data):  # the parser makes an infinity of 1e999, which `encode` refuses
        encode(value)
    return value


def number(told: bytes | str | float) -> float | None:
    """A number that a script wrote; None for what is none, or not finite: then none of ours wrote it."""
    try:
        value = float(told)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def serialize(call: Mapping[str, Any]) -> bytes:
    """arq's `job_serializer`: a payload or an envelope as JSON. Raises: ValueError."""
    result = call.get("r")
    if isinstance(result, RawJson):
        head = encode({key: value for key, value in call.items() if key != "r"})
        return b'%b,"r":%b}' % (head[:-1], result)
    if isinstance(result, BaseException):
        call = {**call, "r": error_of(result).as_dict()}
    return encode(call)


def deserialize(data: bytes) -> dict[str, Any]:
    """arq's `job_deserializer`. A failure's `r` is an exception again, so that arq's `Job.result()` raises it.

    Raises: ValueError when the bytes are not a JSON object.
    """
    call = decode(data)
    if not isinstance(call, dict):
        raise ValueError("not a JSON object")
    if call.get("s") is False and isinstance(call.get("r"), dict):
        call["r"] = _exception(call["r"])
    return call


def payload_of(envelope: bytes) -> bytes | None:
    """The payload of the job that left this envelope, as for a first attempt; None where it does not say.

    A pickle does not, nor the envelope of a worker that could not read the payload either (its `et` is 0).
    """
    try:
        call = decode(envelope)
        function, args, kwargs, enqueued_ms = (call[key] for key in ("f", "a", "k", "et"))
    except (ValueError, TypeError, KeyError):
        return None
    readable = isinstance(function, str) and isinstance(args, list) and isinstance(kwargs, dict)
    if not readable or type(enqueued_ms) is not int or not enqueued_ms:
        return None
    kept = Trace.of(call).as_stored()
    return serialize({"t": None, "f": function, "a": args, "k": kwargs, "et": enqueued_ms, **kept})


def error_of(failure: BaseException) -> JobError:
    """What an exception that ended a body is called in the job's record."""
    if isinstance(failure, JobError):
        return failure
    if isinstance(failure, asyncio.CancelledError):
        return JobError("cancelled", "the job was cancelled")
    if isinstance(failure, TimeoutError) and not failure.args:
        return JobError("timeout", "the job did not end within its timeout")
    return JobError("exception", f"{type(failure).__name__}: {text_of(failure)}", None)


def _exception(error: Mapping[str, Any]) -> BaseException:
    if error.get("type") == "cancelled":
        return asyncio.CancelledError()
    detail = error.get("detail")
    return JobError(str(error.get("type")), str(error.get("message")), None if detail is None else str(detail))
