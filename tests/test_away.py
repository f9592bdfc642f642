"""What a server that cannot serve right now says, and what callers hear."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest
import redis

from slotwise.errors import SlotwiseError
from slotwise.store import Store
from tests.facts import wait_until
from tests.servers import Server


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ResponseError as error:
        return str(error).startswith("BUSY")
    return False


async def test_a_server_that_runs_somebodys_endless_script_is_away(own_server: Server) -> None:
    client = own_server.client
    client.config_set("busy-reply-threshold", "50")
    store = await Store.connect(own_server.url)
    other = redis.Redis.from_url(own_server.url, socket_timeout=60)

    def endless() -> None:
        with suppress(redis.ResponseError):  # it is killed below
            other.eval("while true do end", 0)

    script = threading.Thread(target=endless)
    script.start()
    wait_until(lambda: _is_busy(client), what="the server says that it is busy")
    for read in (store.slots, store.catalogue):  # a script, and a pipeline
        with pytest.raises(SlotwiseError) as caught:
            await read()
        assert caught.value.code == "store-unavailable"
    client.script_kill()
    script.join()
    assert (await store.slots()).running == 0
    await store.close()
    other.close()
