"""The jobs that are measured, as plain arq functions: the same code under stock arq and under Slotwise."""

from __future__ import annotations

import asyncio
import os
from typing import Any

if os.environ.get("BENCH_WORKER") == "slotwise":
    import worker.settings  # noqa: F401

from arq.connections import RedisSettings


async def rest(ctx: dict[Any, Any], seconds: float) -> None:
    await asyncio.sleep(seconds)


class WorkerSettings:
    functions = [rest]
    redis_settings = RedisSettings.from_dsn(os.environ.get("BENCH_REDIS", "redis://127.0.0.1:6379"))
    max_jobs = int(os.environ.get("BENCH_CAP", "10"))
    poll_delay = float(os.environ.get("BENCH_POLL", "0.5"))
    log_results = False
