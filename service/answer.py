"""JSON answers, written so that integers of any size survive."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json
from starlette.responses import Response


class Json(Response):
    """A JSON body. NaN and infinities, which JSON cannot say, become null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content, inf_nan_mode="null")
