"""The body of `POST /jobs`: what a client may ask for, and the submission that it becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from service.problems import invalid, pointer, rows_of
from slotwise.destination import MOST_CHARS, Destination
from slotwise.job import Submission
from slotwise.limits import (
    LEAST_MEMORY_MB,
    LEAST_OPEN_FILES,
    MOST_CPU_SECONDS,
    MOST_MEMORY_MB,
    MOST_OPEN_FILES,
    NO_LIMITS,
    Limits,
)
from slotwise.settings import Settings
from slotwise.store import MAX_BATCH
from slotwise.trace import NO_TRACE, Trace
from slotwise.webhook import ENDS, PREFIX, Type

YEAR_SECONDS: Final = 31_536_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
INSTANT: Final = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}


def instant_ms(value: object) -> object:
    """An RFC 3339 timestamp as milliseconds since the epoch, for a model's field. Raises: ValueError."""
    if value is None:
        return None
    if not isinstance(value, str) or not _RFC3339.fullmatch(value.upper()):
        raise ValueError("must be an RFC 3339 timestamp with an offset, as 2030-01-31T12:00:00Z")
    try:
        return (datetime.fromisoformat(value.upper()) - EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        raise ValueError("must be a time that exists") from None


class JobRequest(BaseModel):
    """A job as a client asks for it. Times are seconds, but for `run_at`, which is read into milliseconds."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    algorithm: str
    params: dict[str, Any] = {}
    priority: int = Field(0, ge=0, le=9)
    timeout: float | None = Field(None, gt=0, le=YEAR_SECONDS)
    max_attempts: int | None = Field(None, ge=1, le=100)
    memory_mb: int | None = Field(None, ge=LEAST_MEMORY_MB, le=MOST_MEMORY_MB)
    cpu_seconds: float | None = Field(None, gt=0, le=MOST_CPU_SECONDS)
    open_files: int | None = Field(None, ge=LEAST_OPEN_FILES, le=MOST_OPEN_FILES)
    file_mb: int | None = Field(None, ge=1, le=MOST_MEMORY_MB)
    run_at: Annotated[int | None, BeforeValidator(instant_ms), WithJsonSchema(INSTANT)] = None
    delay: float | None = Field(None, ge=0, le=100 * YEAR_SECONDS)
    expires_in: float | None = Field(None, gt=0, le=100 * YEAR_SECONDS)
    keep_result: float | None = Field(None, ge=1, le=YEAR_SECONDS)
    labels: dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=256)],
    ] = Field({}, max_length=32)
    webhook: Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARS)] | None = None
    webhook_events: list[Type] | None = Field(None, min_length=1, max_length=len(get_args(Type)))

    def submission(
        self,
        job_id: str,
        fingerprint: str,
        *,
        now_ms: int,
        declared: Mapping[str, Any],
        settings: Settings,
        trace: Trace = NO_TRACE,
        tenant: str = "",
    ) -> Submission:
        """The job for the store: as asked for, else as the algorithm declared, else as the service is set.

        Raises: SlotwiseError `invalid-request` for limits beyond what the algorithm declared, or a time to start
        that would be over before the job is due.
        """
        due_ms = self._due_ms(now_ms)
        start_within_ms = None if self.expires_in is None else max(1, round(self.expires_in * 1000))
        if due_ms is not None and start_within_ms is not None and due_ms >= now_ms + start_within_ms:
            raise invalid("The job is not valid.", {"#/expires_in": "would be over before the job is due"})
        webhook = self._webhook(settings)
        events = () if webhook is None else tuple(dict.fromkeys(self.webhook_events or ENDS))
        return Submission(
            id=job_id,
            algorithm=self.algorithm,
            params=self.params,
            due_ms=due_ms,
            start_within_ms=start_within_ms,
            priority=self.priority,
            head_start_ms=round(self.priority * settings.priority_head_start * 1000),
            timeout=settings.capped(self.timeout or declared["timeout"] or settings.job_timeout),
            max_attempts=self.max_attempts or declared["max_attempts"] or settings.max_attempts,
            limits=self._limits(declared, settings),
            keep_result=self.keep_result,
            labels=self.labels,
            webhook=webhook,
            webhook_events=tuple(event.removeprefix(PREFIX) for event in events),
            fingerprint=fingerprint,
            trace=trace,
            tenant=tenant,
        )

    def _webhook(self, settings: Settings) -> str | None:
        """The URL, written in the one way. Raises: SlotwiseError `invalid-request`."""
        if self.webhook is None:
            return None
        try:
            destination = Destination.of(self.webhook)
            destination.check(settings.webhooks_allowed)
        except ValueError as error:
            raise invalid("The job is not valid.", {"#/webhook": str(error)}) from None
        return destination.url

    def _limits(self, declared: Mapping[str, Any], settings: Settings) -> Limits:
        """A request tightens what its algorithm and the service allow; it is refused where it would widen that."""
        asked = Limits(self.memory_mb, self.cpu_seconds, self.open_files, self.file_mb)
        most = Limits.of(declared)
        rows = {}
        for name, value in {"timeout": self.timeout, **asked.as_dict()}.items():
            by_algorithm, by_service = declared.get(name), getattr(settings, f"max_{name}")
            if declared["executor"] != "process" and name != "timeout":
                rows[pointer(name)] = (
                    f"must be left out: {self.algorithm} runs inside the worker ({declared['executor']}), and "
                    "only a process of its own can be limited"
                )
            elif value is not None and by_algorithm is not None and value > by_algorithm:
                rows[pointer(name)] = f"must be at most {by_algorithm}, the maximum that {self.algorithm} declares"
            elif value is not None and by_service is not None and value > by_service:
                rows[pointer(name)] = f"must be at most {by_service}, the maximum of this service"
        if rows:
            raise invalid("The job is not valid.", rows)
        if declared["executor"] != "process":
            return NO_LIMITS
        return most.tightened_by(asked).tightened_by(settings.most)

    def _due_ms(self, now_ms: int) -> int | None:
        """None, at once, also for a time that has passed: an old date must not overtake those who wait."""
        due = self.run_at if self.delay is None else now_ms + round(self.delay * 1000)
        return due if due is not None and due > now_ms else None


class _Described:
    """Shows as a job, and is checked as one later, so that what is wrong has its place in the batch."""

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(JobRequest.__pydantic_core_schema__)


class BatchRequest(BaseModel):
    """The body of `POST /jobs/batch`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    jobs: list[Annotated[dict[str, Any], _Described()]] = Field(min_length=1, max_length=MAX_BATCH)


def job_request(body: dict[str, Any]) -> JobRequest:
    """The body of `POST /jobs`, checked. Raises: SlotwiseError `invalid-request`."""
    try:
        asked = JobRequest.model_validate(body)
    except ValidationError as error:
        raise invalid("The job is not valid.", rows_of(error, "is not a field of a job")) from None
    if asked.run_at is not None and asked.delay is not None:
        raise invalid("The job is not valid.", {"#/delay": "must be left out when run_at says when"})
    if asked.webhook_events is not None and asked.webhook is None:
        raise invalid("The job is not valid.", {"#/webhook_events": "must be left out without a webhook"})
    return asked


def batch_request(body: dict[str, Any]) -> BatchRequest:
    """The body of `POST /jobs/batch`, checked but for its jobs. Raises: SlotwiseError `invalid-request`."""
    try:
        return BatchRequest.model_validate(body)
    except ValidationError as error:
        raise invalid("The batch is not valid.", rows_of(error, "is not a field of a batch")) from None
