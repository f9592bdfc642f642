"""What webhooks are told, as it is meant: one delivery of a job at a time, receivers in turn (see `reference`)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.protocol.rows import TERMINAL

NOBODY = "-"
Given = tuple[str, str, int, str]  # id, receiver, attempts before, what is told


def url_of(id: str) -> str:
    """The webhook of this job: one of two receivers."""
    return f"http://r{int(id[1:]) % 2}/{id}"


def receiver_of(id: str) -> str:
    return url_of(id).rpartition("/")[0]


@dataclass
class Delivering:
    outbox: dict[str, list[str]] = field(default_factory=dict)  # id -> what is to be told, oldest first
    due: defaultdict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))  # by receiver
    receivers: dict[str, float] = field(default_factory=dict)
    under_way: dict[str, tuple[int, str]] = field(default_factory=dict)  # id -> attempts in vain, token
    attempts: dict[str, int] = field(default_factory=dict)  # id -> rows that are kept

    def tell(self, id: str, kind: str, now: float) -> None:
        self.outbox.setdefault(id, []).append(kind)
        if self.under_way.get(id, (0, NOBODY))[1] == NOBODY:
            self.make_due(id, now)

    def make_due(self, id: str, at: float) -> None:
        receiver = receiver_of(id)
        self.due[receiver][id] = at
        self.receivers[receiver] = min(at, self.receivers.get(receiver, at))

    def collect(
        self, token: str, until: float, most: int, each: int, quotas: dict[str, int], now: float
    ) -> tuple[list[Given], float | None]:
        given: list[Given] = []
        for _, receiver in sorted((at, name) for name, at in self.receivers.items() if at <= now):
            left = min(quotas.get(receiver, each), most - len(given))
            ids = [id for at, id in sorted((at, id) for id, at in self.due[receiver].items()) if at <= now]
            for id in ids[: max(0, left)]:
                attempts = self.under_way.get(id, (0, NOBODY))[0]
                self.under_way[id], self.due[receiver][id] = (attempts, token), until
                given.append((id, receiver, attempts, self.outbox[id][0]))
            head = min(self.due[receiver].values())
            if head > now:
                self.receivers[receiver] = head
            elif left > 0:
                self.receivers[receiver] = now
        later = [at - now for at in self.receivers.values() if at > now]
        return given, min(later, default=None)

    def settle(self, id: str, token: str, move: str, due: float | None, now: float, *, known: bool) -> str:
        attempts, teller = self.under_way.get(id, (0, NOBODY))
        if teller != token:
            return "stale"
        reply, receiver = "ok", receiver_of(id)
        if move == "again" and self.outbox[id][0] not in TERMINAL and len(self.outbox[id]) > 1:
            move, reply = "done", "superseded"
        if move == "done":
            del self.outbox[id][0], self.under_way[id]
            self.due[receiver][id] = now
            if not self.outbox[id]:
                del self.outbox[id], self.due[receiver][id]
        else:
            self.under_way[id] = (attempts + (move == "again"), NOBODY)
            self.due[receiver][id] = now if due is None else due
        del self.receivers[receiver]
        if self.due[receiver]:
            self.receivers[receiver] = min(self.due[receiver].values())
        if known:
            self.attempts[id] = min(50, self.attempts.get(id, 0) + 1)
        return reply

    def redeliver(self, id: str, state: str, told: bool, now: float) -> str:
        if id in self.outbox:
            if self.under_way.get(id, (0, NOBODY))[1] != NOBODY:
                return "ok"
            self.under_way.pop(id, None)
        elif told:
            self.outbox[id] = [state]
        else:
            return "nothing"
        self.make_due(id, now)
        return "ok"
