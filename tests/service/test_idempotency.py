"""What an idempotency key becomes: ids must not change from one release to the next."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from service.idempotency import identity
from service.submission import job_request

REST = {"algorithm": "Rest", "params": {"seconds": 1}}
KEY = Headers({"Idempotency-Key": "order 17"})


def test_a_key_is_the_same_id_for_ever() -> None:
    job_id, fingerprint = identity(KEY, job_request(REST))
    assert job_id == "02bb9540d38ec356dd183d9442df778d"
    assert fingerprint == "81ab2b83fe26b5dbcca409e07021ed2980431b5649397a86150c0f8ffb66291f"


def test_without_a_key_each_job_has_its_own_id() -> None:
    made = {identity(Headers(), job_request(REST)) for _ in range(10)}
    assert len(made) == 10
    assert {fingerprint for _, fingerprint in made} == {""}


@pytest.mark.parametrize(
    "same",
    [
        {"params": {"seconds": 1}, "algorithm": "Rest"},
        REST | {"priority": 0, "labels": {}, "timeout": None},
        REST | {"memory_mb": None, "cpu_seconds": None},
    ],
)
def test_order_and_defaults_make_no_difference(same: dict[str, object]) -> None:
    assert identity(KEY, job_request(same)) == identity(KEY, job_request(REST))


@pytest.mark.parametrize(
    "other",
    [{"params": {"seconds": 1.0}}, {"params": {"seconds": "1"}}, {"delay": 1}, {"timeout": 1}, {"memory_mb": 64}],
)
def test_every_other_request_differs(other: dict[str, object]) -> None:
    same_id, fingerprint = identity(KEY, job_request(REST | other))
    assert same_id == identity(KEY, job_request(REST))[0]
    assert fingerprint != identity(KEY, job_request(REST))[1]
