"""Joins the ledgers: what every job was promised, what its bodies did, how it was said to have ended.

Reads files, and uses none of the product's code.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from tests.chaos.ledger import BODIES, FAULTS, HOOKS, PROMISES, Entry, read

GRANTED = 5.0  # seconds that may pass between a grant and the start of its body


@dataclass
class Body:
    job: str
    at: float
    alive: int  # others, when it came
    nonce: str
    pid: int
    member: str
    ended: float | None = None
    said: bool = False  # that it ended by itself


@dataclass
class Story:
    """A run up to the moment when the server was made to forget, as the ledgers tell it."""

    promised: dict[str, Entry] = field(default_factory=dict)
    ends: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    cancels: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    refusals: list[Entry] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    kin: list[Entry] = field(default_factory=list)  # other processes of jobs that nobody saw the end of
    faults: list[Entry] = field(default_factory=list)
    told: list[Entry] = field(default_factory=list)  # what receivers of webhooks got
    forged: list[Entry] = field(default_factory=list)  # and could not verify
    last: float = float("inf")  # when the server lost everything

    @classmethod
    def read(cls, directory: Path) -> Story:
        story = cls(faults=read(directory / FAULTS))
        story.last = last = story.time_of("phase", name="amnesia")
        for entry in read(directory / PROMISES):
            if entry["at"] <= last:
                story._promise(entry)
        hooks = [each for each in read(directory / HOOKS) if each["at"] <= last]
        story.told = [each for each in hooks if each["event"] == "told"]
        story.forged = [each for each in hooks if each["event"] == "forged"]
        open_seats: dict[int, Body | Entry] = {}
        for entry in read(directory / BODIES):
            if entry["event"] == "start":
                open_seats[entry["n"]] = story._start(entry) if entry["role"] == "body" else entry
            elif entry["event"] == "end":
                body = open_seats.pop(entry["n"], None)
                if isinstance(body, Body):
                    body.ended, body.said = entry["at"], entry["said"]
        story.kin = [seat for seat in open_seats.values() if not isinstance(seat, Body)]
        story.bodies = [body for body in story.bodies if body.at <= last]
        return story

    def _promise(self, entry: Entry) -> None:
        if entry["event"] == "promised":
            self.promised[entry["id"]] = entry
        elif entry["event"] == "end":
            self.ends[entry["id"]].append(entry)
        elif entry["event"] == "cancel":
            self.cancels[entry["id"]].append(entry)
        elif entry["event"] in ("refused", "broken", "unknown"):
            self.refusals.append(entry)

    def _start(self, entry: Entry) -> Body:
        told = {name: entry[name] for name in ("job", "at", "alive", "nonce", "pid", "member")}
        body = Body(**told)
        self.bodies.append(body)
        return body

    def of(self, event: str, **facts: object) -> list[Entry]:
        """The entries about faults of this event, with these facts."""
        return [each for each in self.faults if each["event"] == event and facts.items() <= each.items()]

    def time_of(self, event: str, **facts: object) -> float:
        """When that was first; infinity if it never was."""
        found = self.of(event, **facts)
        return float(found[0]["at"]) if found else float("inf")

    @cached_property
    def bodies_of(self) -> dict[str, list[Body]]:
        found: dict[str, list[Body]] = defaultdict(list)
        for body in self.bodies:
            found[body.job].append(body)
        return found

    @cached_property
    def deaths(self) -> list[Body]:
        """Bodies that did not end by themselves."""
        return [body for body in self.bodies if body.ended is not None and not body.said]

    @cached_property
    def spells(self) -> list[tuple[float, float, Entry]]:
        """Every fault, from its begin to its end."""
        return [(each["begun"], each["at"], each) for each in self.of("over")]

    def cap_at(self, at: float) -> int:
        """The most that may have been the cap when a body that starts now was let in.

        A cap may be in force from when it was asked for until a later one has been granted.
        """
        changes = self.of("resized")
        granted = [each["at"] for each in changes] + [float("inf")]
        caps = [(self.first_cap, 0.0), *((each["cap"], each["asked"]) for each in changes)]
        return max(
            cap for (cap, asked), until in zip(caps, granted, strict=True) if asked <= at and until >= at - GRANTED
        )

    @cached_property
    def first_cap(self) -> int:
        return int(self.of("plan")[0]["cap"])

    @cached_property
    def first_starts(self) -> dict[str, float]:
        """When a body of each job started first."""
        return {job: bodies[0].at for job, bodies in self.bodies_of.items()}

    def waited(self, at: float) -> bool:
        """Whether a job that was promised by then, and never cancelled, had not begun."""
        return any(
            each["at"] < at < self.first_starts.get(job, float("inf"))
            for job, each in self.promised.items()
            if job not in self.cancels
        )

    def first_start_after(self, at: float) -> float:
        return min((body.at for body in self.bodies if body.at > at), default=float("inf"))
