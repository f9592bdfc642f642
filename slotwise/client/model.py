"""What the service answers, as frozen models: the fields are those of docs/api.md, under their names there.

A field that a later service adds is kept (`as_dict`), one that it does not tell is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, PrivateAttr, model_validator

from slotwise.job import TERMINAL, State


class Told(BaseModel):
    """An object of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    _told: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Raises: ValueError for what is no such object."""
        return cls.model_validate(value)

    @model_validator(mode="wrap")
    @classmethod
    def _keep(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        told = handler(value)
        if isinstance(value, dict):
            told._told = value
        return told

    def as_dict(self) -> dict[str, Any]:
        """The object as it was answered, with every field."""
        return self._told


class Failure(Told):
    """Why a job failed."""

    type: str
    message: str
    detail: str | None = None


class Usage(Told):
    cpu_seconds: float | None = None
    peak_memory_mb: float | None = None


class Job(Told):
    """A job as it was when the service answered. Times are UTC, `…_seconds` and `timeout` seconds."""

    job_id: str
    status: State
    algorithm: str | None = None
    params: Any = None
    result: Any = None
    error: Failure | None = None
    progress: float | None = None  # percent
    message: str | None = None
    attempt: int = 0
    max_attempts: int | None = None
    priority: int = 0
    timeout: float | None = None
    created_at: datetime | None = None
    scheduled_for: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    heartbeat_at: datetime | None = None
    wait_seconds: float | None = None
    run_seconds: float | None = None
    reason: str | None = None
    cancel_requested: bool = False
    worker: str | None = None
    webhook: str | None = None
    labels: dict[str, str] = {}
    tenant: str | None = None
    usage: Usage | None = None
    urls: dict[str, str | None] = {}

    @property
    def ended(self) -> bool:
        """Whether it completed, failed or was cancelled."""
        return self.status in TERMINAL


class WebhookAttempt(Told):
    """One request to a job's webhook. `next_at`: when the next is due."""

    at: datetime
    event: str | None = None
    webhook_id: str | None = None
    outcome: str | None = None
    status_code: int | None = None
    ms: int | None = None
    next_at: datetime | None = None
    error: str | None = None


class Override(Told):
    """A cap that somebody set while the service ran. `expires_at` None: until it is cleared."""

    value: int
    reason: str | None = None
    by: str | None = None
    at: datetime | None = None
    expires_at: datetime | None = None


class Worker(Told):
    """A live worker. `slots` None: it follows the cap."""

    name: str
    host: str | None = None
    version: str | None = None
    slots: int | None = None
    running: int = 0
    last_seen_seconds: float | None = None
    algorithms: tuple[str, ...] = ()
    draining: bool = False
    configured: int | None = None
    cores: float | None = None
    memory_mb: float | None = None
    memory_free_mb: float | None = None


class AlgorithmSlots(Told):
    """The slots of one algorithm. `max_concurrent` None: it has no cap of its own."""

    running: int
    pending: int
    max_concurrent: int | None = None
    declared: int | None = None
    override: Override | None = None
    rate: str | None = None


class RunningJob(Told):
    job_id: str
    algorithm: str | None = None
    worker: str | None = None
    running_seconds: float | None = None
    heartbeat_seconds: float | None = None


class Concurrency(Told):
    """Everything about the slots, of one instant."""

    max_concurrent: int
    available_slots: int
    running_jobs: int
    pending_jobs: int | None = None
    scheduled_jobs: int | None = None
    oldest_pending_seconds: float | None = None
    saturated_since: datetime | None = None
    utilisation: dict[str, float | None] = {}
    idle_slot_seconds_total: float | None = None
    configured: int | None = None
    override: Override | None = None
    workers: tuple[Worker, ...] = ()
    algorithms: dict[str, AlgorithmSlots] = {}
    jobs: tuple[RunningJob, ...] = ()


class Effect(Told):
    """What another cap would do: `fills` waiting jobs start at once at most, `drains` run above it."""

    before: int | None
    after: int | None
    fills: int
    drains: int
    drains_in_seconds: float | None = None

    @classmethod
    def of(cls, value: Any) -> Self:
        row = value if isinstance(value, dict) else {}
        effect = cls.model_validate(row | {"before": row.get("from"), "after": row.get("to")})
        effect._told = row
        return effect


class Explanation(Told):
    """Why a job waits, where it runs, or where its time went: what does not apply to its status is None."""

    job_id: str
    status: State
    text: str
    reason: str | None = None
    blocking: str | None = None
    position: int | None = None  # an estimate; 1: next
    holders: tuple[str, ...] = ()
    eta_seconds: dict[str, float] | None = None  # p50, p90
    worker: str | None = None
    attempt: int | None = None
    queued_seconds: float | None = None
    running_seconds: float | None = None
    attempts: tuple[dict[str, Any], ...] = ()


class SlotNumbers(Told):
    """The slots, and the jobs that wait and are due, `at` that time."""

    max_concurrent: int
    available_slots: int
    running_jobs: int
    pending_jobs: int
    at: datetime


class JobMove(Told):
    """A job came into `status`, or was `erased`. `reason` while it waits, `error_type` if it failed."""

    job_id: str
    algorithm: str | None = None
    status: str
    reason: str | None = None
    attempt: int = 0
    error_type: str | None = None
    at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a stream. `id` is what to go on behind (`last_event_id`)."""

    name: str
    data: dict[str, Any]
    id: str


@dataclass(frozen=True, slots=True)
class FleetEvent(Event):
    """`slots` of an event `slots`, `job` of an event `job`. `reset` has neither: what came before is not kept."""

    slots: SlotNumbers | None = None
    job: JobMove | None = None
