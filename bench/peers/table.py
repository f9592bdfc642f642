"""Who takes part: the peers with their versions, and each as it is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Spread = Literal["itself", "processes"]


@dataclass(frozen=True)
class Environment:
    """What a peer's Python has installed; none: Slotwise's own."""

    requirements: tuple[str, ...] = ()
    least_python: tuple[int, int] = (3, 11)


ENVIRONMENTS = {
    "slotwise": Environment(),
    "arq": Environment(("arq==0.28.0", "redis[hiredis]>=5.3,<6")),
    "ardiq": Environment(("ardiq==1.2.0",), (3, 12)),
    "saq": Environment(("saq[redis,hiredis]==0.26.4", "typing_extensions")),
    "taskiq": Environment(("taskiq[orjson,uvloop]==0.13.0", "taskiq-redis==1.2.4", "hiredis")),
    "streaq": Environment(("streaq==7.2.0",)),
    "docket": Environment(("pydocket==0.27.0", "hiredis")),
    "rq": Environment(("rq==2.12.0", "hiredis")),
    "dramatiq": Environment(("dramatiq[redis]==2.2.1", "hiredis")),
    "celery": Environment(("celery[redis]==5.7.0", "hiredis")),
    "huey": Environment(("huey==3.5.4", "redis[hiredis]")),
}


@dataclass(frozen=True)
class Contender:
    """One row of the tables."""

    name: str
    peer: str  # a module of bench.peers, and a name of ENVIRONMENTS
    pace: int  # about how many no-ops a second it does here: sizes its runs, nothing else
    fast: bool = False  # with the settings that its documentation calls faster
    cpu: Spread = "processes"  # CPU-bound jobs: it has processes of its own, or is started once for each slot
    killable: bool = False  # a job that computes can be stopped while it runs, by the peer's own means
    wide: bool = True  # it can offer 100 slots, and ten workers of ten, without a process for each
    environment: dict[str, str] = field(default_factory=dict)
    front: bool = False  # it is spoken to over HTTP
    only: frozenset[str] = frozenset()  # workloads; none: all
    own_python: bool = False  # it runs under this project's Python, which has it too


CONTENDERS = (
    Contender("Slotwise", "slotwise", 10_000, cpu="itself", killable=True),
    Contender(
        "Slotwise, HTTP", "slotwise", 10_000, front=True, killable=True, only=frozenset({"wait", "enqueue"})
    ),
    Contender("arq", "arq", 200),
    Contender("arq, 10 ms poll", "arq", 1_500, fast=True),
    Contender("ardiq", "ardiq", 8_000, cpu="itself", killable=True),
    Contender("ardiq, prefetch, all on the loop", "ardiq", 8_000, fast=True),
    Contender("SAQ", "saq", 2_000),
    Contender("SAQ, refresh", "saq", 2_000, fast=True, only=frozenset({"wait"})),
    Contender("taskiq, streams", "taskiq", 1_500),
    Contender("taskiq, list, 10 ms", "taskiq", 1_500, fast=True),
    Contender("streaQ", "streaq", 1_500),
    Contender("streaQ, prefetch 100", "streaq", 1_500, fast=True),
    Contender("docket", "docket", 500),
    Contender("docket, 10 ms", "docket", 500, fast=True),
    Contender("RQ", "rq", 60, cpu="itself", killable=True, wide=False),
    Contender("RQ, SimpleWorker", "rq", 600, fast=True, cpu="itself", wide=False),
    Contender("Dramatiq", "dramatiq", 700, cpu="itself"),
    Contender("Celery", "celery", 500, cpu="itself", killable=True, wide=False),
    Contender("Celery, threads, prefetch 64", "celery", 500, fast=True, cpu="itself"),
    Contender("huey", "huey", 1_500, cpu="itself"),
    Contender("huey, notify_result", "huey", 1_500, fast=True, cpu="itself"),
)
