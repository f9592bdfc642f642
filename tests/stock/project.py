import worker.settings  # noqa: F401, I001  (the one line that moves this project to our worker)

import asyncio
import os
from typing import Any

from arq import Retry, cron, func
from arq.connections import RedisSettings

Ctx = dict[Any, Any]


async def startup(ctx: Ctx) -> None:
    ctx["greeting"] = "hello"
    await ctx["redis"].rpush("stock:hooks", "startup")
    await ctx["redis"].expire("stock:hooks", 60)


async def shutdown(ctx: Ctx) -> None:
    await ctx["redis"].rpush("stock:hooks", "shutdown")


async def job_start(ctx: Ctx) -> None:
    await ctx["redis"].rpush("stock:hooks", f"start {ctx['job_id']}")


async def job_end(ctx: Ctx) -> None:
    await ctx["redis"].rpush("stock:hooks", f"end {ctx['job_id']}")


async def greet(ctx: Ctx, name: str, *, mark: str = "!") -> str:
    return f"{ctx['greeting']} {name}{mark} (try {ctx['job_try']})"


async def flaky(ctx: Ctx) -> int:
    if ctx["job_try"] < 3:
        raise Retry(defer=0.05)
    return int(ctx["job_try"])


async def broken(ctx: Ctx) -> None:
    raise KeyError("missing")


async def long(ctx: Ctx) -> None:
    await asyncio.sleep(600)


async def parent(ctx: Ctx) -> str:
    job = await ctx["redis"].enqueue_job("greet", "child")
    return str(job.job_id)


async def tick(ctx: Ctx) -> None:
    await ctx["redis"].rpush("stock:ticks", ctx["job_id"])
    await ctx["redis"].expire("stock:ticks", 60)


class WorkerSettings:
    functions = [greet, func(flaky, name="renamed", max_tries=5), broken, long, parent]
    cron_jobs = [cron(tick, second=set(range(60)), keep_result=0)]
    on_startup = startup
    on_shutdown = shutdown
    on_job_start = job_start
    on_job_end = job_end
    allow_abort_jobs = True
    max_jobs = 4
    redis_settings = RedisSettings.from_dsn(os.environ["STOCK_REDIS"])
