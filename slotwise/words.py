"""What a running job says of itself, on its way from worker to store."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic_core import to_json


@dataclass(frozen=True, slots=True)
class Words:
    """What one attempt said since its last words. `number` rises within the attempt: none are taken twice."""

    id: str
    token: str
    number: int
    progress: tuple[float, str] | None  # percent, message; None: none since
    left_out: int  # bytes written before `output` that are not kept
    output: bytes

    def args(self) -> tuple[str | bytes | int, ...]:
        """In the order of say.lua."""
        return (
            self.id.encode("utf-8", "surrogateescape"),
            self.token,
            self.number,
            b"" if self.progress is None else to_json(self.progress),
            self.left_out,
            self.output,
        )
