"""What an exception that ended a body is called in its job's record. Pure rules, for every kind of executor.

A body may raise anything: nothing here trusts an exception's own methods, or lets them raise in turn.
"""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Final

from slotwise.errors import MAX_DETAIL_CHARS, JobError, shown, text_of

TRACEBACK_FRAMES: Final = 20  # the last ones
MOST_PAUSE_SECONDS: Final = 3_153_600_000.0  # that a body may ask for before its next try: a hundred years
# What a body may call its own end: the rest of the types say what the service did.
OWN_TYPES: Final = frozenset({"exception", "memory_limit", "cpu_limit", "crashed", "bad_result", "bad_params"})


def named(error: BaseException) -> JobError:
    """The error as the job's record tells it."""
    if isinstance(error, JobError) and error.type in OWN_TYPES:
        return error
    if isinstance(error, SystemExit):
        return exited(error)
    return described(error)


def exited(end: SystemExit) -> JobError:
    """A body that called `sys.exit`."""
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return JobError("crashed", f"the job called sys.exit({shown(end.code)})", f"exit code {code}")


def described(error: BaseException) -> JobError:
    """Type, message, and the end of the traceback."""
    text = traceback_of(error)[-MAX_DETAIL_CHARS:]
    return JobError("exception", f"{type(error).__name__}: {text_of(error)}", text)


def traceback_of(error: BaseException) -> str:
    try:
        return "".join(
            traceback.format_exception(type(error), error, error.__traceback__, limit=-TRACEBACK_FRAMES)
        )
    except Exception as fault:  # a chain that is too deep, a class that lies about itself
        return f"(no traceback: {type(fault).__name__})"


def pause_seconds(error: BaseException) -> float | None:
    """How long a body that asked to be tried again wants to wait; None where it did not, or not in seconds."""
    arq = sys.modules.get("arq.worker")  # who asks for a retry has loaded it; a job's process need not
    if arq is None or not isinstance(error, arq.Retry):
        return None
    try:
        return min(MOST_PAUSE_SECONDS, max(0.0, float(error.defer_score or 0) / 1000))
    except (TypeError, ValueError, OverflowError):
        return None


def lacked_memory(error: BaseException) -> bool:
    """Whether memory that was refused ended it: by itself, within a group, or as the declared cause."""
    seen: set[int] = set()
    ahead: list[BaseException | None] = [error]
    while ahead:
        one = ahead.pop()
        if one is None or id(one) in seen:
            continue
        if _is_refusal(one):
            return True
        seen.add(id(one))
        ahead.append(one.__cause__)
        if isinstance(one, BaseExceptionGroup):
            ahead.extend(one.exceptions)
    return False


def _is_refusal(error: BaseException) -> bool:
    """Also as mmap(2) and fork(2) tell it, and pydantic's encoder, which panics."""
    told = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return told or isinstance(error, MemoryError) or type(error).__name__ == "PanicException"
