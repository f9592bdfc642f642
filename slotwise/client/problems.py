"""What can go wrong with a request, as exceptions: one class for each problem type of the service (RFC 9457).

A class's name is its type: `QueueFull` is `/problems/queue-full`. A type that no class has is an `ApiError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from pydantic_core import from_json

_BOUNDARY: Final = re.compile("(?<=[a-z])(?=[A-Z])")
SHOWN_CHARS: Final = 200  # of an answer that is not the service's
HTTP_TOO_MANY, HTTP_AWAY = 429, 503


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, its body read."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # found in any case
    body: bytes = b""


class ApiError(Exception):
    """A request that the service did not carry out, or that did not reach it.

    `status`: HTTP's, None without an answer. `type`: the problem's last part, as `queue-full`. `detail` says
    what to do. `errors`: rows {"pointer", "detail"} of a request that is not valid. `retry_after`: seconds, where
    trying again later is the cure. `submitted`: the jobs that a `submit_many` had submitted before.
    """

    _classes: ClassVar[dict[str, type[ApiError]]] = {}

    def __init_subclass__(cls) -> None:
        ApiError._classes[_BOUNDARY.sub("-", cls.__name__).lower()] = cls

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        type: str | None = None,
        errors: list[dict[str, str]] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.type = type or _BOUNDARY.sub("-", self.__class__.__name__).lower()
        self.errors = errors or []
        self.request_id = request_id
        self.retry_after = retry_after
        self.submitted: tuple[Any, ...] = ()

    def __str__(self) -> str:
        rows = "".join(f"; {row.get('pointer')}: {row.get('detail')}" for row in self.errors)
        return f"{self.type}: {self.detail}{rows}"

    @classmethod
    def of(cls, answer: Answer) -> ApiError:
        """The error that an answer with status 400 or more stands for."""
        problem = _problem(answer)
        if problem is None:
            text = answer.body[:SHOWN_CHARS].decode("utf-8", "replace")
            detail = f"status {answer.status} from something that is not the service: {text}"
            return UnexpectedAnswer(detail, status=answer.status, retry_after=_seconds(answer))
        slug = str(problem.get("type", "")).rpartition("/")[2]
        rows = problem.get("errors")
        request_id = problem.get("request_id")
        return cls._classes.get(slug, ApiError)(
            str(problem.get("detail") or problem.get("title") or "no reason was given"),
            status=answer.status,
            type=slug or "about:blank",
            errors=rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None,
            request_id=None if request_id is None else str(request_id),
            retry_after=_seconds(answer),
        )


def _problem(answer: Answer) -> dict[str, Any] | None:
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        problem = from_json(answer.body)
    except ValueError:
        return None
    return problem if isinstance(problem, dict) else None


def _seconds(answer: Answer) -> float | None:
    """`Retry-After` in seconds; its other form, a date, is not followed."""
    told = answer.headers.get("retry-after", "")
    return float(told) if re.fullmatch("[0-9]{1,9}", told) else None


class Unreachable(ApiError):
    """No answer came: no connection, a broken one, or none in time."""


class UnexpectedAnswer(ApiError):
    """What answered does not speak as the service does: another server, or a proxy between."""


class InvalidJson(ApiError):
    """400: the body is not JSON."""


class InvalidRequest(ApiError):
    """422: `errors` says what is wrong, and where."""


class Unauthorized(ApiError):
    """401: the API key is missing or unknown."""


class Forbidden(ApiError):
    """403: the API key does not allow this."""


class CrossSite(ApiError):
    """403: a browser sent this for a page of another site."""


class NotFound(ApiError):
    """404: nothing is at this path."""


class JobNotFound(NotFound):
    """404: nobody knows the job, or it ended and was not kept any longer."""


class AlgorithmNotFound(NotFound):
    """404: no worker has published the algorithm."""


class WorkerNotFound(NotFound):
    """404: no live worker has the name."""


class WebhookNotFound(NotFound):
    """404: the job has no webhook, or nothing is left to tell it."""


class ResultNotReady(NotFound):
    """404: the job has not ended."""


class MethodNotAllowed(ApiError):
    """405."""


class NotAcceptable(ApiError):
    """406: this is not to be had in the form that was asked for."""


class JobFailed(ApiError):
    """409: the job ended without a result."""


class AlreadyFinished(ApiError):
    """409: the job has ended."""


class StillActive(ApiError):
    """409: the job has not ended."""


class NotKept(ApiError):
    """409: what the job was called with is not kept any longer."""


class CountDiffers(ApiError):
    """409: other jobs match than were expected."""


class PayloadTooLarge(ApiError):
    """413."""


class UnsupportedMediaType(ApiError):
    """415."""


class MisdirectedRequest(ApiError):
    """421: without API keys the service answers to its own names only (`ALLOWED_HOSTS`)."""


class IdempotencyKeyReused(ApiError):
    """422: the idempotency key belongs to another request."""


class QueueFull(ApiError):
    """429: as many jobs wait as may."""


class RateLimited(ApiError):
    """429: too many requests."""


class StoreUnavailable(ApiError):
    """503: the service cannot reach its store."""


class StoreDamaged(ApiError):
    """503: something in the store is not what the service put there."""


class MalformedRequest(ApiError):
    """400: what came is no HTTP request."""


class RequestTimeout(ApiError):
    """408: the request took too long to come."""


class HeadersTooLarge(ApiError):
    """431."""


class TooManyConnections(ApiError):
    """503: the front end has as many connections as it takes, in all or from this address."""


class TooManyListeners(ApiError):
    """503: the front end has as many open streams as it takes."""


class Internal(ApiError):
    """500: the service's log has the details, under `request_id`."""
