"""Why a job waits, and for about how long: the limit that binds it, in plain words. Pure rules over one read.

The estimate takes those ahead for a line before `c` slots that are all taken, by jobs that hold them for a time of
measured mean m and deviation s. The p-th in line starts with the p-th slot that comes free:

    mean = (p - 1/2) m / c        p90 = mean + 1.2816 sqrt(p (s/c)^2 + (p e/c)^2 + m^2/12)

(the normal approximation to a renewal process: D. R. Cox, Renewal Theory, 1962), where e = s / sqrt(n), n up to
fifty, is the error of m itself, and the last term is for not knowing how far the running jobs are: when all began
at once, their slots come free at once. `python -m bench.estimates` measures how often real waits fall under both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Self

P90: Final = 1.2816  # of the standard normal distribution
Blocking = Literal[
    "cap", "worker_slots", "algorithm_cap", "tenant_cap", "rate", "paused", "scheduled", "no_worker"
]

MEASURED: Final = 50  # jobs that a moving average reaches back (lua/parts/pace.lua)


@dataclass(frozen=True)
class Facts:
    """What explain.lua read. Times in ms; `own_*` are of the job's algorithm; None where nothing limits."""

    now: float
    score: float
    hidden: bool
    parked: bool
    alone: bool
    ahead: int
    cap: int
    running: int
    served: int
    own_cap: int | None
    own_running: int
    own_ahead: int
    rate_count: int | None
    rate_window: int | None
    rate_starts: int
    rate_opens: float | None
    slots: int | None
    own_n: int
    own_mean: float
    own_square: float
    n: int
    mean: float
    square: float
    holders: tuple[str, ...]
    own_holders: tuple[str, ...]
    tenant_cap: int | None = None
    tenant_running: int = 0
    tenant_ahead: int = 0
    tenant_holders: tuple[str, ...] = ()

    @classmethod
    def of(cls, reply: Sequence[Any]) -> Self:
        """From the names and values of explain.lua."""
        told = {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}
        return cls(**{field.name: _value(str(field.type), told[field.name]) for field in fields(cls)})


def _value(type: str, value: Any) -> Any:
    if type.startswith("tuple"):
        return tuple(each.decode("utf-8", "replace") for each in value)
    if "None" in type and value == b"":
        return None
    number = float(value)
    return bool(number) if type == "bool" else number if type.startswith("float") else int(number)


@dataclass(frozen=True)
class Waiting:
    """The answer for a job that waits. `position` and `eta` are estimates."""

    blocking: Blocking | None
    text: str
    position: int | None
    holders: tuple[str, ...] = ()
    eta: tuple[float, float] | None = None  # seconds until it starts: p50, p90


def why(facts: Facts, due_ms: float | None) -> Waiting:
    """Why a pending job waits; `due_ms` is when it is to run."""
    if due_ms is not None and due_ms > facts.now:
        seconds = (due_ms - facts.now) / 1000
        return Waiting("scheduled", f"It is to run in {_seconds(seconds)}.", None, eta=(seconds, seconds))
    if facts.cap == 0:
        return Waiting("paused", "The service is paused: its cap is 0.", facts.ahead + 1)
    if not facts.served:
        return Waiting("no_worker", "No live worker serves its algorithm.", _position(facts))
    if facts.alone:
        text = "Two workers died under it: it waits for one that is idle, to run alone."
        return Waiting("worker_slots", text, None)
    return _by_own_limits(facts) or _by_tenant(facts) or _by_slots(facts)


def _by_own_limits(facts: Facts) -> Waiting | None:
    position = facts.own_ahead + 1
    if facts.own_cap is not None and facts.own_running >= facts.own_cap:
        text = (
            f"All {facts.own_cap} slots of its algorithm are taken."
            if facts.own_cap
            else "Its algorithm is paused."
        )
        eta = _eta(position, facts.own_cap, facts.own_n, facts.own_mean, facts.own_square)
        return Waiting(
            "algorithm_cap",
            text if facts.own_cap else "Its algorithm is paused.",
            position,
            facts.own_holders,
            eta,
        )
    if facts.rate_opens is not None and facts.rate_count and facts.rate_window:
        rounds = (position - 1) // facts.rate_count
        seconds = (facts.rate_opens + rounds * facts.rate_window) / 1000
        text = f"Its algorithm started {facts.rate_starts} jobs of late, as many as its rate allows."
        return Waiting("rate", text, position, eta=(seconds, seconds + facts.rate_window / 1000))
    return None


def _by_tenant(facts: Facts) -> Waiting | None:
    if facts.tenant_cap is None or facts.tenant_running < facts.tenant_cap:
        return None
    position = facts.tenant_ahead + 1
    eta = _eta(position, facts.tenant_cap, facts.n, facts.mean, facts.square)
    text = f"All {facts.tenant_cap} slots of its API key are taken."
    return Waiting("tenant_cap", text, position, facts.tenant_holders, eta)


def _by_slots(facts: Facts) -> Waiting:
    position = _position(facts)
    most = facts.cap if facts.slots is None else min(facts.cap, facts.slots)
    eta = _eta(position, most, facts.n, facts.mean, facts.square)
    if facts.running >= facts.cap:
        return Waiting("cap", f"All {facts.cap} slots are taken.", position, facts.holders, eta)
    if facts.running >= most:
        text = f"The workers have {most} slots in all, and every one is taken or drained."
        return Waiting("worker_slots", text, position, facts.holders, eta)
    return Waiting(None, "A slot is free: it is about to start.", position, eta=(0.0, 0.0))


def _position(facts: Facts) -> int:
    return (facts.own_ahead if facts.parked else facts.ahead) + 1


def _eta(position: int, slots: int, n: int, mean: float, square: float) -> tuple[float, float] | None:
    """Seconds until the job at `position` starts, p50 and p90; None where nothing was measured."""
    if not n or not slots:
        return None
    each, spread = mean / slots, max(0.0, square - mean * mean)
    of_line = (position + position**2 / min(n, MEASURED)) * spread / slots**2
    middle = (position - 0.5) * each
    return middle / 1000, (middle + P90 * math.sqrt(of_line + mean * mean / 12)) / 1000


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1 else "less than 1 s"
