"""Draws faults from the seed and does them, several at a time: never two to one member, or to the server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from tests.chaos.cast import Member
from tests.chaos.clock import LIBRARIES
from tests.chaos.faults import links, people, processes, receivers, server  # noqa: F401 - they put their kinds into the table
from tests.chaos.faults.kinds import KINDS, Kind, Scene
from tests.facts import wait_for

OTHERS = 3  # hands that are not of the server
PAUSE = 0.4  # seconds at most, between two faults of a hand
LONG = 120.0  # seconds, of one fault
BREATH = 3.0  # seconds at most that a fleet has to start a body, until the server's next fault
BEHIND = 3.0  # seconds at most that a fault waits for its share of the jobs


def available(only: Sequence[str] = ()) -> list[Kind]:
    """The kinds that can be done here."""
    missing = [name for name in only if name not in KINDS]
    if missing:
        raise ValueError(f"no such kind of fault: {', '.join(missing)}")
    kinds = [kind for kind in KINDS.values() if (kind.name in only if only else kind.storm)]
    return [kind for kind in kinds if LIBRARIES or kind.name != "clock of the server jumps"]


def deck(kinds: Sequence[Kind], rng: random.Random) -> Iterator[Kind]:
    """Every kind once, in any order; then again."""
    while True:
        yield from rng.sample(kinds, len(kinds))


class Conductor:
    def __init__(self, scene: Scene, kinds: Sequence[Kind]) -> None:
        self._scene = scene
        of_server = [kind for kind in kinds if kind.target == "server"]
        others = [kind for kind in kinds if kind.target != "server"]
        self._decks = [deck(each, scene.rng) for each in (of_server, others) if each]
        self._fronts = asyncio.Lock()  # one front end serves, whatever is done to the other
        self.done = 0

    async def storm(self, faults: int, jobs: int) -> None:
        """So many, spread over so many jobs: one hand for the server, several for everybody else."""
        self._jobs_a_fault = 0.9 * jobs / faults
        self._promised_before = self._scene.clients.promised
        async with asyncio.TaskGroup() as hands:
            for each in (self._decks[0], *(self._decks[-1],) * OTHERS):
                hands.create_task(self._hand(each, faults))

    async def _hand(self, kinds: Iterator[Kind], faults: int) -> None:
        while self.done < faults:
            number, self.done = self.done, self.done + 1
            await self._its_turn(number)
            await self.do(next(kinds))
            await asyncio.sleep(self._scene.seconds(0, PAUSE))

    async def _its_turn(self, number: int) -> None:
        due = self._promised_before + number * self._jobs_a_fault
        with suppress(AssertionError):
            await wait_for(lambda: self._scene.clients.promised >= due, within=BEHIND)

    async def do(self, kind: Kind, *, breath: bool = True) -> None:
        """One fault of this kind, on whoever is free."""
        faults = self._scene.stage.faults
        async with self._target(kind) as member:
            name = "server" if kind.target == "server" else "" if kind.target == "nobody" else member.name
            begun = faults.write("fault", kind=kind.name, target=name)
            async with asyncio.timeout(LONG * self._scene.stage.plan.patience):
                await kind.do(self._scene, member)
            if name == member.name and member.alive:
                member.ends_by_us = False
            faults.write("over", kind=kind.name, target=name, begun=begun)
            if kind.target == "server" and breath:
                await self._breathe()

    async def _breathe(self) -> None:
        """Let a body start, by which it is seen how soon work goes on."""
        started = self._scene.started()
        with suppress(AssertionError):
            await wait_for(lambda: self._scene.started() > started, within=BREATH)

    @asynccontextmanager
    async def _target(self, kind: Kind) -> AsyncIterator[Member]:
        stage = self._scene.stage
        async with AsyncExitStack() as held:
            if kind.target in ("server", "nobody"):
                if kind.target == "server":
                    await held.enter_async_context(stage.server_lock)
                yield stage.members[0]
                return
            fit = {"worker": stage.workers, "front": stage.fronts, "member": stage.members}
            candidates = fit.get(kind.target) or [each for each in stage.members if each.name in stage.clocks]
            free = [each for each in candidates if not each.lock.locked()] or candidates
            member = self._scene.rng.choice(free)
            if not member.is_worker:
                await held.enter_async_context(self._fronts)
            await held.enter_async_context(member.lock)
            yield member
