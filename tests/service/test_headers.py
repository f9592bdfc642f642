"""What every answer says to browsers and caches."""

from __future__ import annotations

import pytest
from httpx2 import AsyncClient

from service.headers import ALWAYS


@pytest.mark.parametrize("path", ["/healthz", "/jobs", "/jobs/none", "/nowhere", "/metrics", "/openapi.json"])
async def test_every_answer_has_them(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)
    for name, value in ALWAYS:
        assert answer.headers.get_list(name.decode()) == [value.decode()], name


async def test_what_an_answer_says_itself_stands(client: AsyncClient) -> None:
    answer = await client.get("/docs")
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.headers.get_list("Cache-Control") == ["no-cache"]
