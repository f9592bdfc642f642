"""Submits a second through `POST /jobs`, against a bare Starlette endpoint with one Redis write, in the same run.

python -m bench.submit                wrk with 32 connections for 5 s each, five alternating runs (needs wrk)

Both are one uvicorn process with the settings of the service. No worker runs: it is the front end and Redis alone.
The bare endpoint reads a JSON body, SETs it under a random key and answers 202 with the key.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from bench.stage import process, server, spread
from slotwise import Algorithm
from slotwise.store import Store
from tests.facts import wait_until
from tests.servers import Server, free_port

BARE = """
import os, uuid
import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

redis = Redis.from_url(os.environ["REDIS_URL"])

async def post(request):
    await request.json()
    key = uuid.uuid4().hex
    await redis.set(key, await request.body())
    return JSONResponse({"key": key}, 202)

async def ready(request):
    return JSONResponse({})

routes = [Route("/jobs", post, methods=["POST"]), Route("/healthz", ready)]
uvicorn.run(Starlette(routes=routes), port=int(os.environ["PORT"]), log_level="warning", access_log=False)
"""
BODY = '{"algorithm": "Prime", "params": {"number": 7}}'
WRK = f"wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = '{BODY}'\n"


def prime(number: int) -> bool:
    """What is submitted; nobody runs it."""
    return number > 1


async def publish(url: str) -> None:
    store = await Store.connect(url)
    await store.publish([Algorithm(prime, "Prime").describe()])
    await store.close()


@contextmanager
def serving(command: list[str], running: Server, files: dict[str, str] | None = None) -> Iterator[str]:
    port = free_port()
    env = {"REDIS_URL": running.url, "PORT": str(port), "MAX_PENDING_JOBS": "100000000", "LOG_LEVEL": "WARNING"}
    with process(command, env, files):
        url = f"http://127.0.0.1:{port}"

        def up() -> bool:
            try:
                return httpx2.get(f"{url}/healthz").is_success
            except httpx2.TransportError:
                return False

        wait_until(up, within=30, what="it serves")
        yield url


def rate(url: str, connections: int, seconds: int) -> float:
    """Requests a second that were answered 202. Raises: AssertionError where one was not."""
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "post.lua"
        script.write_text(WRK)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"{url}/jobs"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in told and "Socket errors" not in told, told
    found = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert found, told
    return float(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("bench.submit needs wrk: apt-get install wrk, or brew install wrk")
    ours, bare = [], []
    with server() as running:
        for _ in range(given.runs):
            running.client.flushall()
            with serving([sys.executable, "bare.py"], running, {"bare.py": BARE}) as url:
                bare.append(rate(url, given.connections, given.seconds))
            running.client.flushall()
            asyncio.run(publish(running.url))
            with serving([sys.executable, "-m", "service"], running) as url:
                ours.append(rate(url, given.connections, given.seconds))
    print(f"{os.cpu_count()} cores, {given.connections} connections, {given.runs} runs of {given.seconds} s")
    print(f"  POST /jobs       {spread(ours)} a second")
    print(f"  bare endpoint    {spread(bare)} a second")
    print(f"  share            {spread([a / b for a, b in zip(ours, bare, strict=True)])}")


if __name__ == "__main__":
    main()
