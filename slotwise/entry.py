"""An entry of the admission log, as `lua/parts/log.lua` writes it: what a step did, and what was true after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ADMIT: Final = "claim"
RELEASE: Final = frozenset({"finish", "release", "reap", "leave"})
CAP: Final = "cap"
_MOVES: Final = RELEASE | {ADMIT, CAP}

StreamId = tuple[int, int]  # ms of the server's clock, and a number within it: never falls within a stream


@dataclass(frozen=True, slots=True)
class Entry:
    """`running` and `cap` are those after the step. `until_ms`: when the override ends, and the cap reverts."""

    id: StreamId
    at_ms: int
    move: str
    ids: tuple[str, ...]
    running: int
    cap: int
    until_ms: int | None = None
    reverts_to: int | None = None

    @classmethod
    def of(cls, stream_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
        """From a stream's entry. Raises: ValueError for one that no move of ours wrote."""
        try:
            move = fields[b"move"].decode()
            until, reverts_to = fields.get(b"until"), fields.get(b"reverts_to")
            entry = cls(
                id=stream_id_of(stream_id),
                at_ms=int(fields[b"at"]),
                move=move,
                ids=_ids(fields[b"ids"]),
                running=int(fields[b"running"]),
                cap=int(fields[b"cap"]),
                until_ms=int(until) if until else None,
                reverts_to=int(reverts_to) if reverts_to else None,
            )
        except KeyError as error:
            raise ValueError(f"it has no field {error.args[0].decode()!r}") from None
        if move not in _MOVES:
            raise ValueError(f"there is no move {move!r}")
        if (move == CAP) != (not entry.ids):
            raise ValueError(f"a {move} of {len(entry.ids)} jobs")
        if min(entry.running, entry.cap) < 0 or (entry.until_ms is None) != (entry.reverts_to is None):
            raise ValueError("its numbers cannot be")
        return entry


def stream_id_of(text: bytes) -> StreamId:
    """`ms-number` as two integers, which compare as the server does. Raises: ValueError."""
    ms, _, number = text.partition(b"-")
    return int(ms), int(number)


def shown(stream_id: StreamId) -> str:
    """As the server writes it."""
    return f"{stream_id[0]}-{stream_id[1]}"


def _ids(data: bytes) -> tuple[str, ...]:
    # not wire.decode: a client may have queued an id of any bytes, which the log holds as they are
    try:
        ids = json.loads(data.decode("utf-8", "surrogateescape"))
    except RecursionError:
        raise ValueError("its ids nest too deeply") from None
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise ValueError("its ids are no list of strings")
    return tuple(ids)
