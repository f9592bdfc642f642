"""A run: warm, storm, heal, drain, lull, audit; then the server loses all, and everybody goes."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import redis

from tests.chaos.cast import Plan
from tests.chaos.clients import Clients, Job
from tests.chaos.conductor import Conductor, available
from tests.chaos.faults.kinds import KINDS, Scene
from tests.chaos.faults.people import set_cap
from tests.chaos.inventory import inventory
from tests.chaos.ledger import BODIES, PROMISES, Entry, Ledger, Tail
from tests.chaos.outbox import untold
from tests.chaos.stage import Stage
from tests.facts import wait_for

STEADY = 3  # jobs a slot, by which it is seen whether slots stand empty
LULLS = ("CLIENT KILL", "SCRIPT FLUSH", "server killed", "worker's forking process killed", "CLIENT KILL")
SETTLES = 60.0  # seconds that the fleet has to come to rest, in each phase
FILLS = 20.0  # seconds that a fleet at rest has to take every slot
JOB_SECONDS = 0.05  # a job, and
FAULT_SECONDS = 4.0  # a fault, by which a storm that has not ended counts as stuck


class Bodies:
    """Those that are alive, as the referee writes it down."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._alive: dict[int, Entry] = {}
        self._started = 0

    def started(self) -> int:
        self.alive()
        return self._started

    def alive(self) -> list[Entry]:
        for entry in self._tail.new():
            if entry["event"] == "start" and entry["role"] == "body":
                self._alive[entry["n"]] = entry
                self._started += 1
            elif entry["event"] == "end":
                self._alive.pop(entry["n"], None)
        return list(self._alive.values())


