"""The commands of the cap and the workers: cap, workers, drain, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from slotwise.commands import output
from slotwise.commands.service import client, json_option, url_option
from slotwise.job import MOST_SLOTS

if TYPE_CHECKING:
    from slotwise.client import Concurrency, Effect, Worker

COLUMNS: Final = ("name", "host", "version", "slots", "running", "last_seen_seconds", "draining")
SHOWN: Final = (
    "max_concurrent",
    "available_slots",
    "running_jobs",
    "pending_jobs",
    "scheduled_jobs",
    "configured",
    "saturated_since",
)


@click.command()
@click.argument("slots", metavar="[N]", required=False, type=click.IntRange(0, MOST_SLOTS))
@click.option("--clear", is_flag=True, help="Back to the configured cap, or to what the algorithm declares.")
@click.option("--reason", help="For the audit.")
@click.option("--ttl", type=float, help="Seconds that N is in force; else until it is cleared.")
@click.option("--algorithm", help="The own cap of this algorithm.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, and change nothing.")
@json_option
@url_option
def cap(
    slots: int | None,
    clear: bool,
    reason: str | None,
    ttl: float | None,
    algorithm: str | None,
    dry_run: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Show the cap, or set it to N: jobs that run at once over the whole fleet; 0 pauses, nothing is killed."""
    if clear and slots is not None:
        raise click.UsageError("either N or --clear")
    if slots is None and (reason is not None or ttl is not None):
        raise click.UsageError("--reason and --ttl belong to N")
    if dry_run and not (clear or slots is not None):
        raise click.UsageError("--dry-run belongs to N or --clear")
    with client(url) as service:
        if dry_run:
            _tell_effect(service.foretell_concurrency(slots, algorithm=algorithm), as_json)
        elif clear:
            _tell(service.clear_concurrency(algorithm=algorithm), algorithm, as_json)
        elif slots is not None:
            changed = service.set_concurrency(slots, reason=reason, ttl=ttl, algorithm=algorithm)
            _tell(changed, algorithm, as_json)
        else:
            _tell(service.concurrency(), algorithm, as_json)


def _tell(seen: Concurrency, algorithm: str | None, as_json: bool) -> None:
    if as_json:
        output.as_json(seen.as_dict())
        return
    if algorithm is not None:
        if algorithm not in seen.algorithms:
            raise click.UsageError(f"no algorithm is called {algorithm!r}")
        told = seen.algorithms[algorithm].as_dict()
        own = {"max_concurrent": "none of its own"} if told.get("max_concurrent") is None else {}
        output.facts(_with_override(told | own))
        return
    output.facts(_with_override({name: getattr(seen, name) for name in SHOWN} | {"override": seen.override}))


def _with_override(values: dict[str, Any]) -> dict[str, Any]:
    """An override in words, as the last line."""
    told = dict(values)
    stands = told.pop("override", None)
    if stands is not None:
        row = stands if isinstance(stands, dict) else stands.as_dict()
        reason = f": {row['reason']}" if row.get("reason") else ""
        until = f", until {row['expires_at']}" if row.get("expires_at") else ""
        told["override"] = f"{row['value']} by {row.get('by')} at {row.get('at')}{until}{reason}"
    return told


def _tell_effect(effect: Effect, as_json: bool) -> None:
    if as_json:
        output.as_json(effect.as_dict())
    else:
        output.facts({name: value for name, value in effect.as_dict().items() if name != "dry_run"})


@click.command()
@json_option
@url_option
def workers(as_json: bool, url: str | None) -> None:
    """List the live workers. With --json, one in each line."""
    with client(url) as service:
        found = service.workers()
    if as_json:
        for worker in found:
            output.as_json(worker.as_dict())
    else:
        output.table(COLUMNS, [[getattr(worker, name) for name in COLUMNS] for worker in found])


@click.command()
@click.argument("name")
@json_option
@url_option
def drain(name: str, as_json: bool, url: str | None) -> None:
    """Let a worker finish what it has, and take no more."""
    with client(url) as service:
        _tell_worker(service.drain(name), as_json)


@click.command()
@click.argument("name")
@json_option
@url_option
def resume(name: str, as_json: bool, url: str | None) -> None:
    """Let a drained worker take jobs again."""
    with client(url) as service:
        _tell_worker(service.resume(name), as_json)


def _tell_worker(worker: Worker, as_json: bool) -> None:
    if as_json:
        output.as_json(worker.as_dict())
    else:
        output.facts({name: getattr(worker, name) for name in COLUMNS})
