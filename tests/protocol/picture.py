"""All that is, as one dictionary: once from what Redis holds, once from the reference. The two must be equal.

Left out, with the reason: meter and pace (tests/test_meter.py), counts (of the metrics), the audit's text, `ready`
(for the meter's idle time), the fields of a record that only pass through (priority, timeout, labels, history …),
and exact lengths of TTLs.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import Any, Final

from slotwise.keys import ABORT, IN_PROGRESS, PAYLOAD, RECORD, RESULT, RETRY, SAID, Keys
from tests.protocol.delivering import Delivering
from tests.protocol.driver import Dump, log_entry
from tests.protocol.reference import Reference
from tests.protocol.rows import MARK, TERMINAL, Worker
from tests.protocol.telling import Entry, entry_of

KEYS: Final = Keys()
TOLD: Final = {"reason", "by", "at"}  # of an override, for people
TENANTS: Final = ("t", "u")
FOR_EVER: Final = "no TTL"
Picture = dict[str, Any]


def pairs(flat: list[Any]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def scores(flat: list[Any]) -> dict[str, float]:
    return {member: float(score) for member, score in pairs(flat).items()}


def of_server(dump: Dump) -> Picture:
    """Key -> (value, whether it has no TTL)."""
    picture: Picture = {}
    for key, (kind, ttl, value) in dump.items():
        if key.startswith(KEYS.failure_of + "of:"):
            continue
        if key in (KEYS.meter, KEYS.pace, KEYS.counts, KEYS.audit, KEYS.parked, KEYS.names):
            continue
        seen: Any
        if kind == "hash":
            fields = pairs(value)
            seen = _record(fields) if key.startswith(RECORD) else fields
            if key.startswith(KEYS.workers):
                seen = {name: fields[name] for name in ("exchange", "alone", "reserved") if name in fields}
                seen["drained"] = "drained" in fields
                seen["missed"] = set(fields.get("missed", "").split())
            elif key.startswith(KEYS.failure_of):
                seen = {
                    name: text for name, text in fields.items() if name != "error" and not name.startswith("id:")
                }
                seen["id"] = fields[f"id:{int(fields['count']) % 5}"]
            elif key == KEYS.labels:
                seen = {id: json.loads(text) for id, text in fields.items()}
            elif key == KEYS.of_outbox[-1]:
                seen = {id: tuple(text.split()[1:]) for id, text in fields.items()}
            elif key in (KEYS.cap, KEYS.limits):
                seen = {name: text for name, text in fields.items() if name.partition(":")[0] not in TOLD}
        elif kind == "zset":
            seen = scores(value)
        elif kind == "set":
            seen = set(value)
        elif key.startswith(KEYS.outbox_of):
            seen = (value[0], value[1].split()[1])
        elif key.startswith(SAID):
            seen = (value[0], pairs(value[1][0][1])["output"])
        elif key == KEYS.moves:
            seen = (value[0], entry_of(pairs(value[1][0][1])))
        elif kind == "stream":
            seen = (value[0], log_entry(value[1][0][1]))
        else:
            seen = value
        picture[key] = (seen, ttl == -1)
    return picture


def _record(fields: dict[str, str]) -> dict[str, Any]:
    def number(name: str) -> float | None:
        return float(fields[name]) if name in fields else None

    return {
        "state": fields.get("state"),
        "attempt": number("attempt") or 0,
        "deaths": number("deaths") or 0,
        "reason": fields.get("reason"),
        "due": number("due"),
        "score": number("score"),
        "algorithm": fields.get("algorithm"),
        "head_start": number("head_start"),
        "expires": number("expires"),
        "started": "started" in fields,
        "cancel_requested": "cancel_requested" in fields,
        "fingerprint": fields.get("fingerprint"),
        "done": fields.get("done"),
        "retried": fields.get("retried"),
        "account": fields.get("account"),
        "created": number("created"),
        "error": fields.get("error"),
        "tells": fields.get("webhook_events"),
        "told": "told" in fields,
        "tenant": fields.get("tenant"),
        "spoke": None if "said" not in fields else (fields["said"].split()[0], int(fields["said"].split()[1])),
    }


def of_reference(ref: Reference, told: list[Entry] | None) -> Picture:
    picture: Picture = {}

    def put(key: str, value: Any, *, lasts: bool = True) -> None:
        if value:
            picture[key] = (value, lasts)

    running = ref.running()
    put(KEYS.queue, dict(ref.queue))
    put(KEYS.running, {id: float(held.since) for id, held in running.items()})
    put(ABORT, dict(ref.abort))
    for name in ("promote", "unstarted", "suspects", "hungry", "loads", "drained"):
        put(getattr(KEYS, name), dict(getattr(ref, name)))
    for id, record in ref.records.items():
        put(RECORD + id, dict(vars(record)), lasts=record.state in ("pending", "running") or id in ref.lasting)
    for id, payload in ref.payloads.items():
        put(PAYLOAD + id, payload, lasts=id not in ref.mortal)
    for id, envelope in ref.results.items():
        put(RESULT + id, envelope, lasts=id in ref.lasting)
    for id, texts in ref.said.items():
        ended = id in ref.records and ref.records[id].state in TERMINAL
        put(SAID + id, (len(texts), texts[-1]), lasts=not ended or id in ref.lasting)
    for id, mark in ref.marks.items():
        put(IN_PROGRESS + id, mark, lasts=mark != "done")
    for id, attempts in ref.retries.items():
        put(RETRY + id, str(attempts), lasts=False)
    runs: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for id, held in running.items():
        runs[(held.algorithm or "") if held.body else ""][id] = ref.created(id)
        if held.tenant is not None:
            runs[MARK + held.tenant][id] = ref.created(id)
    for algorithm, made in runs.items():
        put(KEYS.running_of + algorithm, made)
    for algorithm in ("", *"ABC"):
        put(KEYS.pending_of + algorithm, {id: ref.created(id) for id in ref.pending_of(algorithm)})
    for tenant in TENANTS:
        put(KEYS.pending_of + MARK + tenant, {id: ref.created(id) for id in ref.pending_of_tenant(tenant)})
    put(KEYS.tenants, _tenants(ref))
    _put_index(put, ref)
    for algorithm, hungry in ref.hungry_of.items():
        put(KEYS.hungry_of + algorithm, dict(hungry), lasts=False)
    for algorithm, jobs in ref.parked.items():
        put(KEYS.parked_of + algorithm, dict(jobs))
    for algorithm, starts in ref.starts.items():
        put(KEYS.starts_of + algorithm, dict(starts), lasts=False)
    _put_outbox(put, ref.delivering)
    put(KEYS.leases, {name: f"{worker.sequence} 10000" for name, worker in ref.workers.items()})
    put(KEYS.served, {name: str(count) for name in "ABC" if (count := ref.served(name))})
    for name, worker in ref.workers.items():
        put(KEYS.worker(name), _worker(worker))
        put(KEYS.serves(name), set(worker.serves))
        put(
            KEYS.held(name),
            {i: h.token + (" " + h.algorithm if h.algorithm else "") for i, h in worker.held.items()},
        )
    put(KEYS.catalogue, dict.fromkeys(ref.catalogue, "{}"))
    put(KEYS.cap, _cap(ref))
    put(KEYS.limits, _limits(ref))
    if told is not None:
        put(KEYS.moves, (len(told), told[-1]), lasts=False)
    if ref.log:
        put(KEYS.log, (len(ref.log), ref.log[-1]))
    return picture


def _put_outbox(put: Any, telling: Delivering) -> None:
    for id, kinds in telling.outbox.items():
        put(KEYS.outbox_of + id, (len(kinds), kinds[-1]))
    for receiver, due in telling.due.items():
        put(KEYS.due_of + receiver, dict(due))
    put(KEYS.receivers, dict(telling.receivers))
    put(KEYS.of_outbox[-1], {id: (str(attempts), by) for id, (attempts, by) in telling.under_way.items()})
    for id, count in telling.attempts.items():
        put(KEYS.attempts_of + id, count, lasts=False)


def _put_index(put: Any, ref: Reference) -> None:
    sets: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (id, state, algorithm, kind), made in ref.listed_ended.items():
        sets[f"{KEYS.ended_of}{state}:{algorithm}"][id] = made
        if kind:
            sets[KEYS.errors_of + kind][id] = made
    for (name, value), jobs in ref.labelled.items():
        sets[f"{KEYS.labelled}{name}:{value}"] = dict(jobs)
    for key, jobs in sets.items():
        put(key, jobs)
    put(KEYS.labels, dict(ref.labels))
    put(KEYS.expiring, {f"{s} {k} {len(a)} {a}{id}": at for (id, s, a, k), at in ref.expiring.items()})
    seen = {}
    for group, (count, first, last, id) in ref.failures.items():
        algorithm, kind, origin = group[:3]
        fingerprint = hashlib.sha1("\n".join(group).encode(), usedforsecurity=False).hexdigest()[:16]
        seen[fingerprint] = float(last)
        told = {"count": str(count), "first": str(first), "last": str(last), "algorithm": algorithm, "id": id}
        put(KEYS.failure_of + fingerprint, told | {"type": kind, "origin": origin}, lasts=False)
    put(KEYS.failures, seen, lasts=True)


def _tenants(ref: Reference) -> dict[str, str]:
    fields = {f"known:{tenant}": "1" for tenant in ref.tenants}
    for tenant, bounds in ref.tenants.items():
        named = zip(("running", "pending"), bounds, strict=True)
        fields |= {f"{name}:{tenant}": str(most) for name, most in named if most is not None}
    return fields | {f"served:{tenant}": f"{at:.3f}" for tenant, at in ref.turns.items()}


def _worker(worker: Worker) -> dict[str, Any]:
    fields: dict[str, Any] = {"drained": worker.drained, "missed": worker.missed}
    if worker.exchange:
        fields["exchange"] = str(worker.exchange)
    for name in ("alone", "reserved"):
        if getattr(worker, name) is not None:
            fields[name] = getattr(worker, name)
    return fields


def _cap(ref: Reference) -> dict[str, str]:
    fields = {} if ref.configured is None else {"configured": str(ref.configured)}
    return fields | _override("override", "until", ref.override)


def _override(count: str, until: str, override: tuple[int, int | None] | None) -> dict[str, str]:
    if override is None:
        return {}
    return {count: str(override[0])} | ({until: str(override[1])} if override[1] is not None else {})


def _limits(ref: Reference) -> dict[str, str]:
    fields = {f"declared:{name}": str(count) for name, count in ref.declared.items()}
    for name, override in ref.overrides.items():
        fields |= _override(f"override:{name}", f"until:{name}", override)
    return fields | {f"rate:{name}": f"{most} {window}" for name, (most, window) in ref.rates.items()}


def difference(server: Picture, reference: Picture) -> str:
    """What differs, a line each."""
    lines = []
    for key in sorted(server.keys() | reference.keys()):
        there, meant = server.get(key), reference.get(key)
        if there != meant:
            lines.append(f"  {key}\n    Redis has {_short(there, meant)}\n    is meant  {_short(meant, there)}")
    return "\n".join(lines)


def _short(mine: Any, other: Any) -> Any:
    """Of two dictionaries, what they do not have in common."""
    if mine and other and isinstance(mine[0], dict) and isinstance(other[0], dict):
        return {k: v for k, v in mine[0].items() if other[0].get(k) != v}, FOR_EVER if mine[1] else "a TTL"
    return mine


def broken_rules(dump: Dump, picture: Picture, kept: set[str]) -> list[str]:
    """Rules that hold whatever happened before, told from what Redis holds alone."""
    queue = picture.get(KEYS.queue, ({}, 0))[0]
    running = picture.get(KEYS.running, ({}, 0))[0].keys()
    states = {key[len(RECORD) :]: value[0]["state"] for key, value in picture.items() if key.startswith(RECORD)}
    held = [id for key, value in picture.items() if key.startswith(KEYS.prefix + "held:") for id in value[0]]
    of = [
        id
        for key, value in picture.items()
        if key.startswith(KEYS.running_of) and not key.startswith(KEYS.running_of + MARK)
        for id in value[0]
    ]
    parked = {id for key, value in picture.items() if key.startswith(KEYS.parked_of) for id in value[0]}
    lasting = {KEYS.queue, KEYS.promote, KEYS.unstarted, KEYS.suspects, KEYS.running, KEYS.leases, ABORT}
    lasting |= {
        KEYS.cap,
        KEYS.catalogue,
        KEYS.limits,
        KEYS.log,
        KEYS.served,
        KEYS.hungry,
        KEYS.loads,
        KEYS.drained,
        KEYS.expiring,
        KEYS.labels,
        KEYS.failures,
        KEYS.receivers,
        KEYS.of_outbox[-1],
        KEYS.tenants,
    }
    whose = (
        KEYS.prefix + "worker:",
        KEYS.prefix + "held:",
        KEYS.prefix + "serves:",
        KEYS.running_of,
        KEYS.parked_of,
        KEYS.pending_of,
        KEYS.ended_of,
        KEYS.errors_of,
        KEYS.labelled,
        KEYS.due_of,
        KEYS.outbox_of,
    )
    left = [
        key
        for key, (_, lasts) in picture.items()
        if lasts
        and key not in lasting
        and not key.startswith(whose)
        and key.rpartition(":")[2] not in queue.keys() | kept
    ]
    return [
        rule
        for rule, broken in {
            "a running job is held by one lease": sorted(held) != sorted(running),
            "running jobs are running": any(states.get(id) != "running" for id in running),
            "a job that is said to run does": {i for i, s in states.items() if s == "running"} != set(running),
            "a job that has not ended is in the queue": any(
                state in ("pending", "running") and id not in queue for id, state in states.items()
            ),
            "each running job is listed, once": sorted(of) != sorted(running),
            "the name of each listed job is known": not _names_are_known(dump),
            "what is parked waits, out of sight": any(id in running or id not in queue for id in parked),
            "a parked set is listed": not _parked_are_listed(dump),
            f"no key without a TTL is left of a job that ended: {left}": bool(left),
        }.items()
        if broken
    ]


def _names_are_known(dump: Dump) -> bool:
    known = {"", *dump.get(KEYS.names, ("", 0, []))[2]}
    sets = (KEYS.pending_of, KEYS.running_of, *(f"{KEYS.ended_of}{state}:" for state in TERMINAL))
    return all(
        key[len(of) :] in known or key.startswith(of + MARK) for key in dump for of in sets if key.startswith(of)
    )


def _parked_are_listed(dump: Dump) -> bool:
    listed = dump.get(KEYS.parked, ("", 0, []))[2]
    return all(key[len(KEYS.parked_of) :] in listed for key in dump if key.startswith(KEYS.parked_of))
