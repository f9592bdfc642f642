"""A client of a job's events: parses what a stream sends, and goes on where another stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.facts import wait_until


@dataclass(frozen=True)
class Heard:
    id: str
    name: str
    data: dict[str, Any]


def parsed(lines: Iterable[str]) -> Iterator[Heard]:
    """The events of a stream, each as soon as it is whole."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:
            fields[name] = value
        elif fields:
            yield Heard(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
            fields = {}


def text_of(events: Iterable[Heard]) -> str:
    """The output that was told."""
    return "".join(event.data["text"] for event in events if event.name == "log")


def statuses(events: Iterable[Heard]) -> list[tuple[str, int]]:
    return [(event.data["status"], event.data["attempt"]) for event in events if event.name == "status"]


class Listener(threading.Thread):
    """Listens to one job ('': to all of them) at one front end until the stream ends, however it does."""

    def __init__(self, front: httpx2.Client, job_id: str, last: str = "") -> None:
        super().__init__(daemon=True)
        self._url = f"{front.base_url}/jobs/{job_id}/events" if job_id else f"{front.base_url}/events"
        self._headers = {"Last-Event-ID": last} if last else {}
        self.events: list[Heard] = []
        self.status = 0
        self.broke = False
        self.start()

    def run(self) -> None:
        try:
            with (
                httpx2.Client(timeout=60) as client,
                client.stream("GET", self._url, headers=self._headers) as answer,
            ):
                self.status = answer.status_code
                for event in parsed(answer.iter_lines()):
                    self.events.append(event)
        except httpx2.TransportError:
            self.broke = True

    def until(self, count: int) -> list[Heard]:
        """The events, when there are that many."""
        wait_until(lambda: len(self.events) >= count or not self.is_alive(), within=20, what=f"{count} events")
        assert len(self.events) >= count, self.events
        return list(self.events)

    def end(self) -> list[Heard]:
        """All events, when the stream is over."""
        self.join(30)
        assert not self.is_alive()
        return self.events
