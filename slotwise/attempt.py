"""An attempt, from the claim that grants it to the finish that ends it: what crosses between worker and store."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic_core import to_json

from slotwise.limits import NO_LIMITS, Limits
from slotwise.origin import origin_of

Outcome = Literal["completed", "failed", "cancelled", "retry", "release", "died"]
Notice = Literal["", "expired", "abort", "lost"]
# Whose requests to cancel count: those made over HTTP, or a stock client's aborts as well.
Cancels = Literal["requested", "any"]


@dataclass(slots=True)
class Grant:
    """A slot with the job that it was granted for. `token` fences every later move of this attempt."""

    id: str
    token: str
    attempt: int
    score: float
    notice: Notice
    payload: bytes
    timeout: float | None
    max_attempts: int | None
    keep_result: float | None
    limits: Limits = NO_LIMITS

    @classmethod
    def of(cls, reply: Sequence[Any]) -> Grant:
        """From the array that claim.lua returns for one job."""
        return cls(
            id=_text(reply[0]),
            token=reply[1].decode(),
            attempt=int(reply[2]),
            score=_number(reply[3]) or 0.0,
            notice=reply[4].decode(),
            payload=reply[5],
            timeout=_number(reply[6]),
            max_attempts=_whole(reply[7]),
            keep_result=_number(reply[8]),
            limits=Limits(_whole(reply[9]), _number(reply[10]), _whole(reply[11]), _whole(reply[12])),
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """A numbered request for slots. Sent again with the same number it grants nothing new."""

    incarnation: str
    number: int
    asked: int
    prefix: str  # of the tokens: "<number>-<128 random bits>-"
    cancels: Cancels
    look_for_cancels: bool
    worker: str
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to a claim. `gone`: the incarnation has no lease any more."""

    number: int = 0  # of the exchange
    gone: bool = False
    next_due_ms: float | None = None
    cap: int = 0
    cancels: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()

    @classmethod
    def of(cls, number: int, reply: Sequence[Any]) -> Claimed:
        """From the array that claim.lua returns to the claim of this number."""
        if reply[0] == b"gone":
            return cls(number=number, gone=True)
        return cls(
            number=number,
            next_due_ms=_number(reply[1]),
            cap=int(reply[2]),
            cancels=tuple(map(_text, reply[3])),
            grants=tuple(Grant.of(grant) for grant in reply[4]),
        )


@dataclass(frozen=True, slots=True)
class KillStep:
    """Something done to end a body: 'cancel', 'SIGTERM', 'SIGKILL', …; 'gone' when nothing was left of it.

    `at_ms` is milliseconds since the epoch, by the worker's clock.
    """

    at_ms: int
    step: str


@dataclass(frozen=True, slots=True)
class Account:
    """What an attempt used, and how it was ended; None for what was not measured.

    `cpu_seconds` is of a body's processes, or its thread. `peak_memory_mb` is the most resident memory of any one
    of its processes, in MB of 2^20 bytes, less what the job's process began with.
    """

    cpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    kill_steps: tuple[KillStep, ...] = ()

    def as_json(self) -> bytes:
        """For the record, which only passes it on; b'' where there is nothing to tell."""
        if self is NO_ACCOUNT:
            return b""
        told: dict[str, Any] = {}
        if self.cpu_seconds is not None:
            told["cpu_seconds"] = round(self.cpu_seconds, 6)
        if self.peak_memory_mb is not None:
            told["peak_memory_mb"] = round(self.peak_memory_mb, 3)
        if self.kill_steps:
            told["kill_steps"] = [[each.at_ms, each.step] for each in self.kill_steps]
        return to_json(told, inf_nan_mode="null") if told else b""

    def figures(self) -> tuple[str | float, str | float]:
        """CPU time in ms and memory in MB, for the averages; '' for what was not measured."""
        cpu, peak = self.cpu_seconds, self.peak_memory_mb
        if cpu is None or not math.isfinite(cpu):
            return "", ""
        return round(cpu * 1000, 3), round(peak, 3) if peak is not None and math.isfinite(peak) else ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Account:
        """From decoded JSON. Raises: ValueError, TypeError for what `as_json` did not write."""
        cpu, peak = told.get("cpu_seconds"), told.get("peak_memory_mb")
        return cls(
            cpu_seconds=None if cpu is None else float(cpu),
            peak_memory_mb=None if peak is None else float(peak),
            kill_steps=tuple(KillStep(int(at_ms), str(step)) for at_ms, step in told.get("kill_steps", ())),
        )


NO_ACCOUNT: Final = Account()


@dataclass(slots=True)
class Finish:
    """The end of one attempt. Times in ms; `keep_ms` None keeps the result for ever."""

    id: str
    token: str
    outcome: Outcome
    algorithm: str = ""
    error: bytes = b""
    envelope: bytes = b""
    keep_ms: int | None = 0
    retry_in_ms: int = 0
    mark_ms: int = 0
    attempt: int = 1
    own_end: bool = False  # of its body: not cancelled, killed or handed back
    account: Account = NO_ACCOUNT

    def args(self) -> tuple[str | bytes | int | float, ...]:
        """In the order of finish.lua."""
        keep = "" if self.keep_ms is None else self.keep_ms
        return (
            self.id.encode("utf-8", "surrogateescape"),
            self.token,
            self.outcome,
            self.algorithm.encode("utf-8", "replace"),
            self.error,
            self.envelope,
            keep,
            self.retry_in_ms,
            self.mark_ms,
            self.attempt,
            "1" if self.own_end else "",
            self.account.as_json(),
            *self.account.figures(),
            origin_of(self.error) if self.outcome == "failed" else "",
        )


def _text(id: bytes) -> str:
    """A job's id: any string, whatever bytes a client put into the queue."""
    return id.decode("utf-8", "surrogateescape")


def _number(value: bytes) -> float | None:
    """None also for what is no number, whoever wrote it into the record."""
    try:
        return float(value) if value else None
    except ValueError:
        return None


def _whole(value: bytes) -> int | None:
    number = _number(value)
    return int(number) if number is not None and math.isfinite(number) else None
