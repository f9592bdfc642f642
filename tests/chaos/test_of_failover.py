"""What a failover may cost is excused, and the same at another time is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.ledger import BODIES, FAULTS, HOOKS, PROMISES
from tests.chaos.of_failover import verdicts
from tests.chaos.oracle import Story
from tests.chaos.test_oracle import Ledgers, body, job, write

BEGUN, OVER, LEASE = 100.0, 110.0, 3.0
IN, BEFORE = 105.0, 50.0


def ledgers(at: float) -> Ledgers:
    """One job that went well, and what a failover may do to others, at that time."""
    twice = job("twice", at, "nonce 3")
    twice[1]["at"], twice[2]["at"], twice[2]["nonce"] = at + 0.2, 140, "nonce 4"
    lost = job("lost", at, "nonce 9")[:1]
    undone = [
        *job("undone", at, "nonce 5"),
        {"at": at + 0.1, "event": "cancel", "id": "undone", "status": 200},
    ]
    bodies = [
        *body(1, "well", 10, 11, 0),
        *body(3, "twice", at, at + 0.1, 0),
        *body(4, "twice", 130, 131, 0),
        *body(5, "undone", at + 0.2, at + 0.3, 0),
        *body(6, "twin", at + 0.4, at + 9, 1),
        *body(7, "twin", at + 0.5, at + 9, 2),
    ]
    faults = [
        {"at": 0, "event": "plan", "cap": 2, "workers": 1, "lease": LEASE, "faults": 1},
        {"at": 0, "event": "start", "target": "worker-0", "pid": 1, "lease": LEASE},
        {"at": OVER, "event": "over", "kind": "primary lost", "target": "server", "begun": BEGUN},
        {"at": 150, "event": "healed"},
        {"at": 151, "event": "at rest"},
    ]
    twin = job("twin", at, "nonce 7")
    return {
        BODIES: sorted(bodies, key=lambda each: each["at"]),
        PROMISES: [*job("well", 10, "nonce 1"), *twice, *lost, *undone, *twin],
        FAULTS: faults,
        HOOKS: [],
    }


@pytest.mark.parametrize("at", [IN, BEFORE])
def test_a_failover_excuses_what_was_acknowledged_in_it_alone(at: float, tmp_path: Path) -> None:
    write(ledgers(at), tmp_path)
    broken = {each.promise for each in verdicts(Story.read(tmp_path), 1.0) if not each.kept}
    assert broken == (
        set()
        if at == IN
        else {
            "what was replicated is never lost",
            "an end that was replicated stays",
            "a cancel that was replicated stays",
            "the cap holds but for a failover",
            "no job has two bodies but for a failover",
        }
    )
