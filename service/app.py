"""The application: its routes, and what lives as long as it does."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from service import (
    advice,
    batch,
    bulk,
    catalogue,
    docs,
    events,
    explain,
    failures,
    fleet_events,
    health,
    jobs,
    listing,
    logs,
    metrics,
    page,
    proof,
    slots,
    stats,
    webhooks,
    workers,
)
from service.broadcast import Broadcast
from service.door import Door
from service.front import Front
from service.headers import Headers
from service.listening import Listening
from service.openapi import Description, openapi
from service.operation import Operation, Path
from service.paths import RawPath
from service.pieces import Pieces
from service.problems import Unforeseen, on_http_exception, on_slotwise_error
from service.request_id import RequestId
from service.waiting import Waiting
from slotwise import spans
from slotwise.apikeys import ApiKeys
from slotwise.errors import SlotwiseError
from slotwise.intake import Intake
from slotwise.lease import Observer
from slotwise.news import end_task
from slotwise.settings import Settings
from slotwise.steering import Steering
from slotwise.store import Store

log = logging.getLogger(__name__)

FORGOTTEN_SECONDS: Final = 5.0  # between looks whether a server that came back empty needs the cap
RETRY_SECONDS: Final = 1.0


def create_app(settings: Settings, url: str) -> Starlette:
    """The front end over the store at `url`. It starts, and answers 503, while the store is away."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with front(settings, url) as app.state.front:
            yield

    app = Starlette(
        routes=_routes(),
        middleware=[Middleware(each) for each in (Pieces, Headers, RequestId, Unforeseen, RawPath)],
        exception_handlers={SlotwiseError: on_slotwise_error, HTTPException: on_http_exception},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.description = Description(app.routes)
    return app


@asynccontextmanager
async def front(settings: Settings, url: str) -> AsyncIterator[Front]:
    """What the endpoints share, with the observer of leases running beside it."""
    store = await Store.connect(url)
    exported = await asyncio.to_thread(spans.opened, "slotwise-front-end")
    steering = Steering(store.redis, store.keys)
    observer = Observer(url, keep_seconds=settings.keep_results)
    observer.start()
    configuring = asyncio.create_task(_configure(store, settings), name="configure")
    try:
        async with store.ended() as ended:
            intake = Intake(store, max_pending=settings.max_pending_jobs)
            yield Front(
                settings,
                store,
                intake,
                catalogue.Catalogue(store),
                Waiting(ended),
                Listening(store),
                Broadcast(store.moves()),
                steering,
                Door(ApiKeys(store.redis, store.keys), settings),
                exported,
            )
            await intake.close()
    finally:
        await end_task(configuring)
        await asyncio.to_thread(observer.stop)
        await store.close()
        await asyncio.to_thread(exported.close)


async def _configure(store: Store, settings: Settings) -> None:
    """Tell the store the cap that was set, as soon as it can be told, and again should it have forgotten."""
    by = f"service on {socket.gethostname()}"
    told = away = False
    while settings.told("max_concurrent_jobs"):
        try:
            await store.configure(settings.max_concurrent_jobs, by=by, restore=told)
        except SlotwiseError as error:
            if not away:
                log.warning("%s (answering 503 meanwhile)", error.message)
            away = True
            await asyncio.sleep(RETRY_SECONDS)
        else:
            told, away = True, False
            await asyncio.sleep(FORGOTTEN_SECONDS)


def _routes() -> list[Path]:
    return [
        _route("GET", "/jobs", listing.listing, POST=jobs.submit),
        _route("POST", "/jobs/cancel", bulk.cancel),
        _route("POST", "/jobs/retry", bulk.retry),
        _route("POST", "/jobs/batch", batch.submit),
        _route("GET", "/jobs/concurrency", slots.read, PUT=slots.resize, DELETE=slots.clear),
        _route("GET", "/jobs/concurrency/status", slots.status),
        _route("GET", "/jobs/concurrency/proof", proof.proof),
        _route("GET", "/jobs/concurrency/audit", slots.audit),
        _route("GET", "/jobs/concurrency/advice", advice.advice),
        _route(
            "PUT", "/jobs/concurrency/algorithms/{name:name}", slots.resize_algorithm, DELETE=slots.clear_algorithm
        ),
        _route("GET", "/jobs/{job_id:job_id}", jobs.read, DELETE=jobs.erase),
        _route("POST", "/jobs/{job_id:job_id}/cancel", jobs.cancel),
        _route("GET", "/jobs/{job_id:job_id}/events", events.events),
        _route("GET", "/jobs/{job_id:job_id}/explain", explain.explain),
        _route("GET", "/jobs/{job_id:job_id}/logs", logs.logs),
        _route("GET", "/jobs/{job_id:job_id}/result", jobs.result),
        _route("POST", "/jobs/{job_id:job_id}/retry", jobs.retry),
        _route("GET", "/jobs/{job_id:job_id}/webhooks", webhooks.attempts),
        _route("POST", "/jobs/{job_id:job_id}/webhooks/redeliver", webhooks.redeliver),
        _route("GET", "/events", fleet_events.events),
        _route("GET", "/failures", failures.failures),
        _route("GET", "/workers", workers.listing),
        _route("POST", "/workers/{name:name}/drain", workers.drain),
        _route("POST", "/workers/{name:name}/resume", workers.resume),
        _route("GET", "/algorithms", catalogue.listing),
        _route("GET", "/algorithms/{name:name}", catalogue.one),
        _route("GET", "/stats", stats.stats),
        _route("GET", "/openapi.json", openapi),
        _route("GET", "/docs", docs.page),
        _route("GET", "/docs/docs.js", docs.script),
        _route("GET", "/docs/docs.css", docs.style),
        _route("GET", "/", page.page),
        _route("GET", "/page/{file:name}.js", page.script),
        _route("GET", "/page/{file:name}.css", page.style),
        _route("GET", "/page/{file:name}.svg", page.icon),
        _route("GET", "/metrics", metrics.metrics),
        _route("GET", "/healthz", health.healthz),
        _route("GET", "/readyz", health.readyz),
    ]


def _route(method: str, path: str, operation: Operation, **others: Operation) -> Path:
    """A path and what it does by its methods; one route, so that a 405 names them all."""
    return Path(path, {method: operation, **others})
