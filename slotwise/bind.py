"""Whether the front end may serve where it is told to: everybody is served only on purpose."""

from __future__ import annotations

from slotwise.apikeys import ApiKeys
from slotwise.errors import SlotwiseError
from slotwise.settings import Settings
from slotwise.store import Store


async def check_bind(settings: Settings, url: str) -> None:
    """Raises: SlotwiseError `invalid-settings`, where anybody on the network could come in.

    While the store is away nobody knows whether there are keys: the front end starts, and lets nobody in.
    """
    if settings.open_without_keys:
        return
    store = await Store.connect(url)
    try:
        made, _ = await ApiKeys(store.redis, store.keys).all()
    except SlotwiseError:
        return
    finally:
        await store.close()
    if not made:
        raise settings.no_keys()
