"""What people do: another cap, a drain, and jobs that mean harm."""

from __future__ import annotations

import asyncio

from tests.chaos import clients
from tests.chaos.cast import Member
from tests.chaos.faults.kinds import Scene, fault


@fault("cap changed", "nobody")
async def resize(scene: Scene, _: Member) -> None:
    for _ in range(scene.rng.randint(1, 3)):
        await set_cap(scene, scene.rng.randint(4, 24))
        await asyncio.sleep(scene.seconds(0.2, 1))
    await set_cap(scene, scene.stage.plan.cap)


async def set_cap(scene: Scene, cap: int) -> None:
    asked = scene.stage.faults.write("resize asked", cap=cap)
    answer = await scene.clients.ask("PUT", "/jobs/concurrency", {"max_concurrent": cap})
    scene.stage.faults.write("resized", cap=cap, asked=asked, status=answer.status_code)


@fault("worker drained", "nobody")
async def drain(scene: Scene, _: Member) -> None:
    rows = (await scene.clients.status())["workers"]
    name = scene.rng.choice(rows)["name"] if rows else ""
    await scene.clients.ask("POST", f"/workers/{name}/drain")
    await asyncio.sleep(scene.seconds(0.5, 2))
    await scene.clients.ask("POST", f"/workers/{name}/resume")


@fault("loop blocked by a job", "nobody")
async def block(scene: Scene, _: Member) -> None:
    await scene.clients.submit_one(clients.blocking)


@fault("hostile job", "nobody")
async def harm(scene: Scene, _: Member) -> None:
    await scene.clients.submit_one(clients.hostile)


@fault("poison job", "nobody")
async def poison(scene: Scene, _: Member) -> None:
    for _ in range(scene.rng.randint(1, 4)):
        await scene.clients.submit_one(clients.poison)
