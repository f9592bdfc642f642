"""The command of all that happens: events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slotwise.commands import output
from slotwise.commands.service import client, json_option, url_option

if TYPE_CHECKING:
    from slotwise.client.model import FleetEvent, JobMove, SlotNumbers


@click.command()
@click.option("--last", metavar="ID", default="", help="Go on behind the event of this id (see --json).")
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@json_option
@url_option
def events(last: str, count: int | None, as_json: bool, url: str | None) -> None:
    """Print what happens to all jobs and to the slots, as it happens. With --json, an event in each line."""
    from itertools import islice  # noqa: PLC0415

    with client(url) as service:
        for event in islice(service.events(last_event_id=last), count):
            if as_json:
                output.as_json({"id": event.id or None, "event": event.name, "data": event.data})
            else:
                _show(event)


def _show(event: FleetEvent) -> None:
    if event.job is not None:
        output.event(event.job.at, event.job.status, _moved(event.job))
    elif event.slots is not None:
        output.event(event.slots.at, "slots", _counted(event.slots))
    else:
        click.echo("[what happened before this is not kept]", err=True)


def _moved(job: JobMove) -> str:
    told = [job.job_id, job.algorithm or "-", f"attempt {job.attempt}", job.reason or job.error_type]
    return "  ".join(part for part in told if part)


def _counted(slots: SlotNumbers) -> str:
    return (
        f"{slots.running_jobs} of {slots.max_concurrent} taken, {slots.available_slots} free, "
        f"{slots.pending_jobs} waiting"
    )
