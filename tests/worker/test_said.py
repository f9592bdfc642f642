"""What real jobs say, as it is seen from outside while they run and afterwards; and what they used."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from slotwise.keys import RECORD, SAID
from tests.facts import wait_until
from tests.fleet import Fleet, ended, job, submit

pytestmark = pytest.mark.slow

KEPT = 65_536


@pytest.fixture
def talk(fleet: Fleet) -> Fleet:
    fleet.settings["ALGORITHMS"] = "tests.talkers"
    return fleet


def logs(client: httpx2.Client, job_id: str, **query: Any) -> str:
    answer = client.get(f"/jobs/{job_id}/logs", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    return answer.text


def test_what_jobs_say(talk: Fleet) -> None:
    front = talk.front()
    worker = talk.worker()

    said = submit(front, "SayAll")
    assert ended(front, said)["result"] == said
    assert logs(front, said).split("\n") == [
        "printed",
        "on stderr",
        "INFO talkers: logged",
        "below",
        "below on stderr",
        "odd \ufffd",
        "lone \\ud800",
        "said n=1",
        "said from anywhere",
        "unfinished",
    ]
    assert logs(front, said, tail=2) == "said from anywhere\nunfinished"

    end = talk.directory / "end"
    names = [submit(front, "SayAsync", name=name, until=str(end)) for name in ("one", "two")]
    wait_until(lambda: job(front, names[0])["progress"] == 25, what="progress while it runs")
    end.touch()
    found = [ended(front, each) for each in names]
    assert [(each["progress"], each["message"], each["usage"]) for each in found] == [(50.5, "", None)] * 2
    for each, name in zip(names, ("one", "two"), strict=True):
        assert (
            logs(front, each)
            == f"INFO talkers: logged {name}\nWARNING talkers: warned {name}\nsaid {name}\nprinted {name}\n"
        )
    assert "warned one" in worker.said(), "the worker's own log is as before"

    quiet = submit(front, "Advance", steps=0)
    assert ended(front, quiet)["progress"] is None
    assert (logs(front, quiet), talk.redis.exists(SAID + quiet)) == ("", 0)
    assert talk.redis.hexists(RECORD + quiet, "said") is False

    closed = ended(front, submit(front, "CloseAll"))
    assert (closed["status"], closed["progress"]) == ("completed", 10)
    assert logs(front, closed["job_id"]) == "still heard\n"

    bad = ended(front, submit(front, "BadPercent"))["error"]
    assert (bad["type"], bad["message"][:10]) == ("exception", "ValueError")


def test_progress_live_and_to_the_last(talk: Fleet) -> None:
    front = talk.front()
    talk.worker()
    running = submit(front, "Advance", steps=100_000, hold=1.0)
    wait_until(lambda: job(front, running)["progress"] == 100, what="all its progress while it still runs")
    found = job(front, running)
    assert (found["status"], found["message"]) == ("running", "step 100000")
    assert found["heartbeat_at"] >= found["started_at"]
    (row,) = front.get("/jobs/concurrency").json()["jobs"]
    assert (row["job_id"], row["algorithm"], row["worker"]) == (running, "Advance", found["worker"])
    assert row["heartbeat_seconds"] <= row["running_seconds"] < 60
    assert front.get(f"/jobs/{running}/explain").json()["heartbeat_at"] is not None
    assert ended(front, running)["heartbeat_at"] is None
    assert talk.redis.xlen(SAID + running) == 1, "the latest only"
    killed = ended(front, submit(front, "Advance", steps=3, die=True))
    assert (killed["error"]["type"], killed["progress"], killed["message"]) == ("crashed", 100, "step 3")


def test_a_flood_harms_neither_worker_nor_server(talk: Fleet) -> None:
    front = talk.front()
    worker = talk.worker()
    flood = submit(front, "Flood", mb=1_000)
    wait_until(lambda: talk.redis.exists(SAID + flood), what="its first output")
    beside = ended(front, submit(front, "SayAll"))
    assert beside["status"] == "completed"
    assert ended(front, flood, within=120)["status"] == "completed"
    text = logs(front, flood)
    first, _, rest = text.partition("\n")
    assert first == f"[{1_000_000_000 + len('the end') + 1 - len(rest)} bytes before this are not kept]"
    assert KEPT <= len(rest) < KEPT + 8_192
    assert rest.endswith("x\nthe end\n")
    assert talk.redis.memory_usage(SAID + flood) < 2 * KEPT
    assert worker.alive


def test_a_body_sees_that_it_is_cancelled(talk: Fleet) -> None:
    front = talk.front()
    talk.worker()
    job_id = submit(front, "HeedCancel")
    wait_until(lambda: logs(front, job_id) == "waiting\n", what="its log while it runs")
    assert front.post(f"/jobs/{job_id}/cancel").status_code == 202
    assert ended(front, job_id)["status"] == "cancelled"
    assert logs(front, job_id) == "waiting\n"


def test_what_was_used_is_told(talk: Fleet) -> None:
    front = talk.front()
    talk.worker()
    for algorithm in ("UseUp", "UseUpBelow"):
        found = ended(front, submit(front, algorithm, cpu_seconds=0.3, mb=200))
        assert found["status"] == "completed", found
        assert 0.25 < found["usage"]["cpu_seconds"] < 3
        assert 120 < found["usage"]["peak_memory_mb"] < 300
        (attempt,) = front.get(f"/jobs/{found['job_id']}/explain").json()["attempts"]
        assert attempt["usage"] == found["usage"]
    left = ended(front, submit(front, "LeaveBehind", cpu_seconds=0.5))
    assert 0.5 <= left["usage"]["cpu_seconds"] < 3


def test_nothing_is_kept_where_nothing_is_to_be(talk: Fleet) -> None:
    front = talk.front()
    talk.worker(MAX_LOG_BYTES="0")
    said = submit(front, "SayAll")
    assert ended(front, said)["status"] == "completed"
    assert logs(front, said) == ""
    progress = ended(front, submit(front, "Advance", steps=2))
    assert progress["progress"] == 100
