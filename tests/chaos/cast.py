"""What a run is to be, and who takes part in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.fleet import Process


@dataclass
class Plan:
    """What a run is to be."""

    directory: Path
    seed: int = 1
    jobs: int = 5_000
    faults: int = 60
    lease: float = 3.0
    cap: int = 16
    workers: int = 4
    release: Path | None = None  # instead of this tree
    previous: str | None = None  # the revision that runs beside it in a rolling restart
    only: tuple[str, ...] = ()  # kinds of fault
    failover: str | None = None  # a run in which primaries are lost, `plain` or `guarded`
    patience: float = 1.0  # what the time that each act has is multiplied by


class Member:
    """A worker or a front end, over all its starts."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], lease: float) -> None:
        self.name, self.command, self.env, self.lease = name, command, env, lease
        self.process: Process | None = None
        self.starts = 0
        self.ends_by_us = False  # the next end is no surprise
        self.old_release = False
        self.lock = asyncio.Lock()  # of the fault that is being done to it

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.popen.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    @property
    def is_worker(self) -> bool:
        return self.name.startswith("worker")
