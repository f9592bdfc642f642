"""The commands of API keys. They speak with the store itself: whoever reaches that needs no key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import click

from slotwise.commands import output
from slotwise.commands.service import json_option

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from slotwise.apikeys import ApiKey, ApiKeys

SCOPES: Final = ("read", "submit", "operate", "admin")  # as slotwise.tenant has them
COLUMNS: Final = ("name", "scope", "max_pending", "max_running", "rate", "created_at", "revoked_at")
MOST: Final = 10_000_000


@click.group()
def keys() -> None:
    """Make, list and revoke API keys; once there is one, the service asks for it. A key is a tenant."""


def _rate(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    from slotwise.rate import Rate  # noqa: PLC0415 - as in slotwise.cli

    try:
        return None if text is None else str(Rate.of(text))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@keys.command()
@click.argument("name")
@click.option(
    "--scope", type=click.Choice(SCOPES), required=True, help="What it allows; each includes those before."
)
@click.option("--max-pending", type=click.IntRange(0, MOST), help="Jobs of it that may wait.")
@click.option("--max-running", type=click.IntRange(0, MOST), help="Jobs of it that may run at once.")
@click.option("--rate", callback=_rate, help="Jobs that it may submit, as 100/minute.")
@json_option
def create(
    name: str, scope: str, max_pending: int | None, max_running: int | None, rate: str | None, as_json: bool
) -> None:
    """Make a key called NAME, and show it: this once, for only its hash is kept."""
    from slotwise.rate import Rate  # noqa: PLC0415
    from slotwise.tenant import Bounds, Scope  # noqa: PLC0415

    bounds = Bounds(max_pending, max_running, None if rate is None else Rate.of(rate))
    key, secret = asyncio.run(_with_keys(lambda keys: keys.create(name, Scope(scope), bounds)))
    if as_json:
        output.as_json(_row(key) | {"key": secret})
    else:
        click.echo(secret)
        click.echo("Shown once. Clients send it as Authorization: Bearer …, or have it in SLOTWISE_KEY.", err=True)


@keys.command(name="list")
@json_option
def list_keys(as_json: bool) -> None:
    """List the keys, revoked ones too. With --json, one in each line."""
    _, found = asyncio.run(_with_keys(lambda keys: keys.all()))
    rows = [_row(key) for key in found]
    if as_json:
        for row in rows:
            output.as_json(row)
    else:
        output.table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


@keys.command()
@click.argument("name")
@json_option
def revoke(name: str, as_json: bool) -> None:
    """Revoke the key called NAME: every front end refuses it within a second. Its jobs run on."""
    key = asyncio.run(_with_keys(lambda keys: keys.revoke(name)))
    if as_json:
        output.as_json(_row(key))
    else:
        output.facts({column: _row(key)[column] for column in COLUMNS})


@keys.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Forget all keys: from then on the service asks nobody for one, if it serves this machine only."""
    if not yes:
        click.confirm("Forget all API keys?", abort=True)
    asyncio.run(_with_keys(lambda keys: keys.reset()))


def _row(key: ApiKey) -> dict[str, Any]:
    from slotwise.moment import timestamp  # noqa: PLC0415

    bounds = key.bounds
    return {
        "name": key.name,
        "scope": key.scope.value,
        "max_pending": bounds.max_pending,
        "max_running": bounds.max_running,
        "rate": None if bounds.rate is None else str(bounds.rate),
        "created_at": timestamp(key.created_ms),
        "revoked_at": timestamp(key.revoked_ms),
    }


async def _with_keys(ask: Callable[[ApiKeys], Awaitable[Any]]) -> Any:
    from slotwise.apikeys import ApiKeys  # noqa: PLC0415
    from slotwise.commands.store import asked  # noqa: PLC0415
    from slotwise.settings import load  # noqa: PLC0415

    return await asked(load(), lambda store: ask(ApiKeys(store.redis, store.keys)))
