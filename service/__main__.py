"""`python -m service`: the front end as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
from contextlib import suppress
from typing import Final

import uvicorn
from starlette.applications import Starlette

from service.app import create_app
from service.connections import Connections
from service.protocol import Config
from slotwise import journal
from slotwise.bind import check_bind
from slotwise.embedded import redis_url
from slotwise.errors import SlotwiseError, exit_with
from slotwise.settings import Settings, load_or_exit

log = logging.getLogger("service")

SEND_BUFFER: Final = 262_144  # bytes that the kernel takes off us for one who does not read; its own most is 4 MiB


class Server(uvicorn.Server):
    """Uvicorn, which says where it serves, and lets nobody who waits for a job hold it up when it stops."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._app = app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for each in sockets or []:
            host, port = each.getsockname()[:2]
            log.info("running on http://%s:%d", f"[{host}]" if ":" in host else host, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.front.stop()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until a signal ends it. A fault at the start is one line on standard error and exit status 2."""
    settings = load_or_exit()
    try:
        url = redis_url(settings)
        asyncio.run(check_bind(settings, url))
        app = create_app(settings, url)
        listening = listen(settings)
    except SlotwiseError as error:
        exit_with(error)
    journal.begin(settings.log_level)
    config = Config(
        app,
        Connections.of(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        log_level=settings.log_level.lower(),
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=5,
    )
    with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
        Server(config, app).run(sockets=[listening])


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises: SlotwiseError `invalid-settings` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server((settings.host, settings.port), family=family, backlog=2_048)
        # asyncio leaves this out for sockets made here; without it an answer waits 40 ms for the client's ACK
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER // 2)  # Linux doubles it
        if user_timeout := getattr(socket, "TCP_USER_TIMEOUT", None):
            # Linux: else one that stops reading keeps what was sent to it, and its connection, for ever
            listening.setsockopt(socket.IPPROTO_TCP, user_timeout, round(settings.http_unread_seconds * 1000))
        return listening
    except OSError as error:
        raise SlotwiseError(
            "invalid-settings",
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}. "
            "Stop what uses it, or set HOST and PORT.",
        ) from error


if __name__ == "__main__":
    main()
