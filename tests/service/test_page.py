"""What is served for the dashboard: whole by itself, and held to that by its policy. What it does: tests/page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from service import page
from tests.service.test_docs import Links

OURS = sorted(path.name for path in page.OURS.iterdir())
SCRIPTS = [name for name in OURS if name.endswith(".js")]
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|dangerously")
ELSEWHERE = re.compile(r"https?:|[\"'(]//[a-z]|@import|url\(")


@pytest.fixture
def unfetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A checkout where nobody has run scripts/browser.sh."""
    monkeypatch.setattr(page, "FETCHED", tmp_path)
    page._found.cache_clear()
    yield
    page._found.cache_clear()


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """One where somebody has."""
    for name in page.NEEDED:
        (tmp_path / name).write_text("/* fetched */")
    monkeypatch.setattr(page, "FETCHED", tmp_path)
    page._found.cache_clear()
    yield
    page._found.cache_clear()


@pytest.mark.usefixtures("fetched")
async def test_every_file_is_sent_with_a_policy(client: AsyncClient) -> None:
    for path in ["/", *(f"/page/{name}" for name in [*OURS, *page.NEEDED] if not name.endswith(".html"))]:
        answer = await client.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';") and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "*" not in policy and ":" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.usefixtures("fetched")
async def test_the_page_refers_only_to_what_is_served_here(client: AsyncClient) -> None:
    links = Links()
    links.feed((await client.get("/")).text)
    assert links.inline == []
    for target in links.targets:
        assert (await client.get("/" + target)).status_code == 200, target
    preloaded = {target.removeprefix("page/") for target in links.targets}
    assert {*SCRIPTS, "preact.js"} <= preloaded, "a module that is found late delays the first paint"
    assert "uplot.js" not in preloaded, "and so does a large one that is not needed for it"


@pytest.mark.parametrize("name", [name for name in OURS if not name.endswith(".svg")])
def test_names_no_other_place_and_makes_no_markup(name: str) -> None:
    text = (page.OURS / name).read_text()
    assert not ELSEWHERE.search(text)
    assert not MARKUP.search(text)


@pytest.mark.usefixtures("unfetched")
async def test_without_its_libraries_it_says_so(client: AsyncClient) -> None:
    answer = await client.get("/")
    assert answer.status_code == 200
    assert "scripts/browser.sh" in answer.text
    assert (await client.get("/page/page.css")).status_code == 200
    assert (await client.get("/page/preact.js")).status_code == 404
    assert (await client.get("/jobs/concurrency/status")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/page/nothing.js", "/page/..%2Fdocs.js", "/page/index.html", "/page/%2e%2e%2fpage.css"]
)
async def test_no_other_file_is_sent(client: AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")
