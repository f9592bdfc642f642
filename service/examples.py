"""Examples for the description of the service: what the endpoints' own code makes of a few made-up facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from service.batch import Batch
from service.bulk import BulkCancel, BulkRetry, Done
from service.catalogue import AlgorithmObject, Algorithms
from service.concurrency import (
    Audit,
    Concurrency,
    Effects,
    SlotCounts,
    WorkerObject,
    Workers,
    audit_object,
    effect_object,
    rich_view,
    slot_counts,
    worker_object,
)
from service.explain import WhereItRuns, WhereItsTimeWent, WhyItWaits, past
from service.failures import Failures, failure_group
from service.health import Health
from service.listing import JobList
from service.problems import Problem, problem_object
from service.resizing import Resize
from service.stats import Stats, point_object
from service.submission import BatchRequest, JobRequest
from service.webhooks import Attempts, attempt_object
from slotwise import sizing
from slotwise.advice import advise
from slotwise.attempt import Account
from slotwise.counts import BUCKETS
from slotwise.demand import Demand, Host, Load
from slotwise.errors import Code, SlotwiseError
from slotwise.failed import Group
from slotwise.flow import SUMS, Point, Sample
from slotwise.job import Job, Slots, State
from slotwise.moment import timestamp
from slotwise.snapshot import AlgorithmSlots, Effect, LiveWorker, Override, RunningJob, Snapshot
from slotwise.steering import AuditEntry
from slotwise.verdict import Proof, Verdict
from slotwise.view import JobObject, job_object
from slotwise.webhook import Message, Type


def _sample(at_ms: int, started: int) -> Sample:
    return Sample(at_ms, 10, 1, 0, dict.fromkeys(SUMS, started), (started, *(0 for _ in BUCKETS)))


NOW: Final = 1_893_456_000_000  # 2030-01-01T00:00:00Z
JOB: Final = Job(
    id="0f4c1d2e3b5a69788796a5b4c3d2e1f0",
    state=State.COMPLETED,
    algorithm="PrimeChecker",
    params={"number": 97},
    result={"number": 97, "is_prime": True},
    attempt=1,
    max_attempts=1,
    timeout=300.0,
    created_ms=NOW,
    due_ms=NOW,
    started_ms=NOW + 2,
    ended_ms=NOW + 14,
    expires_ms=NOW + 86_400_014,
    worker="worker-1",
    account=Account(0.009, 1.5),
)
WORKER: Final = LiveWorker(
    "worker-1", "host-1", "0.1.0", None, 1, NOW - 800, ("PrimeChecker",), False, 10, 4.0, 16_000, 9_000
)
OVERRIDE: Final = Override(10, NOW + 3_600_000, "the month's end", "http 127.0.0.1", NOW)
SNAPSHOT: Final = Snapshot(
    now_ms=NOW,
    slots=Slots(10, 1),
    configured=4,
    override=OVERRIDE,
    pending=0,
    scheduled=2,
    within_reach=0,
    oldest_due_ms=None,
    hold_ms=12.0,
    workers=(WORKER,),
    algorithms=(AlgorithmSlots("PrimeChecker", 1, 0, 5, 5, "100 60000", None, 12.0, 0),),
    meter=None,
    jobs=(RunningJob(JOB.id, "PrimeChecker", "worker-1", NOW - 4, NOW - 4),),
)
DEMAND: Final = Demand(
    10,
    1,
    0,
    (Host("host-1", 1, None, 4.0, 16_000, 9_000),),
    (Load("PrimeChecker", 80, 3.5, 0.012, 0.0002, 0.009),),
)
VERDICT: Final = Verdict(NOW - 60_000, NOW, NOW - 60_000, 8, 4, 4, 2, NOW - 30_000, 0, [(NOW - 60_000, 10)])
AUDIT: Final = AuditEntry(NOW, None, "set", 4, 10, "http 127.0.0.1", "the month's end", NOW + 3_600_000)
FAILED: Final = Group(
    "5d41402abc4b2a76",
    "PrimeChecker",
    "exception",
    "ValueError at primes.py:17",
    "ValueError: no number",
    3,
    NOW - 60_000,
    NOW,
    (JOB.id,),
)
POINT: Final = point_object(Point(_sample(NOW - 15_000, 90), _sample(NOW, 100)))
STATS: Final[Stats] = {
    "window_seconds": 3600,
    "covered_since": POINT["at"],
    "totals": POINT,
    "points": [POINT],
    "cap_changes": [audit_object(AUDIT)],
    "algorithms": {
        "PrimeChecker": {
            "ended": 80,
            "run_p50_seconds": 0.004,
            "run_p95_seconds": 0.009,
            "peak_memory_mb": 9.0,
        }
    },
}
ALGORITHM: Final[AlgorithmObject] = {
    "name": "PrimeChecker",
    "version": "1",
    "description": "Whether a number is prime.",
    "executor": "process",
    "timeout": 300.0,
    "max_attempts": None,
    "memory_mb": 512,
    "cpu_seconds": None,
    "open_files": None,
    "file_mb": None,
    "max_concurrent": None,
    "rate": None,
    "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]},
    "result": {"type": "object"},
    "example": {"number": 97},
    "served": True,
}

ATTEMPT: Final = {
    "at": NOW + 20,
    "event": "job.completed",
    "webhook_id": f"msg_{JOB.id}_{NOW + 14}-0",
    "outcome": "failed",
    "status_code": 503,
    "ms": 41,
    "next_at": NOW + 5_061,
    "error": "status 503",
}
_RUNS: Final = replace(
    JOB,
    state=State.RUNNING,
    result=None,
    ended_ms=None,
    expires_ms=None,
    account=Account(),
    progress=(40.0, "sieving"),
)
_FAILED: Final = replace(
    JOB, state=State.FAILED, result=None, error={"type": "timeout", "message": "its time was over", "detail": None}
)
_AT: Final[Mapping[Type, Job]] = {
    "job.running": replace(_RUNS, progress=None),
    "job.progress": _RUNS,
    "job.completed": JOB,
    "job.failed": _FAILED,
    "job.cancelled": replace(JOB, state=State.CANCELLED, result=None),
}

_MADE: Final[Mapping[Any, Callable[[], Mapping[str, Any]]]] = {
    JobRequest: lambda: {
        "full": {
            "algorithm": "PrimeChecker",
            "params": {"number": 97},
            "priority": 5,
            "timeout": 60,
            "max_attempts": 3,
            "delay": 2.5,
            "expires_in": 3600,
            "keep_result": 86400,
            "labels": {"team": "research"},
            "webhook": "https://hooks.example.com/jobs",
            "webhook_events": ["job.completed", "job.failed"],
        }
    },
    BatchRequest: lambda: {
        "two": {"jobs": [{"algorithm": "PrimeChecker", "params": {"number": number}} for number in (97, 98)]}
    },
    Batch: lambda: {"batch": {"jobs": [job_object(JOB)]}},
    Stats: lambda: {"stats": STATS},
    JobList: lambda: {"page": {"jobs": [job_object(JOB)], "next_cursor": None}},
    BulkCancel: lambda: {"cancel": {"filter": {"algorithm": "PrimeChecker", "status": "pending"}, "expected": 12}},
    BulkRetry: lambda: {"retry": {"filter": {"error_type": "timeout"}, "dry_run": True}},
    Done: lambda: {"done": {"matched": 12, "done": 12}},
    Failures: lambda: {"failures": {"failures": [failure_group(FAILED)]}},
    Resize: lambda: {"resize": {"max_concurrent": 20, "reason": "the month's end", "ttl": 3600}},
    JobObject: lambda: {
        "completed": job_object(JOB),
        "pending": job_object(
            replace(JOB, state=State.PENDING, attempt=0, started_ms=None, ended_ms=None, account=Account())
        ),
    },
    WhyItWaits | WhereItRuns | WhereItsTimeWent: lambda: {"ended": past(JOB)},
    SlotCounts: lambda: {"slots": slot_counts(SNAPSHOT.slots)},
    Concurrency: lambda: {"slots": rich_view(SNAPSHOT)},
    Concurrency | Effects: lambda: {
        "changed": rich_view(SNAPSHOT),
        "dry run": effect_object(Effect(4, 10, 6, 0, 0.0)),
    },
    Audit: lambda: {"audit": {"audit": [audit_object(AUDIT)]}},
    Proof: lambda: {"proof": VERDICT.as_dict()},
    sizing.Sizing: lambda: {"advice": sizing.as_dict(advise(DEMAND))},
    WorkerObject: lambda: {"worker": worker_object(WORKER, NOW)},
    Workers: lambda: {"workers": {"workers": [worker_object(WORKER, NOW)]}},
    AlgorithmObject: lambda: {"algorithm": ALGORITHM},
    Algorithms: lambda: {"algorithms": {"algorithms": [ALGORITHM]}},
    Attempts: lambda: {"attempts": {"attempts": [attempt_object(ATTEMPT)]}},
    Health: lambda: {"well": {"status": "ok"}},
}


def examples(model: Any) -> dict[str, Any]:
    """Of a model, by name, as OpenAPI has them."""
    made = _MADE[model]() if model in _MADE else {}
    return {name: {"value": value} for name, value in made.items()}


def message(type: Type) -> dict[str, Any]:
    """What a webhook is told, as OpenAPI has it."""
    told: Message = {"type": type, "timestamp": timestamp(NOW + 14), "data": job_object(_AT[type])}
    return {"told": {"value": told}}


def problem(code: Code) -> Problem:
    """An example of a problem."""
    rows = [{"pointer": "#/params/number", "detail": "must be an integer"}] if code == "invalid-request" else []
    return problem_object(SlotwiseError(code, "It says what to do.", errors=rows), "/jobs", "r-17")
