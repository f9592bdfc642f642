"""What a replay of the admission log came to: for machines as the endpoint answers it, for people as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from slotwise.errors import printable
from slotwise.moment import timestamp

Kind = Literal[
    "over-cap",
    "admitted-twice",
    "not-admitted",
    "count",
    "cap",
    "removed",
    "unreadable",
    "time",
    "running-now",
    # notes
    "cap-step",
    "clock-set-back",
]

MAX_FINDINGS: Final = 100  # kept of violations and of notes; all are counted


@dataclass(frozen=True)
class Finding:
    """A violation, or something worth a note, and where it shows."""

    at_ms: int
    kind: Kind
    detail: str
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        facts = {key: printable(fact, 200) if isinstance(fact, str) else fact for key, fact in self.facts.items()}
        return {"at": timestamp(self.at_ms), "kind": self.kind, "detail": printable(self.detail, 1_000)} | facts


@dataclass
class Findings:
    """The first of them, and how many there are."""

    first: list[Finding] = field(default_factory=list)
    count: int = 0

    def add(self, at_ms: int, kind: Kind, detail: str, **facts: Any) -> None:
        self.count += 1
        if len(self.first) < MAX_FINDINGS:
            self.first.append(Finding(at_ms, kind, detail, facts))


class CapStep(TypedDict):
    """From when, how many."""

    at: str
    value: int


class Proof(TypedDict):
    """The admission log, replayed. `covered_since` null: the log says nothing."""

    window: Annotated[int, Field(description="Seconds.")]
    since: str
    until: str
    covered_since: str | None
    entries: int
    max_running: int
    max_running_at: str | None
    running_jobs: int
    max_concurrent: list[CapStep]
    admitted: int
    released: int
    violations_found: int
    violations: Annotated[
        list[dict[str, Any]], Field(description="The first of them: `at`, `kind`, `detail`, and facts.")
    ]
    notes: list[dict[str, Any]]


@dataclass
class Verdict:
    """Times in ms since the epoch, by the server's clock. `covered_since_ms` None: the log says nothing."""

    since_ms: int
    until_ms: int
    covered_since_ms: int | None = None
    entries: int = 0
    admitted: int = 0
    released: int = 0
    max_running: int = 0
    max_running_at_ms: int | None = None
    running: int = 0
    caps: list[tuple[int, int]] = field(default_factory=list)  # from when, how many
    violations: Findings = field(default_factory=Findings)
    notes: Findings = field(default_factory=Findings)

    @property
    def holds(self) -> bool:
        return self.violations.count == 0

    def as_dict(self) -> Proof:
        """The answer of GET /jobs/concurrency/proof."""
        return {
            "window": (self.until_ms - self.since_ms) // 1000,
            "since": timestamp(self.since_ms),
            "until": timestamp(self.until_ms),
            "covered_since": timestamp(self.covered_since_ms),
            "entries": self.entries,
            "max_running": self.max_running,
            "max_running_at": timestamp(self.max_running_at_ms),
            "running_jobs": self.running,
            "max_concurrent": [{"at": timestamp(at_ms), "value": cap} for at_ms, cap in self.caps],
            "admitted": self.admitted,
            "released": self.released,
            "violations_found": self.violations.count,
            "violations": [finding.as_dict() for finding in self.violations.first],
            "notes": [finding.as_dict() for finding in self.notes.first],
        }

    def as_text(self) -> str:
        """What was checked, how far back, and what was found, in plain words."""
        return "\n".join([*self._summary(), *self._findings()])

    def _summary(self) -> list[str]:
        if self.covered_since_ms is None:
            return ["Nothing to check: the admission log holds no entry.", f"running now        {self.running}"]
        result = "No violation" if self.holds else _counted(self.violations.count, "violation")
        reach = "the whole window" if self.covered_since_ms == self.since_ms else "the log begins there"
        caps = ", ".join(f"{cap} since {timestamp(at_ms)}" for at_ms, cap in self.caps[-5:])
        more = f" (the last 5 of {len(self.caps)})" if len(self.caps) > 5 else ""
        return [
            f"{result} in {_counted(self.entries, 'step')} of the admission log.",
            f"covered since      {timestamp(self.covered_since_ms)} ({reach})",
            f"most at once       {self.max_running}, at {timestamp(self.max_running_at_ms)}",
            f"cap                {caps}{more}",
            f"admitted, released {self.admitted}, {self.released}",
            f"running now        {self.running}",
            "Checked, step by step: no claim left more jobs running than the cap in force; no job was admitted",
            "twice without a release between, or released without being admitted; the number of running jobs in",
            "each step, and the set of them now, are what the steps before add up to; no step was removed.",
        ]

    def _findings(self) -> list[str]:
        lines = [
            f"{word}: {timestamp(finding.at_ms)}  {finding.kind}: {printable(finding.detail, 1_000)}"
            for word, findings in (("VIOLATION", self.violations), ("note", self.notes))
            for finding in findings.first
        ]
        hidden = self.violations.count - len(self.violations.first)
        return [*lines, f"… and {hidden} more violations"] if hidden else lines


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
