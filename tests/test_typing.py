"""What editors and type checkers see: a decorated function keeps its signature. Checked by mypy itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet import ROOT

SOURCE = """
from collections.abc import Callable, Coroutine
from typing import Any, assert_type
from slotwise import Algorithm, ApiError, AsyncClient, Client, Context, algorithm, preload
from slotwise import Nobody  # error
from slotwise.client import Job

@algorithm
def Bare(a: int, b: str = "x") -> float:
    return a * len(b)

@algorithm(timeout=60, memory_mb=512, max_concurrent=2, rate="3/second")
def Limited(a: int, *, ctx: Context) -> list[str]:
    return [ctx.job_id] * a

@algorithm(name="other")
async def OnTheLoop(a: int) -> str:
    return str(a)

@preload
def load() -> None: ...

assert_type(Bare(1, b="y"), float)
assert_type(load(), None)
function: Callable[[int, str], float] = Bare.function
same: Algorithm[[int], Coroutine[Any, Any, str]] = OnTheLoop
Bare("1")  # error
Bare(1, c=2)  # error
Limited(1)  # error
Limited(1, ctx=None)  # error
algorithm(timeout="60")  # error

@preload  # error
def wants(path: str) -> None: ...

async def use(client: Client, other: AsyncClient, error: ApiError) -> None:
    assert_type(client.submit("Bare", {"a": 1}, priority=3), Job)
    assert_type(await other.wait("id", timeout=1), Job)
    assert_type([job async for job in other.jobs(status="failed")], list[Job])
    assert_type(error.retry_after, float | None)
    client.submit("Bare", priority="high")  # error
    client.submit("Bare", colour="blue")  # error
    client.submit_many([{"params": {}}])  # error
    client.get("id").status = "failed"  # error
"""


@pytest.mark.slow
def test_a_decorated_function_keeps_its_signature(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(SOURCE)
    mypy = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "typed.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    wrong = {int(line.split(":")[1]) for line in mypy.stdout.splitlines() if ": error:" in line}
    meant = {at for at, line in enumerate(SOURCE.splitlines(), 1) if line.endswith("# error")}
    assert wrong == meant, mypy.stdout + mypy.stderr
