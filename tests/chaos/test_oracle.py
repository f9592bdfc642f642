"""The checker finds nothing in a story where all went well, and each thing that did not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos import of_fleet, of_hooks, of_jobs, of_slots  # noqa: F401 - they put their checks into the table
from tests.chaos.ledger import BODIES, FAULTS, HOOKS, PROMISES, Entry
from tests.chaos.oracle import Story
from tests.chaos.verdict import verdicts

Ledgers = dict[str, list[Entry]]

CAP = 2
STATUS = {"max_concurrent": CAP, "running_jobs": CAP, "available_slots": 0}
REST = {"kept": [], "kept_in_all": 0, "workers": 3, "slots": 0, "queued": 0, "leases": 1}


def body(n: int, job: str, start: float, end: float, alive: int, **other: object) -> list[Entry]:
    facts = {"job": job, "role": "body", "nonce": f"nonce {n}", "pid": n, "member": "worker-0", "attempt": 1}
    return [
        {"at": start, "event": "start", "n": n, "alive": alive, **facts, **other},
        {"at": end, "event": "end", "n": n, "said": True},
    ]


def job(name: str, at: float, nonce: str) -> list[Entry]:
    end = {"id": name, "status": "completed", "completed_at": name, "type": None, "nonce": nonce, "n": 1}
    return [
        {
            "at": at,
            "event": "promised",
            "id": name,
            "asked": at,
            "algorithm": "InLoop",
            "n": 1,
            "ms": 1,
            "hook": name == "a",
        },
        {"at": 50, "event": "end", **end},
        {"at": 51, "event": "end", **end},
    ]


def message(name: str, at: float, kind: str) -> Entry:
    about = {"id": f"msg_{name}_{kind}", "job": name, "type": f"job.{kind}", "status": kind, "path": "/hook"}
    return {"at": at, "event": "told", "receiver": "receiver-0", "manner": "well", **about}


def well() -> Ledgers:
    """Two jobs in the warm, one that died once with the server, one in a lull, two when all was steady again."""
    bodies = [
        *body(1, "a", 1, 3, 0),
        *body(2, "b", 1.1, 3, 1),
        *body(3, "c", 10, 11, 0),
        *body(4, "c", 13, 14, 0),
        *body(5, "d", 21, 21.1, 0),
        *body(6, "e", 31, 33, 0),
        *body(7, "f", 31.1, 33, 1),
        *body(8, "g", 5.6, 5.9, 0),
        *body(9, "h", 13.1, 14, 1),
    ]
    next(each for each in bodies if each["n"] == 3 and each["event"] == "end")["said"] = False
    begun = {"a": 1.0, "b": 1.0, "c": 4.0, "d": 20.5, "e": 30.5, "f": 30.5, "g": 4.5, "h": 4.0}
    nonces = {"a": 1, "b": 2, "c": 4, "d": 5, "e": 6, "f": 7, "g": 8, "h": 9}
    faults: list[Entry] = [
        {"at": 0, "event": "plan", "cap": CAP, "workers": 1, "lease": 3, "faults": 1},
        {"at": 0, "event": "start", "target": "worker-0", "pid": 1, "lease": 3.0},
        {"at": 0.5, "event": "phase", "name": "warm"},
        {"at": 2, "event": "status", "told": STATUS, "alive": [2, 2]},
        {"at": 4, "event": "phase", "name": "storm"},
        {"at": 5, "event": "full"},
        {"at": 7, "event": "room"},
        {"at": 10.4, "event": "over", "kind": "memory full", "target": "server", "begun": 4},
        {"at": 10.5, "event": "fault", "kind": "server killed", "target": "server"},
        {"at": 12.5, "event": "back"},
        {"at": 12.5, "event": "over", "kind": "server killed", "target": "server", "begun": 10.5},
        {"at": 15, "event": "phase", "name": "heal"},
        {"at": 15, "event": "healed"},
        {"at": 15.1, "event": "at rest"},
        {"at": 20.6, "event": "probe", "id": "d", "after": "CLIENT KILL"},
        {"at": 30, "event": "phase", "name": "steady again"},
        {"at": 50, "event": "metrics", "url": "", "completed": 8},
        {"at": 51, "event": "left at rest", **REST},
        {"at": 52, "event": "phase", "name": "amnesia"},
        {"at": 53, "event": "works again", "id": "i", "status": "completed"},
        {"at": 54, "event": "left processes", "pids": []},
        {"at": 55, "event": "left at the end", **{**REST, "leases": 0}},
    ]
    return {
        BODIES: sorted(bodies, key=lambda each: each["at"]),
        PROMISES: [entry for name, at in begun.items() for entry in job(name, at, f"nonce {nonces[name]}")],
        FAULTS: faults,
        HOOKS: [message("a", 1.1, "running"), message("a", 3.1, "completed"), message("a", 3.2, "completed")],
    }


def write(ledgers: Ledgers, directory: Path) -> None:
    for name, entries in ledgers.items():
        (directory / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def broken(ledgers: Ledgers, directory: Path) -> set[str]:
    write(ledgers, directory)
    return {each.promise for each in verdicts(Story.read(directory), 1.0) if not each.kept}


def of(ledgers: Ledgers, ledger: str, **facts: object) -> Entry:
    return next(each for each in ledgers[ledger] if facts.items() <= each.items())


def without(ledgers: Ledgers, ledger: str, **facts: object) -> None:
    ledgers[ledger] = [each for each in ledgers[ledger] if not facts.items() <= each.items()]


def test_nothing_is_found_where_all_went_well(tmp_path: Path) -> None:
    assert broken(well(), tmp_path) == set()


ILLS: dict[str, tuple[str, Callable[[Ledgers], object]]] = {
    "an act that is stuck": (
        "every act comes to its end",
        lambda all: all[FAULTS].append({"at": 15, "event": "stuck", "name": "drain", "error": "no"}),
    ),
    "a lost job": (
        "a job answered 202 is never lost",
        lambda all: all[PROMISES].append({**of(all, PROMISES, id="a", event="promised"), "id": "x"}),
    ),
    "two ends": ("a job ends once", lambda all: of(all, PROMISES, id="a", at=51).update(completed_at="later")),
    "an end that was counted twice": (
        "a job ends once",
        lambda all: of(all, FAULTS, event="metrics").update(completed=9),
    ),
    "another's result": (
        "every end is the job's own",
        lambda all: [each.update(n=2) for each in all[PROMISES] if each["id"] == "a" and each["event"] == "end"],
    ),
    "a result of a body that died": (
        "every end is the job's own",
        lambda all: [
            each.update(nonce="nonce 3") for each in all[PROMISES] if each["id"] == "c" and "nonce" in each
        ],
    ),
    "one too many": (
        "no body starts while cap-many are alive",
        lambda all: of(all, BODIES, n=7).update(alive=CAP),
    ),
    "twins": ("no job has two bodies at once", lambda all: of(all, BODIES, n=3, event="end").update(at=13.5)),
    "a start after its cancel": (
        "what is cancelled stays so",
        lambda all: all[PROMISES].append({"at": 0.9, "event": "cancel", "id": "a", "status": 200}),
    ),
    "a late rest": ("slots are given back", lambda all: without(all, FAULTS, event="at rest")),
    "a process that is left": (
        "no process, slot or key is left",
        lambda all: of(all, FAULTS, event="left processes").update(pids=[7]),
    ),
    "a key that is left": (
        "no process, slot or key is left",
        lambda all: of(all, FAULTS, event="left at rest").update(kept_in_all=1),
    ),
    "a body without an end": (
        "no process, slot or key is left",
        lambda all: without(all, BODIES, n=5, event="end"),
    ),
    "an empty slot": (
        "no slot stays empty while work waits",
        lambda all: (
            of(all, BODIES, n=6, event="end").update(at=31.3),
            all[BODIES].extend(body(10, "a", 32.9, 33, 1)),
        ),
    ),
    "a slot that is empty in the storm": (
        "no slot stays empty while work waits",
        # a job waits from 15 on, in the quiet of a storm that lasts until 19
        lambda all: (
            all[PROMISES].extend(job("y", 15, "nonce 10")),
            all[BODIES].extend(body(10, "y", 19.5, 19.6, 0)),
            of(all, FAULTS, event="phase", name="heal").update(at=19),
            of(all, FAULTS, event="metrics").update(completed=9),
        ),
    ),
    "a late recovery": (
        "a dead worker's jobs run again, p99 beyond the lease",
        lambda all: [each.update(at=each["at"] + 6) for each in all[BODIES] if each["n"] == 4],
    ),
    "a late start": (
        "a body starts once the server is back",
        lambda all: [each.update(at=each["at"] + 4) for each in all[BODIES] if each["n"] in (4, 9)],
    ),
    "a job that nobody noticed": (
        "a job that comes in a lull is noticed",
        lambda all: [each.update(at=each["at"] + 3) for each in all[BODIES] if each["n"] == 5],
    ),
    "a full server that stands still": (
        "a full server is drained",
        lambda all: [each.update(at=each["at"] + 3) for each in all[BODIES] if each["n"] == 8],
    ),
    "a status that is none": (
        "the status is the truth",
        lambda all: of(all, FAULTS, event="status").update(told={**STATUS, "running_jobs": CAP + 1}),
    ),
    "a process that ended": (
        "no process ends by itself",
        lambda all: all[FAULTS].append(
            {"at": 9, "event": "exit", "target": "front-0", "status": 1, "by_us": False}
        ),
    ),
    "a 500": (
        "no client is answered 500, or refused",
        lambda all: all[PROMISES].append({"at": 9, "event": "broken", "path": "/", "status": 500}),
    ),
    "an end that no webhook was told": (
        "a job's end is told to its webhook",
        lambda all: [each.update(manner="garbage") for each in all[HOOKS] if each["type"] == "job.completed"],
    ),
    "another end than the webhook was told": (
        "a job's end is told to its webhook",
        lambda all: [
            each.update(status="failed") for each in all[PROMISES] if each["id"] == "a" and each["at"] > 49
        ],
    ),
    "a start that is told after the end": (
        "a webhook is told one end, and nothing after it",
        lambda all: all[HOOKS].append(message("a", 4, "running") | {"id": "msg_a_later"}),
    ),
    "two ends that a webhook is told": (
        "a webhook is told one end, and nothing after it",
        lambda all: all[HOOKS].append(message("a", 4, "failed")),
    ),
    "a webhook that nobody can verify": (
        "webhooks are signed, and follow no redirect",
        lambda all: all[HOOKS].append(
            {"at": 4, "event": "forged", "receiver": "receiver-0", "path": "/hook", "error": "no", "body": ""}
        ),
    ),
    "a redirect that is followed": (
        "webhooks are signed, and follow no redirect",
        lambda all: all[HOOKS].append(message("a", 4, "completed") | {"path": "/elsewhere"}),
    ),
    "a service that is gone": (
        "the service goes on with a server that lost all",
        lambda all: without(all, FAULTS, event="works again"),
    ),
}


@pytest.mark.parametrize("ill", ILLS)
def test_what_went_wrong_is_found(ill: str, tmp_path: Path) -> None:
    promise, harm = ILLS[ill]
    ledgers = well()
    harm(ledgers)
    ledgers[BODIES].sort(key=lambda each: each["at"])
    assert promise in broken(ledgers, tmp_path)
