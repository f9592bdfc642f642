"""What an operator may ask of a cap: the body of `PUT /jobs/concurrency`, and of an algorithm's own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from service.problems import invalid, rows_of
from service.submission import YEAR_SECONDS
from slotwise.job import MOST_SLOTS

MAX_REASON_CHARS = 500


class Resize(BaseModel):
    """Another cap, for `ttl` seconds or until it is cleared."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    max_concurrent: int = Field(ge=0, le=MOST_SLOTS)
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON_CHARS)] | None = None
    ttl: float | None = Field(None, gt=0, le=YEAR_SECONDS)

    @property
    def ttl_ms(self) -> int | None:
        return None if self.ttl is None else max(1, round(self.ttl * 1000))


def resize_request(body: dict[str, Any]) -> Resize:
    """The body, checked. Raises: SlotwiseError `invalid-request`."""
    try:
        return Resize.model_validate(body)
    except ValidationError as error:
        raise invalid("The cap is not valid.", rows_of(error, "is not a field of a cap")) from None
