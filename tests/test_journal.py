"""The log of every process: one JSON object a line, which names jobs and requests, and holds nothing of theirs."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from slotwise.journal import FIELDS, Lines
from slotwise.trace import Trace, traceparent
from tests.fleet import Fleet, Process, ended, submit
from tests.service.raw import ask

CANARY = "ca9a4y"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


def lines(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.said().splitlines()]


@pytest.mark.slow
def test_logs_tell_of_jobs_and_hold_no_secret(fleet: Fleet) -> None:
    fleet.redis.acl_setuser(
        "looked-at", enabled=True, passwords=[f"+{CANARY}"], keys="*", channels="*", commands=["+@all"]
    )
    try:
        fleet.settings["REDIS_URL"] = fleet.url.replace("//", f"//looked-at:{CANARY}@")
        fleet.settings["LOG_LEVEL"] = "DEBUG"
        worker = fleet.worker()
        front = fleet.front()
        process = fleet.processes[-1]
        headers = {"X-Request-Id": "req-1", "traceparent": PARENT, "Authorization": CANARY, "Cookie": CANARY}
        made = front.post("/jobs", json={"algorithm": "Traced", "params": {"text": CANARY}}, headers=headers)
        assert ended(front, made.json()["job_id"])["result"] == ["req-1", PARENT, PARENT, CANARY]
        for name in ("Raises", "RaisesOn", "Echo"):
            params = {"value": CANARY} if name == "Echo" else {"message": CANARY}
            ended(front, submit(front, name, **params))
        front.post("/jobs", json={"algorithm": CANARY, "params": {}})
        front.post("/jobs", json={"algorithm": "Echo", "params": {CANARY: 1}, "labels": {"a": CANARY}})
        front.post("/jobs", content=b'{"' + CANARY.encode(), headers={"Content-Type": "application/json"})
        front.get(f"/jobs?label={CANARY}:{CANARY}", headers={"Idempotency-Key": CANARY})
        address = (str(front.base_url.host), int(front.base_url.port or 0))
        ask(address, f"GET /{CANARY} HTTP/1.1\r\nHost: {CANARY} {CANARY}\r\n\r\n".encode())
        fleet.redis.hset("slotwise:arq:queue:catalogue", "Bad", CANARY)
        fleet.redis.set("arq:job:odd", CANARY)
        fleet.redis.zadd(fleet.keys.queue, {"odd": 1})
        ended(front, "odd")
        fleet.close()
    finally:
        fleet.redis.acl_deluser("looked-at")
    for each in (worker, process):
        assert CANARY not in each.said()
    started = [line for line in lines(worker) if line.get("function") == "Traced"]
    assert [line["message"] for line in started] == ["started", "completed"]
    for line in started:
        assert (line["job_id"], line["request_id"], line["trace_id"]) == (made.json()["job_id"], "req-1", TRACE_ID)
    assert any(line["message"] == "submitted" and line["request_id"] == "req-1" for line in lines(process))
    assert [line["error"] for line in lines(worker) if line["message"] == "failed"][:2] == [
        "exception",
        "ValueError",
    ]


def test_a_line_is_one_line_whatever_is_logged() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 1, "a\r\nb\x1b[31m\x00\x7f\x85\u2028%s", ("\n",), None)
    setattr(record, FIELDS, {"job_id": "\n{}\x1b"})
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    line = Lines().format(record)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["job_id"] == "\n{}\x1b"
    assert json.loads(line)["error"] == "ValueError"
    assert CANARY not in line


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (PARENT, PARENT),
        (f"01{PARENT[2:]}", PARENT),
        (f"01{PARENT[2:]}-more", PARENT),
        (f"{PARENT}-more", ""),
        (f"ff{PARENT[2:]}", ""),
        (PARENT.upper(), ""),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", ""),
        (f"00-{TRACE_ID}-{'0' * 16}-01", ""),
        (PARENT[:-1], ""),
        (PARENT + "\n", ""),
        ("", ""),
        (None, ""),
        (7, ""),
    ],
)
def test_a_trace_context_is_checked(told: object, kept: str) -> None:
    assert traceparent(told) == kept


def test_a_payload_of_anybody_is_read() -> None:
    assert Trace.of({"rq": "a", "tp": PARENT}) == Trace("a", PARENT)
    assert Trace.of({"rq": "a\nb", "tp": [1]}) == Trace.of({"rq": {}, "tp": "x"}) == Trace.of({})
