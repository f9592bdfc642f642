"""The fields of `POST /jobs`: what each takes, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from service.submission import job_request
from slotwise.errors import SlotwiseError
from slotwise.job import Submission
from slotwise.limits import Limits
from slotwise.settings import Settings

NOW_MS = 1_700_000_000_000  # 2023-11-14T22:13:20Z


DECLARED = {"executor": "process", "timeout": None, "max_attempts": 3}


SETTINGS = Settings(_env_file=None, job_timeout=120)
MAXIMA = Settings(_env_file=None, job_timeout=120, max_timeout=60, max_memory_mb=512, max_file_mb=8)


def submission(declared: Mapping[str, Any] = DECLARED, settings: Settings = SETTINGS, **fields: Any) -> Submission:
    asked = job_request({"algorithm": "Rest"} | fields)
    return asked.submission("id", "print", now_ms=NOW_MS, declared=declared, settings=settings)


def test_what_is_left_out_takes_its_default() -> None:
    assert submission() == Submission("id", "Rest", {}, timeout=120, max_attempts=3, fingerprint="print")


def test_every_field_arrives() -> None:
    made = submission(
        params={"seconds": 1}, priority=2, timeout=5, max_attempts=3, keep_result=60, delay=1.5, labels={"a": "b"}
    )
    assert made == Submission(
        "id",
        "Rest",
        {"seconds": 1},
        due_ms=NOW_MS + 1_500,
        priority=2,
        head_start_ms=120_000,
        timeout=5.0,
        max_attempts=3,
        keep_result=60.0,
        labels={"a": "b"},
        fingerprint="print",
    )


@pytest.mark.parametrize(
    ("run_at", "due_ms"),
    [
        ("2023-11-14T22:13:21Z", NOW_MS + 1_000),
        ("2023-11-14t22:13:21z", NOW_MS + 1_000),
        ("2023-11-14T22:13:21.5+00:00", NOW_MS + 1_500),
        ("2023-11-15T00:13:21.123456789+02:00", NOW_MS + 1_123),
        ("9999-12-31T23:59:59-23:59", 253_402_387_139_000),
        ("2023-11-14T22:13:20Z", None),
        ("1969-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        (None, None),
    ],
)
def test_run_at_is_an_instant_and_a_past_one_means_now(run_at: str | None, due_ms: int | None) -> None:
    assert submission(run_at=run_at).due_ms == due_ms


def test_no_delay_means_now() -> None:
    assert submission(delay=0).due_ms is None


NULLABLE = [
    "timeout",
    "memory_mb",
    "cpu_seconds",
    "open_files",
    "file_mb",
    "max_attempts",
    "run_at",
    "delay",
    "keep_result",
]


@pytest.mark.parametrize("name", NULLABLE)
def test_null_is_as_good_as_left_out(name: str) -> None:
    assert submission(**{name: None}) == submission()


BOUNDED = DECLARED | {"memory_mb": 256, "cpu_seconds": 1.5}


@pytest.mark.parametrize(
    ("declared", "asked", "limits"),
    [
        (DECLARED, {}, Limits()),
        (DECLARED, {"memory_mb": 64, "cpu_seconds": 9}, Limits(64, 9)),  # nothing declared, nothing to widen
        (BOUNDED, {}, Limits(256, 1.5)),
        (BOUNDED, {"memory_mb": 256, "cpu_seconds": 1.5}, Limits(256, 1.5)),
        (BOUNDED, {"memory_mb": 255}, Limits(255, 1.5)),
        (BOUNDED, {"open_files": 64, "file_mb": 1}, Limits(256, 1.5, 64, 1)),
        (BOUNDED, {"cpu_seconds": 0.5}, Limits(256, 0.5)),
    ],
)
def test_a_request_tightens_what_is_declared(
    declared: Mapping[str, Any], asked: dict[str, Any], limits: Limits
) -> None:
    assert submission(declared, **asked).limits == limits


def test_the_service_has_the_last_word() -> None:
    """Over what an algorithm declares as well, and where neither says anything."""
    assert submission(DECLARED, MAXIMA).limits == Limits(memory_mb=512, file_mb=8)
    assert submission(DECLARED, MAXIMA).timeout == 60
    wide = DECLARED | {"memory_mb": 4096, "timeout": 600, "file_mb": 2}
    assert submission(wide, MAXIMA).limits == Limits(memory_mb=512, file_mb=2)
    assert submission(wide, MAXIMA).timeout == 60
    assert submission(DECLARED | {"executor": "loop"}, MAXIMA).limits == Limits()
    for asked, told in [({"memory_mb": 600}, "512"), ({"timeout": 61}, "60.0"), ({"file_mb": 9}, "8")]:
        with pytest.raises(SlotwiseError) as raised:
            submission(wide | {"file_mb": None}, MAXIMA, **asked)
        [row] = raised.value.errors
        assert row["detail"] == f"must be at most {told}, the maximum of this service"


@pytest.mark.parametrize(
    ("declared", "asked", "rows"),
    [
        (
            DECLARED | {"timeout": 30},
            {"timeout": 30.5},
            {"#/timeout": "at most 30, the maximum"},
        ),
        (DECLARED | {"open_files": 64}, {"open_files": 65}, {"#/open_files": "64, the maximum"}),
        (BOUNDED, {"memory_mb": 257}, {"#/memory_mb": "256, the maximum that Rest declares"}),
        (
            BOUNDED,
            {"memory_mb": 300, "cpu_seconds": 1.6},
            {"#/memory_mb": "256, the maximum", "#/cpu_seconds": "at most 1.5, the maximum"},
        ),
        (DECLARED | {"executor": "loop"}, {"memory_mb": 64}, {"#/memory_mb": "only a process of its own"}),
        (DECLARED | {"executor": "thread"}, {"cpu_seconds": 64}, {"#/cpu_seconds": "only a process of its own"}),
    ],
)
def test_limits_that_a_request_cannot_have(
    declared: Mapping[str, Any], asked: dict[str, Any], rows: dict[str, str]
) -> None:
    with pytest.raises(SlotwiseError) as raised:
        submission(declared, **asked)
    assert [row["pointer"] for row in raised.value.errors] == list(rows)
    assert all(text in row["detail"] for row, text in zip(raised.value.errors, rows.values(), strict=True))


GOOD: list[tuple[str, Any]] = [
    ("priority", 0),
    ("priority", 9),
    ("timeout", 0.001),
    ("timeout", 31_536_000),
    ("memory_mb", 16),
    ("memory_mb", 1 << 30),
    ("cpu_seconds", 0.001),
    ("cpu_seconds", 3_153_600_000),
    ("open_files", 16),
    ("open_files", 1 << 20),
    ("file_mb", 1),
    ("max_attempts", 1),
    ("max_attempts", 100),
    ("delay", 3_153_600_000),
    ("keep_result", 1),
    ("labels", {}),
    ("labels", {"k" * 64: "v" * 256}),
    ("labels", {str(n): "" for n in range(32)}),
    ("labels", {"zero": "\0"}),
    ("params", {"": None}),
]


@pytest.mark.parametrize(("name", "value"), GOOD, ids=lambda each: repr(each)[:40])
def test_takes(name: str, value: Any) -> None:
    job_request({"algorithm": "Rest", name: value})


BAD: list[tuple[str, Any, str]] = [
    ("algorithm", None, "#/algorithm"),
    ("algorithm", 7, "#/algorithm"),
    ("algorithm", ["Rest"], "#/algorithm"),
    ("params", None, "#/params"),
    ("params", [], "#/params"),
    ("params", "{}", "#/params"),
    ("priority", -1, "#/priority"),
    ("priority", 10, "#/priority"),
    ("priority", 1.0, "#/priority"),
    ("priority", "1", "#/priority"),
    ("priority", True, "#/priority"),
    ("priority", None, "#/priority"),
    ("timeout", 0, "#/timeout"),
    ("timeout", -1, "#/timeout"),
    ("timeout", 31_536_001, "#/timeout"),
    ("timeout", 10**400, "#/timeout"),
    ("timeout", "5", "#/timeout"),
    ("timeout", True, "#/timeout"),
    ("max_attempts", 0, "#/max_attempts"),
    ("max_attempts", 101, "#/max_attempts"),
    ("max_attempts", 2.0, "#/max_attempts"),
    ("delay", -0.1, "#/delay"),
    ("delay", 1e300, "#/delay"),
    ("delay", "1", "#/delay"),
    ("keep_result", 0, "#/keep_result"),
    ("keep_result", 31_536_001, "#/keep_result"),
    ("run_at", "2030-01-31T12:00:00", "#/run_at"),
    ("run_at", "2030-01-31 12:00:00Z", "#/run_at"),
    ("run_at", "2030-01-31T12:00Z", "#/run_at"),
    ("run_at", "2030-01-31", "#/run_at"),
    ("run_at", "2030-02-30T12:00:00Z", "#/run_at"),
    ("run_at", "2030-01-31T24:00:01Z", "#/run_at"),
    ("run_at", "2030-01-31T12:00:60Z", "#/run_at"),
    ("run_at", "2030-01-31T12:00:00+24:00", "#/run_at"),
    ("run_at", "0000-01-01T00:00:00Z", "#/run_at"),
    ("run_at", "٢٠٣٠-01-31T12:00:00Z", "#/run_at"),
    ("run_at", "tomorrow", "#/run_at"),
    ("run_at", 1_900_000_000, "#/run_at"),
    ("labels", None, "#/labels"),
    ("labels", ["a"], "#/labels"),
    ("labels", {"a": 1}, "#/labels/a"),
    ("labels", {"a": None}, "#/labels/a"),
    ("labels", {"": "a"}, "#/labels/"),
    ("labels", {"k" * 65: "v"}, "#/labels/" + "k" * 65),
    ("labels", {"a": "v" * 257}, "#/labels/a"),
    ("labels", {str(n): "" for n in range(33)}, "#/labels"),
    ("webhook", "", "#/webhook"),
    ("webhook", 1, "#/webhook"),
    ("webhook", "http://h/" + "a" * 2048, "#/webhook"),
    ("webhook_events", ["job.completed"], "#/webhook_events"),
    ("expires_in", 0, "#/expires_in"),
    ("expires_in", "5", "#/expires_in"),
    ("expires_in", -1, "#/expires_in"),
    ("memory_mb", 15, "#/memory_mb"),
    ("memory_mb", 0, "#/memory_mb"),
    ("memory_mb", 64.0, "#/memory_mb"),
    ("memory_mb", "64", "#/memory_mb"),
    ("memory_mb", True, "#/memory_mb"),
    ("memory_mb", 10**30, "#/memory_mb"),
    ("cpu_seconds", 0, "#/cpu_seconds"),
    ("cpu_seconds", -1, "#/cpu_seconds"),
    ("cpu_seconds", "5", "#/cpu_seconds"),
    ("cpu_seconds", True, "#/cpu_seconds"),
    ("cpu_seconds", 10**30, "#/cpu_seconds"),
    ("Priority", 5, "#/Priority"),
    ("job_id", "mine", "#/job_id"),
    ("", 1, "#/"),
]


@pytest.mark.parametrize(("name", "value", "pointer"), BAD, ids=lambda each: repr(each)[:40])
def test_refuses(name: str, value: Any, pointer: str) -> None:
    with pytest.raises(SlotwiseError) as raised:
        job_request({"algorithm": "Rest", name: value})
    assert raised.value.code == "invalid-request"
    assert [row["pointer"] for row in raised.value.errors] == [pointer]


def test_names_every_fault() -> None:
    with pytest.raises(SlotwiseError) as raised:
        job_request({"priority": 11, "colour": "red"})
    assert raised.value.errors == [
        {"pointer": "#/algorithm", "detail": "is required"},
        {"pointer": "#/priority", "detail": "Input should be less than or equal to 9"},
        {"pointer": "#/colour", "detail": "is not a field of a job"},
    ]


def test_run_at_and_delay_exclude_each_other() -> None:
    with pytest.raises(SlotwiseError) as raised:
        job_request({"algorithm": "Rest", "run_at": "2030-01-31T12:00:00Z", "delay": 0})
    assert [row["pointer"] for row in raised.value.errors] == ["#/delay"]


URL = "https://Hooks.example.com:443/a"


def test_a_webhook_is_told_the_ends_unless_it_asks_for_more() -> None:
    made = submission(webhook=URL)
    assert (made.webhook, made.webhook_events) == (
        "https://hooks.example.com/a",
        ("completed", "failed", "cancelled"),
    )
    made = submission(webhook=URL, webhook_events=["job.running", "job.failed", "job.running"])
    assert made.webhook_events == ("running", "failed")


@pytest.mark.parametrize("events", [[], ["completed"], ["job.pending"], "job.failed", ["job.failed"] * 6])
def test_events_that_are_none(events: Any) -> None:
    with pytest.raises(SlotwiseError) as raised:
        job_request({"algorithm": "Rest", "webhook": URL, "webhook_events": events})
    assert raised.value.errors[0]["pointer"].startswith("#/webhook_events")


@pytest.mark.parametrize(
    "url", ["ftp://h.example/", "http://127.0.0.1/", "http://169.254.169.254/", "http://localhost/"]
)
def test_a_webhook_that_may_not_be_reached(url: str) -> None:
    with pytest.raises(SlotwiseError) as raised:
        submission(webhook=url)
    assert [row["pointer"] for row in raised.value.errors] == ["#/webhook"]
    if url.startswith("http:"):
        open = Settings(_env_file=None, webhook_allow="127.0.0.0/8,169.254.169.254:80,localhost")
        assert submission(settings=open, webhook=url).webhook == url
