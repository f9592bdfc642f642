"""The commands of jobs: submit, jobs, wait, cancel, retry, logs, explain."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, Final

import click

from slotwise import wire
from slotwise.commands import exits, output
from slotwise.commands.group import leave
from slotwise.commands.service import PATIENT, client, json_option, url_option

if TYPE_CHECKING:
    from slotwise.client import Client, Job

POLL_SECONDS, BAR_SECONDS = 30, 1  # for which a request waits; where a bar is drawn
AGAIN_SECONDS: Final = 0.2
COLUMNS: Final = (
    "job_id",
    "status",
    "algorithm",
    "progress",
    "created_at",
    "wait_seconds",
    "run_seconds",
    "worker",
)


def _pairs(values: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for value, (name, equals, _) in zip(values, pairs, strict=True):
        if not (name and equals):
            raise click.UsageError(f"{option} takes NAME=VALUE, not {value!r}")
    return {name: text for name, _, text in pairs}


def _value(text: str) -> Any:
    """`7`, `true`, `[1]` and `"7"` as JSON; what is no JSON is itself a string."""
    try:
        return wire.decode(text.encode())
    except ValueError:
        return text


def _params(params: str | None, pairs: tuple[str, ...]) -> dict[str, Any]:
    told = {name: _value(text) for name, text in _pairs(pairs, "a parameter").items()}
    if params is None:
        return told
    try:
        value = wire.decode(params.encode())
    except ValueError as error:
        raise click.UsageError(f"--params is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError("--params must be a JSON object")
    return value | told


@click.command()
@click.argument("algorithm")
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--params", metavar="JSON", help="The parameters as a JSON object; NAME=VALUE goes on top.")
@click.option("--priority", type=click.IntRange(0, 9), help="0 to 9: higher goes first.")
@click.option("--timeout", "job_timeout", type=float, help="Seconds that the job may run.")
@click.option("--delay", type=float, help="Seconds until it may start.")
@click.option("--max-attempts", type=int, help="Attempts in all.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="May be given more than once.")
@click.option("--webhook", metavar="URL", help="Told when the job has ended.")
@click.option(
    "--webhook-event", "webhook_events", multiple=True, metavar="TYPE", help="As job.running; instead of its ends."
)
@click.option("--idempotency-key", help="The same key and the same request are the same job.")
@click.option("--wait", is_flag=True, help="Wait for its end, print the result; exit status 1 if it fails.")
@json_option
@url_option
def submit(
    algorithm: str,
    pairs: tuple[str, ...],
    params: str | None,
    job_timeout: float | None,
    labels: tuple[str, ...],
    webhook_events: tuple[str, ...],
    idempotency_key: str | None,
    wait: bool,
    as_json: bool,
    url: str | None,
    **options: Any,
) -> None:
    """Submit a job, and print its id.

    VALUE is JSON where it is that, else a string: number=97 is a number, number='"97"' and text=hello are strings.
    """
    told = {**options, "timeout": job_timeout, "labels": _pairs(labels, "--label") or None}
    told["webhook_events"] = list(webhook_events) or None
    given = {name: value for name, value in told.items() if value is not None}
    with client(url, retries=PATIENT if wait else 3) as service:
        job = service.submit(algorithm, _params(params, pairs), idempotency_key=idempotency_key, **given)
        if wait:
            _tell_end(_ended(service, job.job_id, None), as_json)
        elif as_json:
            output.as_json(job.as_dict())
        else:
            click.echo(job.job_id)


@click.command()
@click.option("--status", type=click.Choice(["pending", "running", "completed", "failed", "cancelled"]))
@click.option("--algorithm", help="Only this one's.")
@click.option("--label", metavar="NAME=VALUE", help="Only those with this label.")
@click.option("--error-type", help="Only those that failed so, as `timeout`.")
@click.option("--created-after", metavar="TIME", help="As 2030-01-31T12:00:00Z.")
@click.option("--created-before", metavar="TIME")
@click.option("--min-running-seconds", type=float, help="Only those that have run for so long.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Jobs in all.")
@json_option
@url_option
def jobs(label: str | None, limit: int, as_json: bool, url: str | None, **filters: Any) -> None:
    """List jobs. With --json, one in each line."""
    from itertools import islice  # noqa: PLC0415

    told: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    if label is not None:
        ((name, value),) = _pairs((label,), "--label").items()
        told["label"] = f"{name}:{value}"
    with client(url) as service:
        found = islice(service.jobs(**told, limit=min(limit, 500)), limit)
        if as_json:
            for job in found:
                output.as_json(job.as_dict())
        else:
            output.table(COLUMNS, [[getattr(job, name) for name in COLUMNS] for job in found])


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--timeout", type=click.FloatRange(0), help="Seconds to wait at most: then exit status 5.")
@json_option
@url_option
def wait(job_id: str, timeout: float | None, as_json: bool, url: str | None) -> None:
    """Wait for a job's end, and print its result. Exit status 1 if it failed or was cancelled."""
    with client(url, retries=PATIENT) as service:
        _tell_end(_ended(service, job_id, timeout), as_json)


