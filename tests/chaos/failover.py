"""A run of its own: the primary is lost under a fleet at work, and a replica leads that had not got all of it."""

from __future__ import annotations

import asyncio
import itertools

from tests.chaos.cast import Plan
from tests.chaos.pair import Pair
from tests.chaos.phases import SETTLES, Run
from tests.chaos.stage import Stage
from tests.facts import wait_for

LOST, STOPPED = "primary lost", "primary stopped"
BETWEEN = 60  # bodies that start before the next loss
GOES_ON = 30.0  # seconds that bodies have to start again, once the replica leads


class Doubled(Stage):
    """The stage with two servers, which everybody finds by the sentinels: no proxy is in the way."""

    options: tuple[str, ...] = ()  # of both servers

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.pair = Pair(self.data, self.options)

    def _open_server(self) -> None:
        self.pair.start()
        self.server = self.pair.primary

    def _cast(self, name: str, lease: float, referee: str) -> None:
        super()._cast(name, lease, referee)
        self.members[-1].env["REDIS_URL"] = self.pair.url

    def fail(self, kind: str) -> None:
        """Lose the primary: written down is from when until only the replica leads. It gets one of its own."""
        begun = self.faults.write("fault", kind=kind, target="server")
        (self.pair.stop_primary if kind == STOPPED else self.pair.lose_primary)()
        self.faults.write("over", kind=kind, target="server", begun=begun)
        self.pair.repair()
        self.server = self.pair.primary

    def close(self) -> None:
        self.pair.close()
        super().close()


class Guarded(Doubled):
    """With the settings that docs/reliability.md recommends."""

    options = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "5")


class Failovers(Run):
    theatre: type[Doubled] = Doubled
    stage: Doubled

    async def _acts(self) -> None:
        plan = self.plan
        going = await self._act("warm", self._steady, SETTLES)
        going = going and await self._act("storm", lambda: self._storm(plan.jobs, plan.faults), 6 * SETTLES)
        self.stage.faults.write("healed")
        if going:
            await self._act("drain", self._drain, SETTLES)
        await self._act("told", self._told, SETTLES)
        await self._act("audit", self._audit, SETTLES)
        await self._leave()

    async def _storm(self, jobs: int, faults: int) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.clients.submit_many(jobs, over))
            for kind in itertools.islice(itertools.cycle((LOST, STOPPED)), faults):
                await self._work(BETWEEN)
                await asyncio.to_thread(self.stage.fail, kind)
                await self._work(1)
            over.set()

    async def _work(self, bodies: int) -> None:
        """Return when so many more have started."""
        most = self.scene.started() + bodies
        await wait_for(
            lambda: self.scene.started() >= most, within=GOES_ON * self.plan.patience, what="bodies start"
        )


class GuardedFailovers(Failovers):
    theatre = Guarded
