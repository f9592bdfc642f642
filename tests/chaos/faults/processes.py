"""Processes that are killed, stopped, or told to go; and clocks of theirs that jump."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

from tests.chaos.cast import Member
from tests.chaos.faults.kinds import Scene, fault
from tests.chaos.tree import send, tree
from tests.facts import wait_for

HOUR = 3600


@fault("worker killed", "worker")
async def kill_worker(scene: Scene, worker: Member) -> None:
    scene.stage.kill(worker, signal.SIGKILL)
    await _is_back(scene, worker)


@fault("worker told to go", "worker")
async def end_worker(scene: Scene, worker: Member) -> None:
    scene.stage.kill(worker, signal.SIGTERM)
    await _is_back(scene, worker)


@fault("worker stopped beyond its lease", "worker")
async def stop_worker_long(scene: Scene, worker: Member) -> None:
    worker.ends_by_us = True  # the kernel ends one that holds bodies in itself
    await _stop_tree(scene, worker, 1.4 * worker.lease)


@fault("worker stopped for a moment", "worker")
async def stop_worker(scene: Scene, worker: Member) -> None:
    await _stop_tree(scene, worker, scene.seconds(0.1, 0.4) * worker.lease)


@fault("worker's main process stopped", "worker")
async def stop_main(scene: Scene, worker: Member) -> None:
    worker.ends_by_us = True
    await _stopped([worker.pid], 1.4 * worker.lease)


@fault("front end killed", "front")
async def kill_front(scene: Scene, front: Member) -> None:
    scene.stage.kill(front, signal.SIGKILL)
    await _is_back(scene, front)


@fault("front end told to go", "front")
async def end_front(scene: Scene, front: Member) -> None:
    scene.stage.kill(front, signal.SIGTERM)
    await _is_back(scene, front)


@fault("front end stopped", "front")
async def stop_front(scene: Scene, front: Member) -> None:
    await _stopped([front.pid], scene.seconds(0.5, 3))


@fault("job's process killed", "nobody")
async def kill_child(scene: Scene, _: Member) -> None:
    await _to_a_child(scene, signal.SIGKILL)


@fault("job's process told to go", "nobody")
async def end_child(scene: Scene, _: Member) -> None:
    await _to_a_child(scene, signal.SIGTERM)


@fault("job's process stopped", "nobody")
async def stop_child(scene: Scene, _: Member) -> None:
    if pid := _child(scene):
        await _stopped([pid], scene.seconds(0.5, 2))


@fault("worker's forking process killed", "worker")
async def kill_zygote(scene: Scene, worker: Member) -> None:
    if len(family := tree(worker.pid)) > 2:  # itself, the guardian, the zygote
        send([family[2]], signal.SIGKILL)


@fault("worker's guardian killed", "worker")
async def kill_guardian(scene: Scene, worker: Member) -> None:
    if len(family := tree(worker.pid)) > 1:
        send([family[1]], signal.SIGKILL)


@fault("clock of a process jumps", "clocked")
async def jump(scene: Scene, member: Member) -> None:
    clock = scene.stage.clocks[member.name]
    clock.set(scene.rng.choice((-HOUR, HOUR)))
    await asyncio.sleep(scene.seconds(1, 3))
    clock.set(0)


@fault("rolling restart, with the release before", "nobody")
async def roll(scene: Scene, _: Member) -> None:
    """One front end and half of the workers, one after the other."""
    stage = scene.stage
    for member in (stage.fronts[-1], *stage.workers[::2]):
        async with member.lock:
            member.old_release = not member.old_release
            stage.kill(member, signal.SIGTERM)
            await _is_back(scene, member)


async def _is_back(scene: Scene, member: Member) -> None:
    """Started again by whoever watches, and at work."""
    starts = member.starts
    within = 60 * scene.stage.plan.patience
    await wait_for(lambda: member.starts > starts, within=within, what=f"{member.name} is started again")
    if not member.is_worker:
        await scene.stage.ready(scene.stage.urls[scene.stage.fronts.index(member)])


async def _stop_tree(scene: Scene, member: Member, seconds: float) -> None:
    await _stopped(tree(member.pid), seconds)


async def _stopped(pids: list[int], seconds: float) -> None:
    send(pids, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        send(pids, signal.SIGCONT)


async def _to_a_child(scene: Scene, number: signal.Signals) -> None:
    if pid := _child(scene):
        scene.stage.faults.write("body", pid=pid)
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _child(scene: Scene) -> int:
    """A job that runs in a process of its own, 0 if there is none now."""
    mains = {member.pid for member in scene.stage.workers}
    pids = [body["pid"] for body in scene.alive() if body["pid"] not in mains]
    return scene.rng.choice(pids) if pids else 0
