"""A job's states, and the one table of legal moves between them (drawn in docs/lifecycle.md).

The scripts in `lua/` are the only code that moves a job; a test walks every pair of state and move against
this table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from slotwise.attempt import NO_ACCOUNT, Account
from slotwise.limits import NO_LIMITS, Limits
from slotwise.trace import NO_TRACE, Trace


class State(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why a pending job waits."""

    QUEUED = "queued"
    SCHEDULED = "scheduled"
    RETRYING = "retrying"


class Move(StrEnum):
    """What can happen to a job. `finish` is five moves: its outcome names the state that follows."""

    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    STOP = "stop"  # the body was cancelled and is gone
    RETRY = "retry"  # the attempt counts, the job waits again
    RELEASE = "release"  # handed back by a drain or an outage: the attempt does not count
    REAP = "reap"  # its worker died
    CANCEL = "cancel"
    EXPIRE = "expire"  # it had to start by now, and has not
    REOPEN = "reopen"  # somebody retries a job that had ended: its attempts begin anew
    ERASE = "erase"  # nothing knows it any more


MOST_SLOTS: Final = 100_000  # that any cap may offer

TERMINAL: Final = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})

# (state before, move) -> state after; None: the job is gone. A pair that is not here changes nothing.
MOVES: Final[dict[tuple[State, Move], State | None]] = {
    (State.PENDING, Move.CLAIM): State.RUNNING,
    (State.PENDING, Move.CANCEL): State.CANCELLED,
    (State.PENDING, Move.EXPIRE): State.FAILED,  # unless it has run before
    (State.RUNNING, Move.COMPLETE): State.COMPLETED,
    (State.RUNNING, Move.FAIL): State.FAILED,
    (State.RUNNING, Move.STOP): State.CANCELLED,
    (State.RUNNING, Move.RETRY): State.PENDING,
    (State.RUNNING, Move.RELEASE): State.PENDING,
    (State.RUNNING, Move.REAP): State.PENDING,
    (State.RUNNING, Move.CANCEL): State.RUNNING,  # marked; its worker kills the body, then `stop`
    (State.FAILED, Move.REOPEN): State.PENDING,
    (State.CANCELLED, Move.REOPEN): State.PENDING,
    (State.COMPLETED, Move.ERASE): None,
    (State.FAILED, Move.ERASE): None,
    (State.CANCELLED, Move.ERASE): None,
}


@dataclass  # not frozen, as all else here: made for each job that comes, and that would take twice as long
class Submission:
    """A job as it is handed to `Store.submit`. Times are milliseconds; `due_ms` None means now."""

    id: str
    algorithm: str
    params: dict[str, Any]
    due_ms: int | None = None
    priority: int = 0
    head_start_ms: int = 0
    start_within_ms: int | None = None  # of its submit; not started by then it is `expired`
    timeout: float | None = None  # seconds
    max_attempts: int | None = None
    limits: Limits = NO_LIMITS
    keep_result: float | None = None  # seconds
    labels: dict[str, str] = field(default_factory=dict)
    webhook: str | None = None
    webhook_events: tuple[str, ...] = ()  # as lua/parts/outbox.lua names them
    fingerprint: str = ""  # of the request, where an idempotency key made the id
    trace: Trace = NO_TRACE
    tenant: str = ""  # whose it is; '' is nobody's


@dataclass(frozen=True)
class Attempt:
    """An attempt that has ended. `outcome` is that of its finish, or the job's own end."""

    started_ms: int
    ended_ms: int
    worker: str
    outcome: str
    account: Account = NO_ACCOUNT


@dataclass  # not frozen: as Submission
class Job:
    """A job as one atomic read shows it. Times are milliseconds since the epoch, by Redis's clock."""

    id: str
    state: State
    algorithm: str | None
    params: Any = None
    result: Any = None
    error: dict[str, Any] | None = None
    reason: Reason | None = None
    attempt: int = 0
    max_attempts: int | None = None
    priority: int = 0
    timeout: float | None = None
    labels: dict[str, str] = field(default_factory=dict)
    created_ms: int | None = None
    due_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    expires_ms: int | None = None
    cancel_requested: bool = False
    worker: str | None = None
    history: tuple[Attempt, ...] = ()  # the attempts that did not end the job
    forgotten: int = 0  # such attempts after those, for which the record has no room
    ready_ms: int | None = None  # when the latest of all these left it waiting
    reopened_ms: int | None = None  # when somebody retried it: all else is of its life since
    ended_waiting: bool = False  # it ended while it waited: `started_ms` is of an attempt before
    account: Account = NO_ACCOUNT  # of the attempt that did
    progress: tuple[float, str] | None = None  # of the latest attempt: percent, message
    incarnation: str | None = None  # of the worker that runs it, while it runs
    heartbeat_ms: int | None = None  # while it runs
    webhook: str | None = None
    tenant: str = ""  # whose it is; '' is nobody's


@dataclass(frozen=True)
class Slots:
    """The cap and the size of the set of running jobs, read in one step."""

    max_concurrent: int
    running: int

    @property
    def available(self) -> int:
        return max(0, self.max_concurrent - self.running)
