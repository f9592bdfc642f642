"""What befalls those whom webhooks are sent to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.chaos.cast import Member
from tests.chaos.faults.kinds import Scene, fault
from tests.chaos.receivers import Receiver


@fault("receiver killed", "nobody")
async def kill(scene: Scene, _: Member) -> None:
    async with _receiver(scene) as receiver:
        receiver.close()
        await asyncio.sleep(scene.seconds(0.2, 2))
        receiver.start()
        await asyncio.to_thread(receiver.listens)


@fault("receiver stopped", "nobody")
async def stop(scene: Scene, _: Member) -> None:
    async with _receiver(scene) as receiver:
        receiver.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(scene.seconds(0.5, 3))
        finally:
            receiver.send(signal.SIGCONT)


@fault("receiver hangs", "nobody")
async def hang(scene: Scene, _: Member) -> None:
    await _behaves(scene, "hangs")


@fault("receiver redirects", "nobody")
async def redirect(scene: Scene, _: Member) -> None:
    await _behaves(scene, "redirects")


@fault("receiver answers garbage", "nobody")
async def garble(scene: Scene, _: Member) -> None:
    await _behaves(scene, "garbage")


async def _behaves(scene: Scene, manner: str) -> None:
    async with _receiver(scene) as receiver:
        receiver.behave(manner)
        try:
            await asyncio.sleep(scene.seconds(0.5, 3))
        finally:
            receiver.behave("well")


@asynccontextmanager
async def _receiver(scene: Scene) -> AsyncIterator[Receiver]:
    """One that nothing else befalls meanwhile."""
    receivers = scene.stage.receivers
    receiver = scene.rng.choice([each for each in receivers if not each.lock.locked()] or receivers)
    async with receiver.lock:
        yield receiver
