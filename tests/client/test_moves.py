"""What takes more than one request, answered by hand: when it is sent again, batches, pages, the stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest

from slotwise.client import moves, requests
from slotwise.client.moves import Give, NoAnswer, Open, Pause, Perseverance, Read, Run, Script, Send
from slotwise.client.problems import (
    Answer,
    ApiError,
    InvalidRequest,
    JobNotFound,
    PayloadTooLarge,
    QueueFull,
    StoreUnavailable,
    TooManyListeners,
    UnexpectedAnswer,
    Unreachable,
)
from slotwise.client.requests import Request

THRICE = Perseverance(3)
JOB = {"job_id": "a", "status": "pending"}
Reply = Answer | NoAnswer
LOST = NoAnswer("reset")


def ok(value: object, status: int = 200) -> Answer:
    return Answer(status, {}, json.dumps(value).encode())


def problem(slug: str, status: int, retry_after: str = "", **more: Any) -> Answer:
    body = {"type": f"/problems/{slug}", "status": status, "detail": "no", "request_id": "r", **more}
    headers = {"content-type": "application/problem+json"}
    return Answer(
        status, headers | ({"retry-after": retry_after} if retry_after else {}), json.dumps(body).encode()
    )


REFUSALS: list[Reply] = [LOST, problem("store-unavailable", 503, "1"), problem("queue-full", 429, "2")]


def carried_out(script: Script[Any], answer: Callable[[Request], Reply]) -> tuple[Any, list[Any]]:
    """The script's result (an ApiError that it raised, too), and all that it gave or waited."""
    seen: list[Any] = []
    try:
        run = Run(script)
        while run.effect is not None:
            effect, outcome = run.effect, None
            if isinstance(effect, Send):
                outcome = answer(effect.request)
            elif isinstance(effect, Give):
                seen.append(effect.item)
            elif isinstance(effect, Pause):
                seen.append(effect.seconds)
            run.tell(outcome)
    except ApiError as error:
        return error, seen
    return run.result, seen


def in_turn(*replies: Reply) -> tuple[Callable[[Request], Reply], list[Request]]:
    left, sent = list(replies), list[Request]()

    def answer(request: Request) -> Reply:
        sent.append(request)
        return left.pop(0)

    return answer, sent


@pytest.mark.parametrize("reply", REFUSALS)
def test_a_submit_is_sent_again_under_one_key(reply: Reply) -> None:
    answer, sent = in_turn(reply, reply, ok(JOB, 202))
    job, waits = carried_out(moves.submit({"algorithm": "Add"}, None, None, THRICE), answer)
    assert (job.job_id, len(waits), len(sent)) == ("a", 2, 3)
    assert len({request.headers["Idempotency-Key"] for request in sent}) == 1
    if isinstance(reply, Answer):
        assert waits == [float(reply.headers["retry-after"])] * 2
    other, again = in_turn(ok(JOB, 202))
    carried_out(moves.submit({"algorithm": "Add"}, None, None, THRICE), other)
    assert again[0].headers["Idempotency-Key"] != sent[0].headers["Idempotency-Key"]


@pytest.mark.parametrize(
    ("replies", "raised"),
    [
        ([LOST] * 4, Unreachable),
        ([problem("store-unavailable", 503, "1")] * 4, StoreUnavailable),
        ([problem("store-unavailable", 503)], StoreUnavailable),  # nobody says when
        ([problem("queue-full", 429, "3600")], QueueFull),  # too long
        ([problem("job-not-found", 404)], JobNotFound),
    ],
)
def test_a_read_gives_up(replies: list[Reply], raised: type[ApiError]) -> None:
    answer, sent = in_turn(*replies)
    error, _ = carried_out(moves.ask(requests.get("a"), THRICE), answer)
    assert (type(error), len(sent)) == (raised, len(replies))


@pytest.mark.parametrize(
    "call",
    [
        requests.cancel("a"),
        requests.retry("a"),
        requests.erase("a"),
        requests.steer_worker("w", "drain"),
        requests.changed(requests.set_concurrency(1, None, None, None)),
        requests.changed(requests.clear_concurrency(None)),
    ],
)
@pytest.mark.parametrize("reply", REFUSALS)
def test_what_is_not_idempotent_is_sent_once(call: requests.Call[Any], reply: Reply) -> None:
    answer, sent = in_turn(reply)
    error, waits = carried_out(moves.ask(call, THRICE), answer)
    assert isinstance(error, ApiError)
    assert (len(sent), waits) == (1, [])


@pytest.mark.parametrize("reply", REFUSALS)
def test_a_batch_is_sent_again_under_one_key(reply: Reply) -> None:
    answer, sent = in_turn(*[reply] * 4)
    error, _ = carried_out(moves.submit_many([{"algorithm": "Add"}], None, THRICE), answer)
    assert (isinstance(error, ApiError), len(sent)) == (True, 4)
    assert len({request.headers["Idempotency-Key"] for request in sent}) == 1


