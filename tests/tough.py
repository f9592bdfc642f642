"""Algorithms that are hard to end, each in its own way."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time

from slotwise import Cancelled, Context, algorithm
from tests.witness import ADDRESS, attend

CHILD = """
import signal, time
from tests.witness import attend
kept = attend("child")
def end(*_):
    time.sleep(0.1)
    attend("child tidied").close()
    raise SystemExit
signal.signal(signal.SIGTERM, end)
time.sleep(600)
"""


@algorithm
def Tidies(name: str) -> None:
    kept = attend(name)
    try:
        time.sleep(600)
    except Cancelled:
        attend("tidied").close()
        kept.close()
        raise


@algorithm
def Swallows(name: str) -> str:
    kept = attend(name)
    try:
        time.sleep(600)
    except Cancelled:
        kept.close()
    return "done anyway"


@algorithm(cancel_grace=0.2, kill_grace=30)
def HeedsSigterm(name: str) -> None:
    """Goes on when it is cancelled; its child tidies up at SIGTERM, which ends the body itself at once."""
    kept = attend(name)
    subprocess.Popen([sys.executable, "-c", CHILD])
    try:
        time.sleep(600)
    except Cancelled:
        time.sleep(600)
    kept.close()


def outlaws() -> None:
    """One process in a session of its own, twice removed, without our environment; and one that is stopped."""
    script = "import time; from tests.witness import attend; c = attend('outlaw'); time.sleep(600)"
    env = {ADDRESS: os.environ[ADDRESS], "PYTHONPATH": os.environ["PYTHONPATH"]}
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.execve(sys.executable, [sys.executable, "-c", script], env)
        os._exit(0)
    if os.fork() == 0:
        kept = attend("stopped")
        os.kill(os.getpid(), signal.SIGSTOP)
        kept.close()


@algorithm(cancel_grace=0.2, kill_grace=0.2)
def Deaf(name: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kept = attend(name)
    outlaws()
    ctypes.PyDLL(None).sleep(600)  # holds the GIL
    kept.close()


@algorithm(cancel_grace=0, kill_grace=0)
def NoGrace(name: str) -> None:
    kept = attend(name)
    outlaws()
    os.kill(os.getpid(), signal.SIGSTOP)
    kept.close()


@algorithm(executor="thread")
def Thread(name: str, stubborn: bool = False) -> str:
    """`stubborn`: goes on until the file `name` is there."""
    kept = attend(name.rpartition("/")[2])
    try:
        while not stubborn or not os.path.exists(name):  # noqa: PTH110
            try:
                time.sleep(0.01)
            except Cancelled:
                if not stubborn:
                    raise
    finally:
        kept.close()
    return "done"


@algorithm(executor="thread")
def ThreadSees(ctx: Context, name: str) -> None:
    """Says whether its context knew that it was to end when it was told."""
    kept = attend(name)
    try:
        while True:
            time.sleep(0.01)
    except Cancelled:
        attend(f"thread {ctx.cancelled}").close()
        kept.close()
        raise


@algorithm
async def LoopSees(ctx: Context, name: str) -> None:
    kept = attend(name)
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        attend(f"loop {ctx.cancelled}").close()
        kept.close()
        raise


@algorithm(executor="thread")
def ThreadRaises(message: str) -> None:
    raise ValueError(message)


@algorithm(executor="thread")
def ThreadSpins(seconds: float) -> None:
    """Use so much CPU time, in this thread."""
    while time.thread_time() < seconds:
        pass


@algorithm
async def BlocksLoop(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251


@algorithm
async def SwallowsAsync(name: str) -> str:
    kept = attend(name)
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        kept.close()
    return "done anyway"
