"""What the doctor found: each illness with what it means and what to do, stated once in a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slotwise.errors import harmless

EXAMPLES: Final = 5  # of a finding that are named
EXAMPLE_CHARS: Final = 100


@dataclass(frozen=True)
class Illness:
    """`what` is for one or more: it is shown behind their number."""

    what: str
    means: str
    cure: str


ILLNESSES: Final[Mapping[str, Illness]] = {
    "old-server": Illness(
        "server that is too old",
        "Slotwise needs Valkey, or Redis 7.0 or newer: its scripts are refused by others. A stock arq runs.",
        "Upgrade the server before you move to Slotwise.",
    ),
    "evicts": Illness(
        "server that may evict keys",
        "When its memory is full it throws away keys: jobs, results, the cap itself vanish without a word.",
        "CONFIG SET maxmemory-policy noeviction, in its configuration file too.",
    ),
    "no-aof": Illness(
        "server without an append-only file",
        "What it accepted since its last snapshot (everything, where it takes none) is gone after a crash or a "
        "restart, jobs that were answered 202 too.",
        "CONFIG SET appendonly yes, and appendfsync always if no job may be lost; in its configuration file too.",
    ),
    "damaged-key": Illness(
        "key of the wrong type, or cap or rate that is no number",
        "Something else wrote under a name that belongs to the queue: what needs it fails, and is tried again.",
        "Find who writes it; move it away with RENAME: all goes on by itself, and starts that key anew. A cap or "
        "a rate: HDEL the field, and set it again. Where it was `leases` or `running`, restart the workers; where "
        "it was the queue, submit again what waited.",
    ),
    "no-worker": Illness(
        "job that waits although no worker is alive",
        "Nobody takes what is due.",
        "Start a worker: `arq worker.settings.WorkerSettings`, or your own settings class.",
    ),
    "dead-worker": Illness(
        "lease of a worker that has died, which nobody takes back",
        "The jobs that it held keep their slots, because no front end and no other worker is there to observe it.",
        "Start a worker or the front end on this server: it takes the slots back within two lease lengths.",
    ),
    "slot-without-holder": Illness(
        "slot that is taken by a job which no live worker holds",
        "By its record it runs, so it is not given back by itself, and the cap is smaller by that much.",
        "Make sure that nobody runs the job; then ZREM it from the running set, HSET its record state pending, "
        "and ZADD it to the queue with score 0: it runs again. Please report it.",
    ),
    "stuck-in-progress": Illness(
        "in-progress key without anybody who runs the job",
        "A worker died, or was killed, while it ran. A stock worker passes the job over as long as the key "
        "stands: until its TTL is over, for ever without one.",
        "Make sure that nobody runs the job; then DEL arq:in-progress:ID.",
    ),
    "leftover-abort": Illness(
        "request to abort a job that is not there",
        "It was asked for after the job had ended, or where workers do not allow aborts: the next job that is "
        "enqueued under this id is aborted when it starts.",
        "ZREM arq:abort ID; set allow_abort_jobs in the worker's settings, whose workers clear old requests away.",
    ),
    "abort-ahead-of-time": Illness(
        "request to abort that is dated in the future",
        "Some client's clock is wrong. Until then the request is not forgotten, and aborts every job of this id.",
        "ZREM arq:abort ID; set that client's clock.",
    ),
    "lost-payload": Illness(
        "job in the queue whose payload is gone",
        "Its payload expired (arq keeps it for a day behind the time the job was due) or was deleted: it cannot "
        "run, and ends as `expired` when a worker meets it.",
        "Enqueue it again; start enough workers, or let clients set _expires to what jobs really wait.",
    ),
    "unreadable-payload": Illness(
        "job in the queue whose payload nobody can read",
        "It is neither a JSON object nor a pickle: it fails when a worker meets it.",
        "Find who writes it; ZREM it from the queue, and DEL arq:job:ID.",
    ),
    "pickled-payload": Illness(
        "job in the queue whose payload is a pickle",
        "A client without our serializer enqueued it. Slotwise never loads a pickle: it fails as `bad_params`, "
        "unless its workers' settings name a deserializer of their own.",
        "Give that client job_serializer=slotwise.wire.serialize and job_deserializer=slotwise.wire.deserialize.",
    ),
    "unserved-function": Illness(
        "job that waits for a function which no live worker serves",
        "It waits until such a worker starts, or until its payload expires.",
        "Start a worker with the module (ALGORITHMS=…), or cancel these jobs.",
    ),
    "lost-job": Illness(
        "job that waits or runs by its record, and stands nowhere",
        "It is in no queue, so it never runs and never ends. A stock worker took it away, or somebody deleted it.",
        "Submit it again, and DEL slotwise:job:ID. Let no stock worker serve a queue of ours.",
    ),
    "hidden-job": Illness(
        "job in the queue that no claim can find",
        "Its score says that it runs or stands aside, and it does neither: it never runs.",
        "ZADD the queue XX 0 ID: the next claim meets it. Please report it.",
    ),
    "kept-for-ever": Illness(
        "key of a job that has ended, without a TTL",
        "Nothing ever removes it.",
        "DEL it, when you have looked at it.",
    ),
}


@dataclass(frozen=True)
class Finding:
    """An illness: how many have it, and some of them."""

    code: str
    count: int
    examples: tuple[str, ...] = ()
    detail: str = ""

    @property
    def illness(self) -> Illness:
        return ILLNESSES[self.code]


def finding(code: str, members: Iterable[bytes | str], detail: str = "") -> Iterator[Finding]:
    """One finding, or none where nobody has it."""
    named = sorted(map(shown, members))
    if named:
        yield Finding(code, len(named), tuple(named[:EXAMPLES]), detail)


def shown(name: bytes | str) -> str:
    """A name from Redis, harmless to a terminal, whoever chose it."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    return harmless(text, EXAMPLE_CHARS)


@dataclass(frozen=True)
class Report:
    """`notes`: what could not be looked at, or not as far as there is."""

    server: str
    queue: str
    ours: bool  # whether Slotwise has been at work on this queue
    keys: int
    looked_at: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        return {
            "healthy": self.healthy,
            "server": self.server,
            "queue": self.queue,
            "kind": "slotwise" if self.ours else "arq",
            "keys": self.keys,
            "looked_at": self.looked_at,
            "findings": [
                {
                    "code": each.code,
                    "count": each.count,
                    "what": each.illness.what,
                    "detail": each.detail or None,
                    "means": each.illness.means,
                    "do": each.illness.cure,
                    "examples": list(each.examples),
                }
                for each in self.findings
            ],
            "notes": list(self.notes),
        }

    def as_text(self) -> str:
        kind = "of Slotwise" if self.ours else "of a stock arq, as far as can be seen"
        lines = [f"{self.server}: {self.keys} keys, {self.looked_at} looked at; queue {shown(self.queue)}, {kind}"]
        for each in self.findings:
            lines += ["", f"{each.count} x {each.illness.what} ({each.code})"]
            rows = {"found": each.detail, "means": each.illness.means, "do": each.illness.cure}
            rows["as"] = ", ".join(each.examples) + (", …" if each.count > len(each.examples) > 0 else "")
            lines += [f"  {name:<7}{text}" for name, text in rows.items() if text]
        lines += ["", *(f"note: {note}" for note in self.notes)] if self.notes else []
        return "\n".join([*lines, "", f"{len(self.findings)} findings" if self.findings else "nothing is wrong"])