def batch_of(request: Request) -> list[dict[str, Any]]:
    assert (request.method, request.path, request.headers["Content-Type"]) == (
        "POST",
        "/jobs/batch",
        "application/json",
    )
    jobs: list[dict[str, Any]] = json.loads(request.body or b"")["jobs"]
    return jobs


def taken(jobs: list[dict[str, Any]]) -> Answer:
    return ok({"jobs": [{"job_id": str(job["params"]["n"]), "status": "pending"} for job in jobs]}, 202)


def numbered(count: int, **more: Any) -> Iterator[dict[str, Any]]:
    return ({"algorithm": "Add", "params": {"n": n, **more}} for n in range(count))


def test_many_jobs_go_in_batches_and_in_order() -> None:
    sizes, keys = list[int](), list[str]()

    def answer(request: Request) -> Answer:
        jobs = batch_of(request)
        sizes.append(len(jobs))
        keys.append(request.headers["Idempotency-Key"])
        return taken(jobs)

    jobs, _ = carried_out(moves.submit_many(numbered(250), "key", THRICE), answer)
    assert (sizes, [job.job_id for job in jobs]) == ([100, 100, 50], [str(n) for n in range(250)])
    assert keys == ["key:0", "key:100", "key:200"], "the same again, when it is called again"
    sizes.clear()
    jobs, _ = carried_out(moves.submit_many(numbered(5, text="x" * 90_000), "key", THRICE), answer)
    assert (sizes, len(jobs)) == ([2, 2, 1], 5)
    assert carried_out(moves.submit_many([], "key", THRICE), answer) == ([], [])


def test_a_long_key_has_room_for_the_number_of_a_batch() -> None:
    keys = list[str]()

    def answer(request: Request) -> Answer:
        keys.append(request.headers["Idempotency-Key"])
        return taken(batch_of(request))

    for last in "ab":
        carried_out(moves.submit_many(numbered(150), "k" * 252 + last, THRICE), answer)
    assert keys[0] == "k" * 252 + "a:0"
    assert (len(set(keys)), all(len(key) <= 255 for key in keys)) == (4, True)


def test_a_batch_that_is_too_large_goes_in_halves() -> None:
    def answer(request: Request) -> Answer:
        jobs = batch_of(request)
        if len(jobs) > 30 or any(job["params"]["n"] == 80 for job in jobs):
            return problem("payload-too-large", 413)
        return taken(jobs)

    error, _ = carried_out(moves.submit_many(numbered(100), "key", THRICE), answer)
    assert isinstance(error, PayloadTooLarge)
    assert [job.job_id for job in error.submitted] == [str(n) for n in range(80)]


def test_what_stops_many_says_where_and_what_is_done() -> None:
    def answer(request: Request) -> Answer:
        jobs = batch_of(request)
        rows = [{"pointer": "#/jobs/17/params/n", "detail": "must be an integer"}, {"pointer": "#", "detail": "x"}]
        return problem("invalid-request", 422, errors=rows) if jobs[0]["params"]["n"] else taken(jobs)

    error, _ = carried_out(moves.submit_many(numbered(150), "key", THRICE), answer)
    assert isinstance(error, InvalidRequest)
    assert [row["pointer"] for row in error.errors] == ["#/jobs/117/params/n", "#"]
    assert [job.job_id for job in error.submitted] == [str(n) for n in range(100)]


def test_pages_are_asked_for_as_they_are_needed() -> None:
    pages = {
        None: {
            "jobs": [{"job_id": "1", "status": "failed"}, {"job_id": "2", "status": "failed"}],
            "next_cursor": "c",
        },
        "c": {"jobs": [{"job_id": "3", "status": "failed"}], "next_cursor": None},
    }
    asked: list[dict[str, str]] = []

    def answer(request: Request) -> Answer:
        asked.append(dict(request.query))
        return ok(pages[asked[-1].get("cursor")])

    _, jobs = carried_out(
        moves.jobs({"status": "failed", "min_running_seconds": 1e-5, "label": None}, THRICE), answer
    )
    assert [job.job_id for job in jobs] == ["1", "2", "3"]
    query = {"status": "failed", "min_running_seconds": "0.000010"}
    assert asked == [query, query | {"cursor": "c"}]


@pytest.mark.parametrize("name", [".", "..", "cancel", "a/.."])
def test_a_name_is_one_part_of_a_path(name: str) -> None:
    with httpx2.Client(base_url="http://slotwise") as client:
        for request, parts in (
            (requests.set_concurrency(1, None, None, name), 5),
            (requests.clear_concurrency(name), 5),
            (requests.steer_worker(name, "drain").request, 4),
            (requests.cancel(name).request, 4),
        ):
            sent = client.build_request(request.method, request.path).url.raw_path.split(b"/")
            assert len(sent) == parts, "another path"
            assert unquote(sent[4 if parts == 5 else 2].decode()) == name