@click.command()
@click.argument("job_id", metavar="ID")
@json_option
@url_option
def cancel(job_id: str, as_json: bool, url: str | None) -> None:
    """End a job that waits, or ask for the end of one that runs."""
    with client(url) as service:
        job = service.cancel(job_id)
    if as_json:
        output.as_json(job.as_dict())
    else:
        click.echo("it was told to end" if job.cancel_requested else str(job.status))


@click.command()
@click.argument("job_id", metavar="ID")
@json_option
@url_option
def retry(job_id: str, as_json: bool, url: str | None) -> None:
    """Let a job that failed or was cancelled wait again."""
    with client(url) as service:
        job = service.retry(job_id)
    if as_json:
        output.as_json(job.as_dict())
    else:
        click.echo(str(job.status))


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends.")
@click.option("--tail", type=click.IntRange(1), help="Only the last so many lines.")
@url_option
def logs(job_id: str, follow: bool, tail: int | None, url: str | None) -> None:
    """Print what a job wrote, as it wrote it."""
    if follow and tail is not None:
        raise click.UsageError("--follow shows all that is kept: leave out --tail")
    with client(url) as service:
        if not follow:
            click.echo(service.logs(job_id, tail=tail), nl=False)
            return
        for event in service.events(job_id):
            if event.name == "log":
                missing = event.data.get("missing")
                if missing:
                    click.echo(f"[{missing} bytes before this are not kept]", err=True)
                click.echo(event.data.get("text", ""), nl=False)


@click.command()
@click.argument("job_id", metavar="ID")
@json_option
@url_option
def explain(job_id: str, as_json: bool, url: str | None) -> None:
    """Say why a job waits, where it runs, or where its time went."""
    with client(url) as service:
        told = service.explain(job_id)
    if as_json:
        output.as_json(told.as_dict())
        return
    rows = {
        name: value for name, value in told.as_dict().items() if name not in ("job_id", "attempts", "estimates")
    }
    output.facts({name: None if value in ([], {}) else value for name, value in rows.items()})
    if told.attempts:
        names = ("started_at", "ended_at", "worker", "outcome")
        click.echo()
        output.table(names, [[attempt.get(name) for name in names] for attempt in told.attempts])


def show(job: Job) -> None:
    """A job for people."""
    rows = {name: value for name, value in job.as_dict().items() if name not in ("urls", "usage", "error")}
    for name in ("created_at", "scheduled_for", "started_at", "completed_at", "expires_at", "heartbeat_at"):
        rows[name] = getattr(job, name)
    rows["labels"] = job.labels or None
    rows["cancel_requested"] = job.cancel_requested or None
    if job.error is not None:
        rows["error"] = f"{job.error.type}: {job.error.message}"
    output.facts(rows)


def _ended(service: Client, job_id: str, timeout: float | None) -> Job:
    """The job when it has ended, with a bar meanwhile; exit status 5 when it has not in time."""
    import sys  # noqa: PLC0415

    until = math.inf if timeout is None else time.monotonic() + timeout
    longest = BAR_SECONDS if sys.stderr.isatty() else POLL_SECONDS
    try:
        while True:
            left = until - time.monotonic()
            job = service.get(job_id, wait=max(0, math.ceil(min(left, longest))))
            if job.ended:
                return job
            left = until - time.monotonic()
            if left <= 0:
                leave(f"job {job_id} has not ended within {timeout:g} s: it is {job.status}", exits.LATE)
            output.progress(job.progress, job.message or str(job.status))
            time.sleep(min(AGAIN_SECONDS, left))  # a front end that stops answers at once
    finally:
        output.clear_progress()


def _tell_end(job: Job, as_json: bool) -> None:
    if as_json:
        output.as_json(job.as_dict())
    elif job.status == "completed":
        click.echo(json.dumps(job.result, ensure_ascii=False))
    if job.status == "completed":
        return
    why = "" if job.error is None else f": {job.error.type}: {job.error.message}"
    leave(f"job {job.job_id} {'was cancelled' if job.status == 'cancelled' else 'failed'}{why}", exits.NOT_WELL)
