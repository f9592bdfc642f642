"""The catalogue: an algorithm as publish.lua takes it, and as it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from slotwise import scripts, wire
from slotwise.rate import Rate


def published(entry: Mapping[str, Any]) -> tuple[scripts.Arg, ...]:
    """Its name, the entry, its own cap and its rate."""
    cap, rate = entry.get("max_concurrent"), entry.get("rate")
    return (
        entry["name"],
        to_json(entry),
        "" if cap is None else cap,
        "" if rate is None else Rate.of(rate).as_stored(),
    )


def entries_of(rows: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Names and entries in order, less what no worker wrote."""
    for name, row in sorted(rows.items()):
        try:
            entry = wire.decode(row)
            if entry["name"].encode() == name and isinstance(entry["parameters"], dict):
                yield name, entry
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
