"""Which type of answer a request accepts (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from typing import Final

from starlette.datastructures import Headers

from slotwise.errors import SlotwiseError

_RANGE: Final = re.compile(r"\s*([^\s;,/]+/[^\s;,/]+)\s*(;.*)?", re.DOTALL)
_QUALITY: Final = re.compile(r";\s*q\s*=\s*([0-9.]+)", re.IGNORECASE)


def check(headers: Headers, media_type: str) -> None:
    """Raises: SlotwiseError `not-acceptable` where `media_type` is not among what is asked for."""
    asked = ",".join(headers.getlist("accept"))
    if not asked.strip():
        return
    ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")  # the more exact one counts
    found: dict[str, bool] = {}
    for part in asked.split(","):
        if match := _RANGE.fullmatch(part):
            quality = _QUALITY.search(match[2] or "")
            found[match[1].lower()] = quality is None or bool(quality[1].strip("0."))
    if not next((found[each] for each in ranges if each in found), False):
        raise SlotwiseError(
            "not-acceptable", f"This answers with {media_type} only: ask for it with Accept, or leave that out."
        )