class Run:
    theatre: type[Stage] = Stage

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stage = self.theatre(plan)
        self._tail = Tail(plan.directory / BODIES)
        self._bodies = Bodies(self._tail)
        self._promises = Ledger(plan.directory / PROMISES)

    async def play(self) -> None:
        """Leaves nothing behind but the ledgers."""
        try:
            await self.stage.open()
            self.clients = Clients(self.stage.urls, self.stage.hooks, self._promises, self.plan.seed)
            rng = random.Random(f"faults {self.plan.seed}")
            self.scene = Scene(self.stage, self.clients, rng, self._bodies.alive, self._bodies.started)
            self.conductor = Conductor(self.scene, available(self.plan.only))
            await self._acts()
            await self.clients.close()
        finally:
            self.stage.close()
            self._promises.close()
            self._tail.close()

    async def _acts(self) -> None:
        plan, seconds = self.plan, self.plan.jobs * JOB_SECONDS + self.plan.faults * FAULT_SECONDS
        going = (
            await self._act("warm", self._steady, SETTLES)
            and await self._act("storm", lambda: self._storm(plan.jobs, plan.faults), SETTLES + seconds)
            and await self._act("heal", self._heal, SETTLES)
            and await self._act("drain", self._drain, SETTLES)
            and await self._act("lull", self._lull, SETTLES)
            and await self._act("steady again", self._steady, SETTLES)
            and await self._act("drained", self._drain, SETTLES)
        )
        if not going:
            await self._act("heal", self._heal, SETTLES)
        await self._act("told", self._told, SETTLES)
        await self._act("audit", self._audit, SETTLES)
        await self._act("amnesia", self._amnesia, SETTLES)
        await self._leave()

    async def _leave(self) -> None:
        self.stage.faults.write("left processes", pids=await self.stage.stop())
        self.stage.faults.write("left at the end", **await asyncio.to_thread(inventory, self.stage.client()))

    async def _act(self, name: str, what: Callable[[], Coroutine[Any, Any, None]], within: float) -> bool:
        """Whether it came to its end. One that does not is written down, and what happened so far is judged."""
        self.stage.faults.write("phase", name=name)
        try:
            async with asyncio.timeout(within * self.plan.patience):
                await what()
            return True
        except (TimeoutError, AssertionError, ExceptionGroup, redis.RedisError) as error:
            self.stage.faults.write("stuck", name=name, error=repr(error)[:2000])
            return False

    async def _steady(self) -> None:
        """Jobs that take time and no CPU: every slot can be full."""
        made = self.clients.batch(STEADY * self.plan.cap)
        for job in made:
            job["algorithm"], job["params"]["ms"] = "InLoop", 500 + job["params"]["ms"] % 60 * 5
        ids = [
            job_id
            for start in range(0, len(made), 100)
            for job_id in await self.clients.submit(made[start : start + 100])
        ]
        await wait_for(
            lambda: len(self._bodies.alive()) >= self.plan.cap,
            within=FILLS * self.plan.patience,
            what="every slot is taken",
        )
        for _ in range(3):
            await self._compare_status()
        async with asyncio.TaskGroup() as watchers:
            for job_id in ids:
                watchers.create_task(self.clients.end_of(job_id))

    async def _compare_status(self) -> None:
        """Each front end's word on who runs, beside what the referee sees before and after."""
        before = len(self._bodies.alive())
        answer = await self.clients.ask("GET", "/jobs/concurrency/status")
        after = len(self._bodies.alive())
        self.stage.faults.write("status", told=answer.json(), alive=[before, after])

    async def _storm(self, jobs: int, faults: int) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.clients.submit_many(jobs, over))
            await self.conductor.storm(faults, jobs)
            over.set()

    async def _heal(self) -> None:
        stage = self.stage
        for member in stage.members:
            for do, how in (("silence", {"on": False}), ("slow", {"seconds": 0}), ("lose", {"replies": 0})):
                stage.links.order(member.name, do, **how)
            stage.links.order(member.name, "open")
        for clock in (stage.clock, *stage.clocks.values()):
            clock.set(0)
        if stage.server.process is None or stage.server.process.poll() is not None:
            await stage.server_starts()
        with suppress(redis.ResponseError):  # as a rule there is none
            await stage.call("SCRIPT", "KILL")
        await stage.call("CONFIG", "SET", "maxmemory", "0")
        await set_cap(self.scene, self.plan.cap)
        for row in (await self.clients.status())["workers"]:
            await self.clients.ask("POST", f"/workers/{row['name']}/resume")
        stage.faults.write("healed")

    async def _drain(self) -> None:
        async def at_rest() -> bool:
            status = await self.clients.status()
            return not status["pending_jobs"] and not status["running_jobs"] and not status["scheduled_jobs"]

        await wait_for(at_rest, within=SETTLES * self.plan.patience, what="no job waits, none runs")
        self.stage.faults.write("at rest")
        await self.clients.settled()

    async def _lull(self) -> None:
        """A fault on a fleet with nothing to do, and then one job, which nobody may miss."""
        for name in LULLS:
            await self.conductor.do(KINDS[name], breath=False)
            [job_id] = await self.clients.submit([self._short()])
            self.stage.faults.write("probe", id=job_id, after=name)
            async with asyncio.timeout(SETTLES / 4 * self.plan.patience):
                await self.clients.end_of(job_id)

    def _short(self) -> Job:
        [job] = self.clients.batch(1)
        job["algorithm"], job["params"]["ms"] = "InLoop", 5
        return job

    async def _told(self) -> None:
        """Every webhook, with its receiver in order."""

        async def all_told() -> bool:
            return not await asyncio.to_thread(untold, self.stage.client())

        await wait_for(all_told, within=SETTLES * self.plan.patience, what="nothing is left to tell webhooks")

    async def _audit(self) -> None:
        """How every job ended, twice, from either front end; what Redis holds now."""
        for _ in range(2):
            await self.clients.read_all()
        for url in self.stage.urls:
            text = await self.clients.metrics(url)
            self.stage.faults.write("metrics", url=url, completed=completed(text))
        self.stage.faults.write("left at rest", **await asyncio.to_thread(inventory, self.stage.client()))

    async def _amnesia(self) -> None:
        """A server that comes back without its data: what it knew is lost, and the service goes on."""
        server = self.stage.server
        await asyncio.to_thread(server.kill, signal.SIGKILL)
        for entry in self.stage.data.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        await self.stage.server_starts()
        self.stage.faults.write("forgotten")
        for url in self.stage.urls:
            await self.stage.ready(url)
        for job_id in await self.clients.submit(self.clients.batch(5)):
            job = await self.clients.end_of(job_id)
            self.stage.faults.write("works again", id=job_id, status=job.get("status"))
        await self._told()


def completed(metrics: str) -> float:
    """The sum of jobs_completed_total."""
    lines = [line for line in metrics.splitlines() if line.startswith("jobs_completed_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
