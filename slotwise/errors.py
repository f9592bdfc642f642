"""The two kinds of error that cross a boundary.

`SlotwiseError` is for whoever asked (an operator, an HTTP client): a code and a sentence that says what to do.
`JobError` is what became of a job's body, as it is stored and shown.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Any, Final, Literal, NoReturn

from slotwise.rate import Quota

Code = Literal[
    "invalid-settings",
    "invalid-algorithms",
    "no-server",
    "server-in-use",
    "invalid-json",
    "invalid-request",
    "unauthorized",
    "forbidden",
    "not-found",
    "not-acceptable",
    "too-many-listeners",
    "too-many-connections",
    "malformed-request",
    "misdirected-request",
    "cross-site",
    "request-timeout",
    "headers-too-large",
    "method-not-allowed",
    "job-not-found",
    "algorithm-not-found",
    "worker-not-found",
    "result-not-ready",
    "job-failed",
    "already-finished",
    "still-active",
    "count-differs",
    "not-kept",
    "webhook-not-found",
    "idempotency-key-reused",
    "payload-too-large",
    "unsupported-media-type",
    "queue-full",
    "rate-limited",
    "store-unavailable",
    "store-damaged",
    "internal",
]

FailureType = Literal[
    "exception",
    "timeout",
    "memory_limit",
    "cpu_limit",
    "crashed",
    "lost",
    "bad_result",
    "bad_params",
    "algorithm_not_found",
    "expired",
]
ErrorType = Literal[FailureType, "cancelled"]

PAUSED_SECONDS, UNKNOWN_SECONDS, MOST_SECONDS = 60, 5, 3600  # of a Retry-After
MAX_MESSAGE_CHARS: Final = 2_000
MAX_DETAIL_CHARS: Final = 8_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class SlotwiseError(Exception):
    """An error with a code and a message written for the caller.

    `errors` lists {"pointer", "detail"} rows for a request that did not validate; `retry_after_seconds` is set
    where trying again later is the cure; `quota` where a rate was told.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        errors: list[dict[str, str]] | None = None,
        retry_after_seconds: int | None = None,
        quota: Quota | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.errors = errors or []
        self.retry_after_seconds = retry_after_seconds
        self.quota = quota


def exit_with(error: SlotwiseError) -> NoReturn:
    """End the program with the error's one line and exit status 2."""
    sys.stderr.write(f"slotwise: {error.message}\n")
    raise SystemExit(2)


def unknown_job(job_id: str) -> SlotwiseError:
    """The error of an id that nobody knows."""
    return SlotwiseError(
        "job-not-found", f"No job is called {printable(job_id, 100)!r}, or it ended and was not kept any longer."
    )


def queue_full(max_pending: int, places: int, cap: bytes | int, hold_ms: bytes, whose: str = "") -> SlotwiseError:
    """`hold_ms`: for how long jobs hold their slots of late; b"" while nobody knows."""
    seconds = places_free_in(places, cap=int(cap), hold_ms=float(hold_ms or "nan"))
    text = f"{max_pending} {whose}jobs wait already: try again later"
    return SlotwiseError("queue-full", text, retry_after_seconds=seconds)


def places_free_in(jobs: int, *, cap: int, hold_ms: float) -> int:
    """Whole seconds until a full queue has drained by `jobs`, at the pace of late; a guess while none is known."""
    if cap == 0:
        return PAUSED_SECONDS
    if math.isnan(hold_ms):
        return UNKNOWN_SECONDS
    return min(MOST_SECONDS, max(1, math.ceil(jobs * hold_ms / cap / 1000)))


class JobError(RuntimeError):
    """Why a job ended without a result: `type` is one of the documented names, `detail` is for people."""

    def __init__(self, type: str, message: str, detail: str | None = None) -> None:
        super().__init__(type, message, detail)
        self.type = type
        self.message = message
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"

    def as_dict(self) -> dict[str, Any]:
        """The stored form: bounded, and always encodable as UTF-8."""
        return {
            "type": self.type,
            "message": printable(str(self.message), MAX_MESSAGE_CHARS),
            "detail": None if self.detail is None else printable(str(self.detail), MAX_DETAIL_CHARS),
        }


class Cancelled(BaseException):
    """Raised inside a body that is to end: its job was cancelled, or its time is up.

    In the main thread of a job's own process, and in a job's thread; no `Exception`, as KeyboardInterrupt is none.
    Once: there is time to clean up. A body that goes on all the same is ended by force, and never `completed`.
    """


def name_of(error: BaseException) -> str:
    """What logs and spans call it: nothing that it says of itself."""
    return error.type if isinstance(error, JobError) else type(error).__name__


def text_of(error: BaseException) -> str:
    """What an exception says of itself, whatever its `__str__` does."""
    try:
        return str(error)
    except BaseException as unprintable:  # a SystemExit from there would end who only asked
        return f"(its message raised {type(unprintable).__name__})"


def shown(value: object) -> str:
    """`repr(value)`, whatever its `__repr__` does."""
    try:
        return repr(value)
    except BaseException as unprintable:
        return f"<{type(value).__name__}: its repr raised {type(unprintable).__name__}>"


def printable(text: str, limit: int) -> str:
    """`text` without lone surrogates, cut to `limit` characters (the end is kept: it names the cause)."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= limit else "…" + clean[-(limit - 1) :]


def harmless(text: str, limit: int) -> str:
    """`printable`, in one line and without what a terminal would obey, whoever wrote it."""
    return printable(_CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text), limit)
