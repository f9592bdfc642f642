"""What a listing of jobs can be narrowed by: the query parameters of `GET /jobs`."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict


class Filters(TypedDict, total=False):
    """`label`: "key:value". `limit`: jobs in a page. `include`: "params,result", which are left out otherwise."""

    status: str
    algorithm: str
    label: str
    error_type: str
    created_after: datetime | str
    created_before: datetime | str
    min_running_seconds: float
    limit: int
    include: str
