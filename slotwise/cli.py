"""The command `slotwise`. Each command imports what it needs when it is called, so that each starts quickly."""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from slotwise.commands import doctor, events, exits, jobs, keys, output, shell, slots
from slotwise.commands.group import Commands
from slotwise.commands.service import client, json_option, url_option
from slotwise.commands.store import asked, without_password
from slotwise.errors import SlotwiseError

if TYPE_CHECKING:
    from slotwise.settings import Settings


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=exits.EPILOG)
@click.version_option(package_name="slotwise", message="slotwise %(version)s")
@click.pass_context
def main(ctx: click.Context) -> None:
    """A self-hosted job service whose concurrency cap is real."""
    from slotwise.settings import wants_no_colour

    ctx.color = False if wants_no_colour() else None  # None: where standard output is a terminal


for command in (
    *(jobs.submit, jobs.jobs, jobs.wait, jobs.cancel, jobs.retry, jobs.logs, jobs.explain),
    *(slots.cap, slots.workers, slots.drain, slots.resume, events.events, doctor.doctor, keys.keys),
    shell.completion,
):
    main.add_command(command)


@main.command()
def up() -> None:
    """Run the embedded server, the front end and one worker, until Ctrl-C."""
    from slotwise import up
    from slotwise.settings import load

    raise SystemExit(up.run(load()))


@main.command()
def settings() -> None:
    """Show every setting: name, default, what it means, and its value where that differs."""
    from slotwise.settings import Settings, load

    try:
        current = load()
    except SlotwiseError:
        click.echo("\n".join(_described(Settings, None)))
        raise
    click.echo("\n".join(_described(Settings, current)))


@main.command()
@click.argument("job_id", metavar="[ID]", required=False)
@json_option
@url_option
def status(job_id: str | None, as_json: bool, url: str | None) -> None:
    """Show a job; without an ID the cap, the free slots and the running jobs.

    These need no service: unless --url or SLOTWISE_URL names one, the server of this directory is asked itself.
    """
    from slotwise.settings import told_url

    if job_id is not None:
        with client(url) as service:
            job = service.get(job_id)
        return output.as_json(job.as_dict()) if as_json else jobs.show(job)
    if url or told_url():
        with client(url) as service:
            seen = service.concurrency()
        numbers = {name: getattr(seen, name) for name in ("max_concurrent", "available_slots", "running_jobs")}
    else:
        numbers = _slots()
    if as_json:
        return output.as_json(numbers)
    return click.echo("\n".join(f"{name:<16}{value:>7}" for name, value in numbers.items()))


def _slots() -> dict[str, int]:
    import asyncio

    from slotwise.settings import load

    slots = asyncio.run(asked(load(), lambda store: store.slots()))
    return {
        "max_concurrent": slots.max_concurrent,
        "available_slots": slots.available,
        "running_jobs": slots.running,
    }


@main.command()
@click.option(
    "--window",
    type=click.IntRange(1, 604_800),  # as slotwise.admissions has it
    default=3_600,
    show_default=True,
    help="Seconds to look back.",
)
@click.option("--json", is_flag=True, help="Print what GET /jobs/concurrency/proof answers.")
def prove(window: int, json: bool) -> None:
    """Replay the admission log: was the cap kept at every instant? Exit status 1 where it was not."""
    import asyncio

    from slotwise.admissions import prove
    from slotwise.settings import load

    verdict = asyncio.run(asked(load(), lambda store: prove(store, window)))
    click.echo(jsonlib.dumps(verdict.as_dict()) if json else verdict.as_text())
    raise SystemExit(0 if verdict.holds else 1)


@main.command()
@click.argument("caps", nargs=-1, type=click.IntRange(1, 100_000))
@click.option("--json", is_flag=True, help="Print what GET /jobs/concurrency/advice answers.")
def size(caps: tuple[int, ...], json: bool) -> None:
    """Say what the cap binds on, how long jobs would wait at other CAPS, and from where on more gains nothing."""
    import asyncio

    from slotwise import sizing
    from slotwise.advice import advise
    from slotwise.settings import load
    from slotwise.steering import Steering

    demand = asyncio.run(asked(load(), lambda store: Steering(store.redis, store.keys).demand()))
    advice = advise(demand, caps)
    click.echo(jsonlib.dumps(sizing.as_dict(advice)) if json else sizing.as_text(advice))


def _described(model: type[Settings], current: Settings | None) -> Iterator[str]:
    """One line a setting, and one more where the value is not the default."""
    width = max(map(len, model.model_fields)) + 2
    for name, field in model.model_fields.items():
        yield f"{name.upper():<{width}}{_shown(field.default):<12}{field.description}"
        value = field.default if current is None else getattr(current, name)
        if value != field.default:
            yield f"{'':<{width}}now: {_shown(value)}"


def _shown(value: object) -> str:
    """A value as it would be written in the environment; `-` for unset."""
    if value is None or value == ():
        return "-"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(int(value))
    return without_password(str(value))


if __name__ == "__main__":
    main()
