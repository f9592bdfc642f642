"""What the `arq` command loads: `arq worker.settings.WorkerSettings`.

Importing this module puts our Worker in the place of arq's (the one module that does): a stock arq project
gets it with `import worker.settings` as the first line of its own settings module.
"""

from __future__ import annotations

import inspect
import socket
from typing import Any, Final

import arq
import arq.version
import arq.worker
from arq.connections import RedisSettings

from slotwise import embedded, wire
from slotwise.endpoint import Endpoint
from slotwise.errors import SlotwiseError, exit_with
from slotwise.keys import Keys
from slotwise.settings import load_or_exit
from worker import registry
from worker.loop import Worker

ARQ: Final = "0.28."


def _register() -> None:
    if arq.worker.Worker is Worker:
        return
    if not arq.version.VERSION.startswith(ARQ):
        raise SystemExit(f"slotwise: needs arq {ARQ}x, and arq {arq.version.VERSION} is installed")
    Worker.__signature__ = _signature()  # type: ignore[attr-defined]
    arq.worker.Worker = Worker  # type: ignore[misc]
    arq.Worker = Worker  # type: ignore[misc]
    if arq.worker.create_worker.__globals__["Worker"] is not Worker:
        raise SystemExit("slotwise: this arq builds its worker in a way that slotwise does not know")


def _signature() -> inspect.Signature:
    """Ours over arq's: arq reads a settings class by the names of the constructor's parameters."""
    stock = inspect.signature(arq.worker.Worker)
    ours = inspect.signature(Worker.__init__).parameters
    merged = [ours.get(name, parameter) for name, parameter in stock.parameters.items()]
    return stock.replace(parameters=[*merged, ours["settings"], ours["modules"]])


def _redis_settings(url: str) -> RedisSettings:
    """As arq takes them; its own parser keeps a password's percent signs, and knows no sentinels."""
    at = Endpoint.of(url)
    return RedisSettings(
        host=list(at.sentinels) or at.host,
        port=at.port,
        unix_socket_path=at.path,
        database=at.db,
        username=at.username,
        password=at.password,
        ssl=at.tls is not None,
        sentinel=bool(at.sentinels),
        sentinel_master=at.master,
        **(at.tls or {}),
    )


def _worker_settings() -> type:
    """arq's settings class, made from ours. Ends the program with one line where something is wrong."""
    settings = load_or_exit()
    try:
        redis_settings = _redis_settings(embedded.redis_url(settings))
        algorithms = registry.load(settings.algorithms)
    except SlotwiseError as error:
        exit_with(error)
    redis_settings.conn_retries = 1_000_000  # a worker waits for its server; whoever started it may stop it
    options: dict[str, Any] = {
        "functions": list(algorithms.values()),
        "redis_settings": redis_settings,
        "settings": settings,
        "modules": settings.algorithms,
        "max_jobs": settings.worker_slots,
        "job_timeout": settings.job_timeout,
        "keep_result": settings.keep_results,
        "job_completion_wait": settings.drain_seconds,
        "health_check_interval": settings.lease_seconds,
        "health_check_key": Keys().sign_of(socket.gethostname()) if settings.check_by_host else None,
        "allow_abort_jobs": True,
        "job_serializer": wire.serialize,
        "job_deserializer": wire.deserialize,
        "log_results": False,
    }
    return type("WorkerSettings", (), options)


def __getattr__(name: str) -> Any:
    if name == "WorkerSettings":  # made when it is asked for: a stock project has settings of its own
        settings = globals()["WorkerSettings"] = _worker_settings()
        return settings
    raise AttributeError(name)


_register()