def test_a_wait_ends_by_itself() -> None:
    answer, sent = in_turn(ok(JOB), ok(JOB | {"status": "completed"}))
    job, waits = carried_out(moves.wait("a", None, THRICE), answer)
    assert (job.ended, waits) == (True, [moves.AGAIN_SECONDS])
    assert [request.headers["Prefer"] for request in sent] == ["wait=30"] * 2
    assert sent[0].wait_seconds == 30
    with pytest.raises(TimeoutError, match="job a has not ended within 0 s: it is pending"):
        carried_out(moves.wait("a", 0, THRICE), in_turn(ok(JOB))[0])


def event(name: str, number: int) -> bytes:
    return b'id: %d\nevent: %b\ndata: {"n":%d}\n\n' % (number, name.encode(), number)


STREAM = Answer(200)


def listened(*outcomes: object, patience: float = 60) -> tuple[Any, list[int], list[str]]:
    """How the stream ended, the numbers of the events, and the Last-Event-ID of each connection."""
    left, numbers, asked = list(outcomes), [], []
    try:
        run = Run(moves.events("a", "", patience))
        while run.effect is not None:
            effect, outcome = run.effect, None
            if isinstance(effect, Open):
                asked.append(effect.request.headers.get("Last-Event-ID", ""))
            if isinstance(effect, Open | Read):
                outcome = left.pop(0)
            if isinstance(effect, Give):
                numbers.append(effect.item.data["n"])
            run.tell(outcome)
    except ApiError as error:
        return error, numbers, asked
    return None, numbers, asked


def test_a_stream_goes_on_where_it_broke() -> None:
    ended = listened(
        *(STREAM, event("log", 1) + event("log", 2)[:-1], LOST),  # half of the second is no event
        *(STREAM, event("log", 2), b""),  # a front end that stops
        LOST,
        problem("store-unavailable", 503, "1"),
        *(STREAM, b": ping\n\n", event("end", 3)),
    )
    assert ended == (None, [1, 2, 3], ["", "1", "2", "2", "2"])
    assert listened(STREAM, event("log", 1), LOST, Answer(204)) == (None, [1], ["", "1"])


def test_a_stream_of_all_is_typed_and_has_no_end() -> None:
    slots = (
        b'{"max_concurrent":2,"available_slots":1,"running_jobs":1,"pending_jobs":0,"at":"2030-01-01T00:00:00Z"}'
    )
    left: list[object] = [
        STREAM,
        b"event: reset\ndata: {}\n\nid: 1-1\nevent: slots\ndata: " + slots + b"\n\n",
        b"",
    ]
    left += [STREAM, b'id: 1-2.1\nevent: job\ndata: {"job_id":"a"}\n\n']
    run, given, asked = Run(moves.events(None, "0-1", 60)), [], []
    with pytest.raises(UnexpectedAnswer, match="JobMove"):
        while run.effect is not None:
            effect = run.effect
            if isinstance(effect, Open):
                asked.append((effect.request.path, effect.request.headers["Last-Event-ID"]))
            if isinstance(effect, Give):
                given.append(effect.item)
            run.tell(left.pop(0) if isinstance(effect, Open | Read) else None)
    assert asked == [("/events", "0-1"), ("/events", "1-1")]
    assert [(event.name, event.job) for event in given] == [("reset", None), ("slots", None)]
    assert (given[0].slots, given[1].slots.available_slots) == (None, 1)


def test_a_stream_that_will_not_come() -> None:
    error, numbers, _ = listened(STREAM, event("log", 1), LOST, problem("job-not-found", 404))
    assert (type(error), numbers) == (JobNotFound, [1])
    error, _, asked = listened(LOST, patience=-1)
    assert (type(error), asked) == (Unreachable, [""])
    error, _, _ = listened(problem("too-many-listeners", 503, "5"), patience=-1)
    assert type(error.__cause__) is TooManyListeners


def test_the_callers_own_time_with_an_event_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(moves.time, "monotonic", lambda: now[0])
    run, left = Run(moves.events("a", "", 60)), [STREAM, event("log", 1), LOST]
    while left:
        now[0] += 100 * isinstance(run.effect, Give)
        run.tell(left.pop(0) if isinstance(run.effect, Open | Read) else None)
    assert isinstance(run.effect, Pause), "it connects again"


def test_waits_grow_and_are_bounded() -> None:
    assert all(0.05 <= moves.backoff(1) <= 0.1 for _ in range(50))
    assert all(2.5 <= moves.backoff(tried) <= 5 for tried in (9, 10_000))
