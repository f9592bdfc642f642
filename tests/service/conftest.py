"""A front end over a real server, with a catalogue and a stand-in for a worker; every answer is held against the
description of the service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import Field
from redis import Redis

from service.app import create_app
from slotwise import Algorithm, algorithm
from slotwise.settings import Settings
from slotwise.store import Store
from tests.service.contract import contract
from tests.service.stand_in import StandInWorker

Connect = Callable[..., AbstractAsyncContextManager[AsyncClient]]


def check_prime(
    number: Annotated[int, Field(json_schema_extra={"x-max-digits": 1_000})]
    | Annotated[str, Field(pattern=r"^-?[0-9]{1,1000}$")],
) -> dict[str, Any]:
    """Tell whether a number is prime."""
    raise NotImplementedError


def rest(seconds: Annotated[float, Field(ge=0, le=3_600)] = 1.0) -> None:
    """Do nothing for a while."""


PRIME = Algorithm(check_prime, "PrimeChecker", example={"number": 97})
REST = algorithm(name="Rest", timeout=30, max_attempts=3, memory_mb=512)(rest)


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """Settings of a test: defaults, whatever the environment says, and what is given."""

    def make(**values: Any) -> Settings:
        return Settings(_env_file=None, **values)

    return make


@pytest.fixture
def connect(redis_url: str, settings: Callable[..., Settings]) -> Connect:
    """Start a front end with these settings, on the test's server or another, and give a client of it."""

    @asynccontextmanager
    async def front_end(url: str = redis_url, **values: Any) -> AsyncIterator[AsyncClient]:
        app = create_app(settings(**values), url)
        async with (
            app.router.lifespan_context(app),
            AsyncClient(
                transport=ASGITransport(app=app),
                base_url="http://localhost",
                event_hooks={"response": [contract().check]},
            ) as client,
        ):
            yield client

    return front_end


@pytest.fixture
async def catalogue(store: Store) -> None:
    await store.publish([PRIME.describe(), REST.describe()])


@pytest.fixture
async def client(connect: Connect, catalogue: None) -> AsyncIterator[AsyncClient]:
    async with connect() as client:
        yield client


@pytest.fixture
async def worker(store: Store, redis_url: str, catalogue: None) -> AsyncIterator[StandInWorker]:
    redis = Redis.from_url(redis_url)
    worker = StandInWorker(store, redis)
    worker.enlist(["PrimeChecker", "Rest"])
    yield worker
    worker.leave()
    redis.close()
