"""GET /jobs: the jobs that fit a filter, page by page, the newest first."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any, Final, Literal, cast, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from service import query
from service.answer import Json
from service.front import Front
from service.operation import Answer, operation
from service.submission import INSTANT, YEAR_SECONDS, instant_ms
from slotwise import listing as pages
from slotwise.errors import FailureType
from slotwise.job import Job, State
from slotwise.listing import Filter, Place
from slotwise.tenant import Scope
from slotwise.view import ListedJob, job_object

Status = Literal["pending", "running", "completed", "failed", "cancelled"]

LIMIT: Final = query.Number("limit", "At most so many.", default=50, most=500)
LABEL: Final = "^[^:]{1,64}:(.|\\n){0,256}$"
_LABEL: Final = {"type": "string", "pattern": LABEL}
INCLUDED: Final = ("params", "result")
MOST_CURSOR_CHARS: Final = 4_000
_SECONDS: Final = re.compile(r"[0-9]{1,10}(\.[0-9]{1,6})?")
_PLACE: Final = re.compile(rb"(-?[0-9]{1,16}(?:\.[0-9]{1,17})?) (.*)", re.DOTALL)


def _label(value: object) -> object:
    name, colon, wanted = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not 1 <= len(name) <= 64 or len(wanted) > 256:
        raise ValueError("must be name:value, a name of 1 to 64 characters and a value of at most 256")
    return name, wanted


class JobFilter(BaseModel):
    """Which jobs: all that is given holds. The two times are exclusive; they are read into milliseconds."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    status: Status | None = None
    algorithm: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    label: Annotated[tuple[str, str], BeforeValidator(_label), WithJsonSchema(_LABEL)] | None = None
    error_type: FailureType | None = None
    created_after: Annotated[int | None, BeforeValidator(instant_ms), WithJsonSchema(INSTANT)] = None
    created_before: Annotated[int | None, BeforeValidator(instant_ms), WithJsonSchema(INSTANT)] = None
    min_running_seconds: float | None = Field(None, ge=0, le=YEAR_SECONDS)

    def wanted(self) -> Filter:
        """As the store takes it."""
        seconds = self.min_running_seconds
        return Filter(
            states=pages.ALL if self.status is None else frozenset({State(self.status)}),
            algorithm=self.algorithm,
            label=self.label,
            error_type=self.error_type,
            created_after_ms=self.created_after,
            created_before_ms=self.created_before,
            min_running_ms=None if seconds is None else round(seconds * 1000),
        )


FILTERS: Final = tuple(JobFilter.model_fields)
_TIME: Final = {"type": "string", "format": "date-time"}
QUERY: Final = (
    query.Given("status", "In this state.", {"enum": list(get_args(Status))}),
    query.Given("algorithm", "Of this algorithm.", {"type": "string", "minLength": 1, "maxLength": 200}),
    query.Given("label", "name:value, split at the first colon.", {"type": "string", "pattern": LABEL}),
    query.Given("error_type", "Failed with this type of error.", {"enum": list(get_args(FailureType))}),
    query.Given("created_after", "Made later than this.", _TIME),
    query.Given("created_before", "Made sooner than this.", _TIME),
    query.Given(
        "min_running_seconds",
        "Running for so long at least.",
        {"type": "string", "pattern": r"^[0-9]{1,7}(\.[0-9]{1,6})?$"},
    ),
    LIMIT,
    query.Given("cursor", "The `next_cursor` of the page before.", {"type": "string"}),
    query.Given(
        "include",
        "Fields that may be large.",
        {"enum": ["params", "result", "params,result", "result,params"]},
    ),
)


class JobList(TypedDict):
    """A page. It may be short, or empty: the last one has no `next_cursor`."""

    jobs: list[ListedJob]
    next_cursor: str | None


@operation(
    "list_jobs",
    "jobs",
    "List jobs, the newest first",
    scope=Scope.READ,
    query=QUERY,
    answers={200: Answer(JobList, "Those that fit all that is given.")},
)
async def listing(request: Request) -> Response:
    """GET /jobs"""
    front: Front = request.state.front
    most = LIMIT.of(request)
    wanted, after, included = _filter(request), _cursor(request), _included(request)
    page = await pages.page(front.store, wanted, most=most, after=after, whole=bool(included))
    cursor = None if page.after is None else cursor_of(page.after)
    return Json({"jobs": [_shown(job, included) for job in page.jobs], "next_cursor": cursor})


def _filter(request: Request) -> Filter:
    given: dict[str, Any] = {
        name: value for name in FILTERS if (value := request.query_params.get(name)) is not None
    }
    seconds = given.get("min_running_seconds")
    if seconds is not None:
        if not _SECONDS.fullmatch(seconds):
            raise query.wrong("min_running_seconds", "must be a number of seconds, as 60 or 0.5")
        given["min_running_seconds"] = float(seconds)
    try:
        return JobFilter.model_validate(given).wanted()
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise query.wrong(str(fault["loc"][0]), _worded(fault["msg"])) from None


def _worded(message: str) -> str:
    """pydantic's words, behind the name of a parameter."""
    message = message.removeprefix("Value error, ")
    return message if message.startswith("must") else "is not right: " + message[:1].lower() + message[1:]


def _included(request: Request) -> tuple[str, ...]:
    text = request.query_params.get("include")
    names = () if text is None else tuple(text.split(","))
    if not set(names) <= set(INCLUDED) or len(names) != len(set(names)):
        raise query.wrong("include", f"must be one or more of {','.join(INCLUDED)}, each once")
    return names


def cursor_of(place: Place) -> str:
    """Where the next page begins, for the client to give back."""
    return base64.urlsafe_b64encode(place.ms.encode() + b" " + place.id).decode().rstrip("=")


def _cursor(request: Request) -> Place | None:
    text = request.query_params.get("cursor")
    if text is None:
        return None
    place = _place(text) if len(text) <= MOST_CURSOR_CHARS else None
    if place is None:
        raise query.wrong("cursor", "must be the next_cursor of an answer")
    return place


def _place(text: str) -> Place | None:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    found = _PLACE.fullmatch(data)
    place = found and Place(found[1].decode(), found[2])
    return place if place and cursor_of(place) == text else None


def _shown(job: Job, included: tuple[str, ...]) -> ListedJob:
    """The job object; params and result, which may be large, only where they were asked for."""
    left_out = set(INCLUDED) - set(included)
    return cast(ListedJob, {name: value for name, value in job_object(job).items() if name not in left_out})
