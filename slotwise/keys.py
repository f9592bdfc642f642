"""Every key in Redis, spelled once.

arq's own keys mean here what they mean in arq. Ours live under `slotwise:`; those of one queue (one cap, one
fleet) carry the queue's name.

Keys without a TTL, none of which grows with the number of finished jobs:
    the queue · payload, record and said of a job that has not ended · running, pending:* · promote · unstarted ·
    suspects · leases, worker:*, held:*, hungry (a row a live worker) · cap · audit, log, samples (bounded) ·
    meter · drained (a worker that was) · catalogue, limits, pace (a row an algorithm) · access, tenants (a row an
    API key) · arq:abort (requests of the last week) · names (a row an algorithm), failures (bounded) · what jobs
    are listed from: ended:*, errors:*, label:*, labels, expiring (a row a job, or a label of one, until `sweep`
    finds that its record has expired) ·
    receivers, due:*, outbox:*, deliveries (what webhooks have not been told yet)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from arq.constants import (
    abort_jobs_ss,
    default_queue_name,
    health_check_key_suffix,
    in_progress_key_prefix,
    job_key_prefix,
    result_key_prefix,
    retry_key_prefix,
)

PAYLOAD: Final = job_key_prefix  # arq:job:{id}           string, the call: function, args, kwargs
RESULT: Final = result_key_prefix  # arq:result:{id}        string, the envelope with the result, TTL
IN_PROGRESS: Final = in_progress_key_prefix  # arq:in-progress:{id}   string, "1" while it runs
RETRY: Final = retry_key_prefix  # arq:retry:{id}         string, attempts so far, TTL
RECORD: Final = "slotwise:job:"  # slotwise:job:{id}      hash, what became of the job, TTL once it ended
SAID: Final = "slotwise:said:"  # slotwise:said:{id}     stream, what the job said of itself, TTL once it ended
ABORT: Final = abort_jobs_ss  # arq:abort              zset id -> ms of the request to cancel
HEALTH_CHECK: Final = health_check_key_suffix  # {queue}:health-check   string, a stock worker's sign of life, TTL
ROOT: Final = "slotwise:"  # what every key of ours begins with
HIDDEN: Final = 9_000_000_000_000_000  # the score in the queue of what no claim is to find, as in lua/claim.lua

# The order in which every script gets the prefixes of per-job keys.
PER_JOB: Final = (RECORD, PAYLOAD, IN_PROGRESS, RETRY, RESULT, SAID)


class _Key:
    """One of a queue's keys, or the prefix of several: the queue's own prefix with `name` behind it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, keys: Keys, _: type[Keys]) -> str:
        return keys.prefix + self._name


