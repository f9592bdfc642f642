"""By which request a job came: the request's id, and the W3C trace context that was sent with it.

Both travel in the job's payload, beside arq's own keys, to the worker and into the job's process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_REQUEST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@~-]{0,127}")
_PARENT_CHARS: Final = 55
_KEYS: Final = ("rq", "tp")  # in a payload


@dataclass(frozen=True, slots=True)
class Trace:
    """Either is "" where nobody told it."""

    request_id: str = ""
    parent: str = ""

    @classmethod
    def of(cls, call: Mapping[str, Any]) -> Trace:
        """From a payload, whoever wrote it."""
        request_id, parent = (call.get(key) for key in _KEYS)
        sane = isinstance(request_id, str) and _REQUEST.fullmatch(request_id)
        return cls(request_id if sane else "", traceparent(parent))  # type: ignore[arg-type]

    def as_stored(self) -> dict[str, str]:
        """The keys of a payload."""
        return {key: value for key, value in zip(_KEYS, (self.request_id, self.parent), strict=True) if value}

    def as_logged(self) -> dict[str, str]:
        """The fields of a line in a log."""
        told = {"request_id": self.request_id, "trace_id": self.parent[3:35]}
        return {name: value for name, value in told.items() if value}


NO_TRACE: Final = Trace()


def traceparent(value: object) -> str:
    """A `traceparent` as version 00 has it; "" for one that is none (W3C Trace Context, 3.2)."""
    if not isinstance(value, str) or not _PARENT.fullmatch(value):
        return ""
    if value.startswith("00") and len(value) != _PARENT_CHARS:
        return ""
    return "00" + value[2:_PARENT_CHARS]
