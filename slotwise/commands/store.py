"""The store as a command asks it, without the service."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from slotwise.errors import SlotwiseError

if TYPE_CHECKING:
    from slotwise.settings import Settings
    from slotwise.store import Store

T = TypeVar("T")


async def asked(settings: Settings, ask: Callable[[Store], Awaitable[T]]) -> T:
    """What a store answers that is opened for this one question."""
    from slotwise.embedded import redis_url  # noqa: PLC0415 - as in slotwise.cli
    from slotwise.store import Store  # noqa: PLC0415

    url = redis_url(settings)
    store = await Store.connect(url, timeout_seconds=5)
    try:
        return await ask(store)
    except SlotwiseError as error:
        if error.code != "store-unavailable":
            raise
        why = str(error.__cause__ or error)
        raise SlotwiseError(error.code, f"no answer from {without_password(url)}: {why}") from error
    finally:
        await store.close()


def without_password(value: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", value)
