"""What the reference keeps of a job, an attempt and a worker, and the protocol's constants (ms)."""

from __future__ import annotations

from dataclasses import dataclass, field

HIDDEN = 9e15  # the score in the queue of what is out of sight: it runs, or stands aside
DEATHS = 3
PATIENCE, HUNGER, LEFT, WEEK, SLEWED = 2000, 1000, 20, 604_800_000, 1000
KEEP = 3_600_000  # that what is left of an ended job is kept
MARK = '"'  # before a tenant in the name of a set
TERMINAL = {"completed", "failed", "cancelled"}


@dataclass
class Record:
    """What Redis knows of a job beside its place. A stock client's job has none before its first claim."""

    state: str = "pending"
    attempt: int = 0
    deaths: int = 0
    reason: str | None = None
    due: float | None = None
    score: float | None = None
    algorithm: str | None = None
    head_start: float | None = None
    expires: int | None = None
    started: bool = False
    cancel_requested: bool = False
    fingerprint: str | None = None
    done: str | None = None  # the token of its last finish
    retried: str | None = None
    spoke: tuple[str, int] | None = None  # the token and number of its last words
    account: str | None = None  # of the attempt that ended it
    created: float | None = None
    error: str | None = None  # the JSON, of one that failed
    tells: str | None = None  # what its webhook is told
    told: bool = False  # of its end
    tenant: str | None = None


@dataclass
class Held:
    token: str
    algorithm: str | None  # None: nobody knows which
    since: float
    body: bool = True  # that runs; not where it was cancelled before
    tenant: str | None = None  # '': nobody's; None: nobody asked


@dataclass
class Worker:
    serves: set[str]
    sequence: int = 0
    exchange: int = 0
    held: dict[str, Held] = field(default_factory=dict)
    process: str = ""
    drained: bool = False
    alone: str | None = None  # the job beside which it may run no other
    reserved: str | None = None  # the job that waits for it to be idle
    missed: set[str] = field(default_factory=set)


@dataclass
class Job:
    """A submitted or stock job, as its client hands it over."""

    id: str
    algorithm: str
    payload: str
    due: int | None = None
    head_start: int = 0
    fingerprint: str = ""
    within: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    tells: str | None = None
    tenant: str = ""
