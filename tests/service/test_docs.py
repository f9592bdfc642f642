"""The page of the description: whole by itself, and held to that by its policy."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from httpx2 import AsyncClient

from tests.service.conftest import Connect

FILES = {"/docs": "text/html", "/docs/docs.js": "text/javascript", "/docs/docs.css": "text/css"}


class Links(HTMLParser):
    """What a page refers to, and what it says inline."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.inline: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        self.targets += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and data.strip():
            self.inline.append(data)


@pytest.mark.parametrize(("path", "media_type"), FILES.items())
async def test_is_sent_with_a_policy(client: AsyncClient, path: str, media_type: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, f"{media_type}; charset=utf-8")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy and "*" not in policy and ":" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_refers_only_to_what_is_served_here(client: AsyncClient) -> None:
    links = Links()
    links.feed((await client.get("/docs")).text)
    assert links.inline == []
    assert sorted(links.targets) == ["docs/docs.css", "docs/docs.js", "openapi.json"]
    for target in links.targets:
        assert (await client.get("/" + target)).status_code == 200


@pytest.mark.parametrize("path", FILES)
async def test_names_no_other_place(client: AsyncClient, path: str) -> None:
    text = (await client.get(path)).text
    assert not re.search(r"https?:|//[a-z]|@import|url\(|import\(|^import ", text, re.MULTILINE)


async def test_makes_no_markup_of_what_it_shows(client: AsyncClient) -> None:
    script = (await client.get("/docs/docs.js")).text
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", script)


async def test_is_there_without_the_store(connect: Connect) -> None:
    async with connect("unix:///nowhere/there-is-no-server") as client:
        assert [(await client.get(path)).status_code for path in FILES] == [200, 200, 200]
