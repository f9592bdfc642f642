"""Who may come in: the API key of a request, held against those that were made and what the operation needs.

The keys are read from Redis once a second: a revoked one opens nothing after that. Where none was ever made,
everybody may do everything, if the settings say that only this machine, or a guard in front, can ask.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hmac import compare_digest
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request

from service.hosts import Hosts
from slotwise.apikeys import PREFIX, ApiKey, ApiKeys, digest_of
from slotwise.convoy import Convoy
from slotwise.errors import SlotwiseError
from slotwise.settings import Settings
from slotwise.tenant import Caller, Scope

MAX_AGE_SECONDS: Final = 1.0
UNKNOWN_SECONDS: Final = 0.1  # between readings for keys that nobody knows: they may have been made since
INDEX_CHARS: Final = 16  # of a digest: finds the key, which is then compared in constant time
MOST_CHARS: Final = 200


class Door:
    """What was read of the keys, and those who ask to come in."""

    def __init__(self, keys: ApiKeys, settings: Settings) -> None:
        self._keys = keys
        self._open = settings.open_without_keys
        self._hosts = Hosts(settings)
        self._made = False
        self._by_index: Mapping[str, ApiKey] = {}
        self._read_at = float("-inf")
        self._reading: Convoy[float, None] = Convoy(self._read, most=sys.maxsize, most_weight=0)

    async def admit(self, request: Request, needed: Scope, *, needs_store: bool) -> Caller:
        """Who asks. Raises: SlotwiseError `unauthorized`, `forbidden`, `misdirected-request`, `cross-site`,
        `store-unavailable`.
        """
        try:
            await self._refresh(MAX_AGE_SECONDS)
        except SlotwiseError:
            if needs_store:
                raise  # else the keys that were known last still count
        if not self._made:
            if self._open or (not needs_store and self._read_at < 0):
                self._hosts.check(request)
                return Caller()
            raise SlotwiseError("unauthorized", "No API key was made yet: `slotwise keys create` makes one.")
        key = await self._key(_given(request.headers))
        if not key.scope.covers(needed):
            raise SlotwiseError("forbidden", f"This needs an API key of scope {needed}; this one has {key.scope}.")
        return Caller(key.name, key.scope, key.digest)

    async def holds(self, caller: Caller) -> bool:
        """Whether the caller's key still opens the door; of one without a key, whether there still are none.

        While the store is away, what was known last counts: a stream is not cut for that.
        """
        with suppress(SlotwiseError):
            await self._refresh(MAX_AGE_SECONDS)
        return self._find(caller.digest) is not None if caller.digest else not self._made

    async def _key(self, given: str) -> ApiKey:
        digest = digest_of(given)
        found = self._find(digest)
        if found is None:
            with suppress(SlotwiseError):
                await self._refresh(UNKNOWN_SECONDS)
            found = self._find(digest)
        if found is None:
            raise SlotwiseError("unauthorized", "Nobody knows this API key, or it was revoked.")
        return found

    def _find(self, digest: str) -> ApiKey | None:
        key = self._by_index.get(digest[:INDEX_CHARS])
        return key if key is not None and compare_digest(key.digest, digest) else None

    async def _refresh(self, max_age_seconds: float) -> None:
        needed_since = time.monotonic() - max_age_seconds
        if self._read_at < needed_since:
            await self._reading.call(needed_since)

    async def _read(self, needed_since: Sequence[float]) -> Sequence[None]:
        if self._read_at < max(needed_since):  # else those before them have read it meanwhile
            began = time.monotonic()
            self._made, keys = await self._keys.all()
            self._by_index = {key.digest[:INDEX_CHARS]: key for key in keys if key.revoked_ms is None}
            self._read_at = began
        return [None] * len(needed_since)


def _given(headers: Headers) -> str:
    """The key that a request carries. Raises: SlotwiseError `unauthorized`."""
    values = headers.getlist("authorization")
    scheme, _, key = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer" or not key.startswith(PREFIX) or len(key) > MOST_CHARS:
        raise SlotwiseError("unauthorized", "This needs an API key, as `Authorization: Bearer slw_…`.")
    return key
