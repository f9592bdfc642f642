"""Mutated requests, over bare sockets, against a front end that runs by its real command."""

from __future__ import annotations

import random
import re
import secrets
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from tests.fleet import Fleet, Process
from tests.service.contract import contract
from tests.service.mutations import Mutations, Sent
from tests.service.wire import exchange

AT_ONCE = 16  # on one connection
WARM = 3_000  # requests, after which memory is what it is going to be
GROWTH_MB = 12
OF_NO_REQUEST = {f"/problems/{code}" for code in ("malformed-request", "payload-too-large", "headers-too-large")}
WHOLE = 10  # answers that look alike of which the body is checked too


@pytest.mark.slow
async def test_ten_thousand_mutated_requests(fleet: Fleet, catalogue: None) -> None:
    fuzz(fleet, 10_000, seed=1)  # the same in each run: CI fails for a change, not for a draw of luck


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_mutated_requests(fleet: Fleet, catalogue: None) -> None:
    fuzz(fleet, 100_000, seed=secrets.randbelow(2**32))


def fuzz(fleet: Fleet, most: int, *, seed: int) -> None:
    """Every answer is one that the description has; the process lives, logs no failure and does not grow."""
    print(f"seed {seed}")
    front = fleet.front()
    process = fleet.processes[-1]
    mutations = Mutations(front.get("/openapi.json").json(), names(front), seed)
    address = (str(front.base_url.host), int(front.base_url.port or 0))
    statuses: Counter[int] = Counter()
    alike: Counter[tuple[str, int, int, int]] = Counter()
    sizes = random.Random(seed)
    warm = 0.0
    while statuses.total() < most:
        for request, answer in exchange(address, batch(mutations, sizes.randrange(1, AT_ONCE))):
            statuses[answer.status_code] += 1
            kind = (request.method, request.path.count("/"), answer.status_code, len(answer.content).bit_length())
            alike[kind] += 1
            whole = alike[kind] <= WHOLE
            assert not (told := faults(request, answer, whole=whole)), (
                f"seed {seed}: {told}: {request.encoded()[:2_000]!r}"
            )
        if not warm and statuses.total() >= WARM:
            warm = resident_mb(process)
    print(dict(sorted(statuses.items())))
    assert statuses[200] and statuses[202] and statuses[400] and statuses[415] and statuses[422]
    assert process.alive
    fleet.redis.flushall()  # nobody runs the jobs that were accepted
    assert front.get("/readyz").status_code == 200
    assert "Traceback" not in process.said()
    grown = resident_mb(process) - warm
    print(f"{warm:.1f} MB, grown by {grown:.1f}")
    assert grown < GROWTH_MB, f"seed {seed}"


def names(front: httpx2.Client) -> dict[str, list[str]]:
    """What may stand in a path: jobs that wait, one that has ended, algorithms, and what nobody knows."""
    made = [front.post("/jobs", json={"algorithm": "Rest"}).json()["job_id"] for _ in range(3)]
    assert front.post(f"/jobs/{made[0]}/cancel").status_code == 200
    return {"job_id": [*made, "unknown"], "name": ["PrimeChecker", "Rest", "unknown"]}


def batch(mutations: Mutations, most: int) -> list[Sent]:
    """As many as one connection can carry: what breaks HTTP, or is answered with a stream, stands last."""
    sent: list[Sent] = []
    while len(sent) < most:
        sent.append(mutations.next())
        if sent[-1].broken or sent[-1].path.endswith("/events"):
            break
    return sent


def faults(request: Sent, answer: httpx2.Response, *, whole: bool) -> list[str]:
    """What is wrong with an answer."""
    if answer.status_code >= 500:
        return [f"{answer.status_code} {answer.text}"]
    if request.method != "HEAD" and answer.status_code >= 400 and answer.json()["type"] in OF_NO_REQUEST:
        return []  # to what is no HTTP as we read it
    if request.broken or request.method == "HEAD":
        return []  # it was not read as it was meant, or is answered without a body
    return list(contract().faults(request.method, request.path, answer, whole=whole))


def resident_mb(process: Process) -> float:
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024
