"""The page that a worker shares with a job's process, from both ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from slotwise.context import MESSAGE_BYTES
from tests.facts import wait_until
from worker.page import Page, Pages


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page.new()
    yield page
    page.close()


def test_the_latest_is_read_and_read_once(page: Page) -> None:
    body = Page(page.descriptor)
    assert page.read() is None
    body.write(1, b"one")
    body.write(2.5, "zwei Äpfel".encode())
    assert page.read() == (2.5, "zwei Äpfel")
    assert page.read() is None
    body.write(0, b"")
    assert page.read() == (0.0, "")


def test_a_long_message_is_cut_between_characters(page: Page) -> None:
    page.write(1, ("x" + "ä" * MESSAGE_BYTES).encode())
    assert page.read() == (1.0, "x" + "ä" * (MESSAGE_BYTES // 2 - 1))


def test_a_cancel_is_seen_by_the_body(page: Page) -> None:
    body = Page(page.descriptor)
    assert not body.cancelled
    page.cancel()
    assert body.cancelled


def test_nobody_takes_its_memory_away(page: Page) -> None:
    """A read past the end of a file is a SIGBUS: the worker's, not the body's who cut it short."""
    for size in (0, 1 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(page.descriptor, size)
    assert page.read() is None


def test_the_next_job_finds_it_clear() -> None:
    pages = Pages()
    page = pages.take()
    page.write(99, b"secret")
    page.cancel()
    pages.give_back(page)
    again = pages.take()
    assert again is page
    assert (again.cancelled, again.read(), bytes(again._memory)) == (False, None, bytes(4096))
    pages.give_back(again)
    pages.close()


def test_a_body_killed_while_it_writes_leaves_something_whole(page: Page) -> None:
    child = os.fork()
    if child == 0:
        percent = 0
        while True:
            percent = (percent + 1) % 101
            page.write(percent, b"%d" % percent * 300)
    wait_until(page.read, what="it writes")
    seen: list[tuple[float, str]] = []

    def see() -> bool:
        seen.extend(filter(None, (page.read() for _ in range(100))))
        return len(seen) > 200

    wait_until(see, what="much that was written while it was read")
    assert all(message == f"{percent:.0f}" * 300 for percent, message in seen)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    last = page.read()
    assert last is None or last[1] == f"{last[0]:.0f}" * 300
