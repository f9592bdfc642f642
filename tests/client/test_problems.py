"""Each problem type of the service is a class of the SDK, and says what the service said."""

from __future__ import annotations

import pytest

from service.problems import TABLE
from slotwise.client import problems
from slotwise.client.problems import Answer, ApiError

# of the contract, though no endpoint answers with them yet or only some deployments do
MORE = {"unauthorized", "forbidden", "result-not-ready", "job-failed", "count-differs", "rate-limited"}
BODY = (
    b'{"type":"/problems/%b","title":"T","status":422,"detail":"Do this.","instance":"/jobs","request_id":"r1",'
    b'"errors":[{"pointer":"#/x","detail":"is required"}]}'
)
PROBLEM = {"content-type": "application/problem+json"}


@pytest.mark.parametrize("code", sorted({*TABLE} | MORE))
def test_every_type_has_its_class(code: str) -> None:
    error = ApiError.of(Answer(422, PROBLEM | {"retry-after": "7"}, BODY % code.encode()))
    assert type(error) is getattr(problems, "".join(part.capitalize() for part in code.split("-")))
    assert (error.status, error.type, error.detail, error.request_id) == (422, code, "Do this.", "r1")
    assert (error.retry_after, error.errors) == (7.0, [{"pointer": "#/x", "detail": "is required"}])
    assert str(error) == f"{code}: Do this.; #/x: is required"


def test_a_type_of_a_later_service() -> None:
    error = ApiError.of(Answer(418, PROBLEM, BODY % b"teapot"))
    assert (type(error), error.type) == (ApiError, "teapot")


@pytest.mark.parametrize(
    ("headers", "body"), [({}, b"<h1>Bad Gateway</h1>"), (PROBLEM, b"{"), (PROBLEM, b"[]"), (PROBLEM, b"\xff")]
)
def test_an_answer_of_somebody_else(headers: dict[str, str], body: bytes) -> None:
    error = ApiError.of(Answer(502, headers | {"retry-after": "Sun, 22 Nov 2026 08:00:00 GMT"}, body))
    assert (type(error), error.status, error.retry_after) == (problems.UnexpectedAnswer, 502, None)
