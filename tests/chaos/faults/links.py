"""What befalls the link between a member and the server."""

from __future__ import annotations

import asyncio

from tests.chaos.cast import Member
from tests.chaos.faults.kinds import Scene, fault


@fault("link cut", "member")
async def cut(scene: Scene, member: Member) -> None:
    for _ in range(scene.rng.randint(1, 4)):
        scene.stage.links.order(member.name, "cut")
        await asyncio.sleep(scene.seconds(0, 0.2))


@fault("link slow", "member")
async def slow(scene: Scene, member: Member) -> None:
    scene.stage.links.order(member.name, "slow", seconds=scene.seconds(0.02, 0.3))
    await asyncio.sleep(scene.seconds(1, 3))
    scene.stage.links.order(member.name, "slow", seconds=0)


@fault("link silent for a moment", "member")
async def silent(scene: Scene, member: Member) -> None:
    await _silence(scene, member, scene.seconds(0.1, 0.4) * member.lease)


@fault("link silent beyond the lease", "member")
async def silent_long(scene: Scene, member: Member) -> None:
    member.ends_by_us = True  # a thread's body ends with its worker only
    await _silence(scene, member, scene.seconds(1.1, 1.6) * member.lease)


@fault("link half-open", "member")
async def half_open(scene: Scene, member: Member) -> None:
    member.ends_by_us = True
    scene.stage.links.order(member.name, "half_open")


@fault("link refused", "member")
async def refused(scene: Scene, member: Member) -> None:
    scene.stage.links.order(member.name, "refuse")
    await asyncio.sleep(scene.seconds(0.2, 1))
    scene.stage.links.order(member.name, "open")


@fault("replies lost after execution", "member")
async def lose(scene: Scene, member: Member) -> None:
    scene.stage.links.order(member.name, "lose", replies=scene.rng.randint(1, 6))
    await asyncio.sleep(scene.seconds(0.3, 1))
    scene.stage.links.order(member.name, "lose", replies=0)


async def _silence(scene: Scene, member: Member, seconds: float) -> None:
    scene.stage.links.order(member.name, "silence", on=True)
    try:
        await asyncio.sleep(seconds)
    finally:
        scene.stage.links.order(member.name, "silence", on=False)
