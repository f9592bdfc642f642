"""What befalls the server: it dies, stops, forgets its scripts, is full, has no disk, or another hour."""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from contextlib import suppress

import redis

from tests.chaos.cast import Member
from tests.chaos.faults.kinds import Scene, fault
from tests.chaos.faults.processes import HOUR
from tests.chaos.stage import Stage
from tests.chaos.tree import send
from tests.facts import wait_for

LONG = "for _ = 1, tonumber(ARGV[1]) do end"
ENDLESS = "while true do end"
PATIENCE = 0.3  # seconds of a script, after which the server says that it is busy, and lets it be killed


@fault("server killed", "server")
async def kill(scene: Scene, _: Member) -> None:
    await _restart(scene, signal.SIGKILL, scene.seconds(0, 1))


@fault("server told to go", "server")
async def end(scene: Scene, _: Member) -> None:
    await _restart(scene, signal.SIGTERM, scene.seconds(0, 1))


@fault("server away longer than the lease", "server")
async def away(scene: Scene, _: Member) -> None:
    await _restart(scene, signal.SIGKILL, 1.2 * scene.stage.plan.lease)


@fault("server stopped", "server")
async def stop(scene: Scene, _: Member) -> None:
    pid = _pid(scene.stage)
    send([pid], signal.SIGSTOP)
    try:
        await asyncio.sleep(scene.seconds(0.3, 1.2 * scene.stage.plan.lease))
    finally:
        send([pid], signal.SIGCONT)
    scene.stage.faults.write("back")


@fault("CLIENT PAUSE", "server")
async def pause(scene: Scene, _: Member) -> None:
    seconds = scene.seconds(0.3, 1.2 * scene.stage.plan.lease)
    await scene.stage.call("CLIENT", "PAUSE", int(seconds * 1000), "ALL")
    await asyncio.sleep(seconds)
    scene.stage.faults.write("back")


@fault("CLIENT KILL", "server")
async def kill_clients(scene: Scene, _: Member) -> None:
    for kind in ("normal", "pubsub"):
        await scene.stage.call("CLIENT", "KILL", "TYPE", kind)


@fault("SCRIPT FLUSH", "server")
async def flush_scripts(scene: Scene, _: Member) -> None:
    for _ in range(scene.rng.randint(1, 5)):
        await scene.stage.call("SCRIPT", "FLUSH")
        await asyncio.sleep(scene.seconds(0, 0.1))


@fault("a slow command", "server")
async def slow_command(scene: Scene, _: Member) -> None:
    await scene.stage.call("EVAL", LONG, 0, scene.rng.randint(5, 40) * 1_000_000)


@fault("a script without an end", "server")
async def endless(scene: Scene, _: Member) -> None:
    """Somebody's, until somebody else kills it: the server says BUSY meanwhile."""
    await scene.stage.call("CONFIG", "SET", "busy-reply-threshold", round(PATIENCE * 1000))
    asking = asyncio.create_task(scene.stage.call("EVAL", ENDLESS, 0))
    await asyncio.sleep(PATIENCE + scene.seconds(0.5, 2))

    async def is_killed() -> bool:
        with suppress(redis.ResponseError):  # not yet busy enough
            await scene.stage.call("SCRIPT", "KILL")
            return True
        return asking.done()

    await wait_for(is_killed, within=20 * scene.stage.plan.patience, what="the script is killed")
    with suppress(redis.RedisError):
        await asking
    scene.stage.faults.write("back")


@fault("memory full", "server")
async def memory_full(scene: Scene, _: Member) -> None:
    await scene.stage.call("CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1")
    scene.stage.faults.write("full")
    try:
        await asyncio.sleep(scene.seconds(1, 2.5))
    finally:
        await scene.stage.call("CONFIG", "SET", "maxmemory", "0")
        scene.stage.faults.write("room")


@fault("disk full, every write synced", "server")
async def disk_full(scene: Scene, _: Member) -> None:
    """The server ends, as it must; it is started where there is room."""
    stage = scene.stage
    _bound_files(stage, True)
    process = stage.server.process
    assert process is not None
    with suppress(redis.RedisError):
        await stage.call("SET", "chaos:probe", 1, "EX", 60)  # were there nobody else who writes
    await wait_for(
        lambda: process.poll() is not None,
        within=20 * scene.stage.plan.patience,
        what="the server ends for want of disk",
    )
    await asyncio.sleep(scene.seconds(0, 0.5))
    await stage.server_starts()


@fault("disk full, synced each second", "server")
async def disk_refuses(scene: Scene, _: Member) -> None:
    """The server refuses writes until there is room again."""
    stage = scene.stage
    await stage.call("CONFIG", "SET", "appendfsync", "everysec")
    _bound_files(stage, True)
    try:
        await asyncio.sleep(scene.seconds(0.5, 2))
    finally:
        _bound_files(stage, False)

        async def has_written() -> bool:
            with suppress(redis.ResponseError):
                await stage.call("SET", "chaos:probe", 1, "EX", 60)
                return b"aof_last_write_status:ok" in _told(await stage.call("INFO", "persistence"))
            return False

        await wait_for(has_written, within=20 * scene.stage.plan.patience, what="the server writes again")
        await stage.call("CONFIG", "SET", "appendfsync", "always")
        stage.faults.write("back")


@fault("clock of the server jumps", "server")
async def jump(scene: Scene, _: Member) -> None:
    for seconds in (scene.rng.choice((-HOUR, HOUR)), 0):
        scene.stage.clock.set(seconds)

        async def has_jumped(seconds: int = seconds) -> bool:
            told = await scene.stage.call("TIME")
            assert isinstance(told, tuple)
            return abs(told[0] - time.time() - seconds) < HOUR / 2

        await wait_for(has_jumped, within=20 * scene.stage.plan.patience, what="the server's clock jumps")
        await asyncio.sleep(scene.seconds(0.3, 1))


async def _restart(scene: Scene, number: signal.Signals, seconds: float) -> None:
    await asyncio.to_thread(scene.stage.server.kill, number)
    await asyncio.sleep(seconds)
    await scene.stage.server_starts()


def _pid(stage: Stage) -> int:
    assert stage.server.process is not None
    return stage.server.process.pid


def _bound_files(stage: Stage, full: bool) -> None:
    """No file of the server's may grow, from now on."""
    most = resource.RLIM_INFINITY if not full else 1
    resource.prlimit(_pid(stage), resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def _told(reply: object) -> bytes:
    if isinstance(reply, dict):  # as redis-py reads INFO
        return b"\n".join(f"{name}:{value}".encode() for name, value in reply.items())
    return reply if isinstance(reply, bytes) else b""