@dataclass(frozen=True)
class Keys:
    """The keys of one queue: one fleet of workers under one cap."""

    queue: str = default_queue_name

    @cached_property
    def prefix(self) -> str:
        return f"{ROOT}{self.queue}:"

    def sign_of(self, host: str) -> str:
        """string, TTL: the sign of life of this host's workers, where `arq --check` is to speak for one host."""
        return f"{self.prefix}sign:{host}"

    running = _Key("running")
    """zset id -> ms of admission: the slots that are taken. Its size is what the cap bounds."""

    promote = _Key("promote")
    """zset id -> due ms, of scheduled jobs that get a head start when they fall due."""

    unstarted = _Key("unstarted")
    """zset id -> ms by which the job must have started, of those that have to."""

    suspects = _Key("suspects")
    """zset id -> ms: jobs that wait to run alone on a worker, because two workers died under them."""

    cap = _Key("cap")
    """hash: `configured`, the cap; `override`, `until` (ms), `reason`, `by`, `at` (ms), while one stands."""

    limits = _Key("limits")
    """hash: `declared:{algorithm}`, its own cap; `override:…` and what goes with it, as in `cap`; `rate:…`,
    which is "starts window_ms"."""

    parked = _Key("parked")
    """set: the algorithms that have a set of parked jobs."""

    pending_of = _Key("pending:")
    """prefix; zset id -> ms of submission: an algorithm's jobs that wait ('': of those that name none). A job
    is listed here, in `running_of`, or in `ended_of`."""

    running_of = _Key("running:")
    """prefix; zset id -> ms of submission: the slots that an algorithm's jobs take. '': of jobs that name
    none, and of those that were cancelled before: they take no room of their algorithm."""

    parked_of = _Key("parked:")
    """prefix; zset id -> score: an algorithm's jobs that were met and might not start."""

    starts_of = _Key("starts:")
    """prefix; zset token -> ms, for as long as the window of the algorithm's rate."""

    served = _Key("served")
    """hash function -> number of live workers that serve it."""

    hungry = _Key("hungry")
    """zset incarnation -> ms until which others leave it slots."""

    hungry_of = _Key("hungry:")
    """prefix; as `hungry`, of the workers that an algorithm's own cap keeps out; TTL."""

    drained = _Key("drained")
    """zset process -> ms: the worker processes that take no more jobs. Workers listen to it."""

    loads = _Key("loads")
    """zset incarnation -> jobs it holds, of those that hold any."""

    meter = _Key("meter")
    """hash: what lua/parts/meter.lua keeps, and `idle`: us that slots stood empty (see slotwise/meter.py)."""

    pace = _Key("pace")
    """hash: `n`, `mean`, `square` of all, and `n:…` of each algorithm: ms for which jobs hold slots; of each
    algorithm `cpu_n:`, `cpu:`, `peak:`, what they use, and `came:`, `went:`, how many there are (`pace`)."""

    counts = _Key("counts")
    """hash: what the fleet has done so far, for the metrics (see lua/parts/counts.lua)."""

    samples = _Key("samples")
    """stream, bounded: what the fleet had done by then (see slotwise/flow.py)."""

    @cached_property
    def of_samples(self) -> list[str]:
        """What the taking of a sample begins with."""
        own = [self.counts, self.meter, self.queue, self.running, self.cap, self.samples]
        return [*own, self.parked, self.suspects, self.parked_of, RECORD]

    log = _Key("log")
    """stream, bounded: each step that changed who runs, or the cap."""

    names = _Key("names")
    """set: the algorithms that have jobs to list (and, for a while, those that had)."""

    expiring = _Key("expiring")
    """zset of where ended jobs are listed (lua/parts/index.lua) -> ms when their records go."""

    ended_of = _Key("ended:")
    """prefix, then "state:algorithm"; zset id -> ms of submission: jobs that have ended."""

    errors_of = _Key("errors:")
    """prefix; zset id -> ms of submission: the jobs that failed with this type of error."""

    labels = _Key("labels")
    """hash id -> JSON: the labels of the jobs that have any."""

    labelled = _Key("label:")
    """prefix, then "name:value"; zset id -> ms of submission: the jobs with this label."""

    failures = _Key("failures")
    """zset fingerprint -> ms when it was seen last, bounded: the groups of failed jobs."""

    failure_of = _Key("failure:")
    """prefix; hash, TTL: of a group `count`, `first`, `last` (ms), `algorithm`, `type`, `origin`, the latest
    `error` (JSON), and ids of the latest jobs, `id:{n}`."""

    @cached_property
    def of_index(self) -> list[str]:
        """The last keys of every move of a job: where it is listed, and where the move is told."""
        index = [self.names, self.expiring, self.ended_of, self.errors_of, self.labels, self.labelled]
        return [*index, self.failures, self.failure_of, *self.of_moves]

    moves = _Key("moves")
    """stream, bounded, TTL: each move of a job and each change of the slots, while somebody listens to all."""

    @cached_property
    def of_moves(self) -> list[str]:
        """The last keys of every script that tells of moves, or of the cap."""
        return [self.queue, self.running, self.cap, self.moves]

    receivers = _Key("receivers")
    """zset receiver (scheme, host, port) -> ms when its first delivery is due. Workers listen to it."""

    due_of = _Key("due:")
    """prefix; zset id -> ms: when a receiver is told of each job; of one being told, when others may."""

    outbox_of = _Key("outbox:")
    """prefix; list: what a job's webhook has not been told yet, oldest first (lua/parts/outbox.lua)."""

    @cached_property
    def of_outbox(self) -> list[str]:
        """What every move that tells webhooks has in front of `of_index`. `deliveries`: hash id -> "entry attempts
        token", what is being told ('-': nobody does now) or was tried in vain."""
        return [self.receivers, self.due_of, self.outbox_of, self.prefix + "deliveries"]

    attempts_of = _Key("attempts:")
    """prefix; list of JSON, bounded, TTL: the attempts to tell a job's webhook."""

    audit = _Key("audit")
    """list of JSON entries, newest first, bounded: who changed which cap, when, why, from what, to what."""

    @cached_property
    def of_caps(self) -> list[str]:
        """What every move that changes a cap begins with."""
        return [self.cap, self.limits, self.audit, self.log, self.meter, self.running]

    leases = _Key("leases")
    """hash incarnation -> "sequence length_ms": what observers watch."""

    catalogue = _Key("catalogue")
    """hash algorithm -> JSON: what the workers of this queue have published."""

    access = _Key("access")
    """hash name -> JSON: the API keys, hashed (slotwise/apikeys.py)."""

    tenants = _Key("tenants")
    """hash: `known:{tenant}`; its limits `pending:…`, `running:…`, `rate:…` ("count window_ms"); `tat:…`, the
    ms at which that rate is whole again; `served:…`, when a job of its started last ('': of nobody's)."""

    ended = _Key("ended")
    """channel: the id of each job that reached a terminal state."""

    told = _Key("told")
    """channel: the id of each job whose stream `said` has something new."""

    def serves(self, incarnation: str) -> str:
        """set: the functions that this worker's start serves."""
        return f"{self.prefix}serves:{incarnation}"

    workers = _Key("worker:")
    """prefix of `worker`."""

    def worker(self, incarnation: str) -> str:
        """hash: the worker's name, host, process (random), version, slots; when it was `seen` last (ms), and since
        when it is `drained`; its last exchange."""
        return self.workers + incarnation

    def held(self, incarnation: str) -> str:
        """hash id -> "token algorithm": the attempts that this worker's start owns."""
        return f"{self.prefix}held:{incarnation}"
