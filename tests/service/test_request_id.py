"""`X-Request-Id`: taken when it is sane, else made, and on every answer."""

from __future__ import annotations

import re

import pytest
from httpx2 import AsyncClient


@pytest.mark.parametrize("told", ["r", "4f9c-22", "a" * 128, "req:1/2@host+x=y~z_."])
async def test_a_sane_one_is_taken(client: AsyncClient, told: str) -> None:
    for path in ("/healthz", "/nowhere", "/jobs/unknown", "/jobs"):
        answer = await client.get(path, headers={"X-Request-Id": told})
        assert answer.headers.get_list("X-Request-Id") == [told]


@pytest.mark.parametrize(
    "told", [None, b"", b" ", b"a b", b"a" * 129, b"<script>", "é".encode(), b"a\tb", b"-x", b'x"y']
)
async def test_any_other_is_replaced(client: AsyncClient, told: bytes | None) -> None:
    answer = await client.get("/nowhere", headers={} if told is None else {b"X-Request-Id": told})
    [made] = answer.headers.get_list("X-Request-Id")
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert answer.json()["request_id"] == made


async def test_each_request_has_its_own(client: AsyncClient) -> None:
    made = {(await client.get("/healthz")).headers["X-Request-Id"] for _ in range(10)}
    assert len(made) == 10
