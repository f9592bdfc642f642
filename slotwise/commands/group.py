"""The group of all commands: whatever goes wrong in one is a line on standard error and a stated exit status."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from slotwise.commands import exits
from slotwise.errors import SlotwiseError, exit_with, harmless

LINE_CHARS = 2_000


class Commands(click.Group):
    """Its commands may raise SlotwiseError; those that speak with the service use `service.client`."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SlotwiseError as error:
            if error.code == "store-unavailable":
                leave(error.message, exits.UNREACHABLE)
            exit_with(error)
        except KeyboardInterrupt:
            raise SystemExit(exits.INTERRUPTED) from None


def leave(message: str, status: int) -> NoReturn:
    """End with one line on standard error."""
    click.echo(f"slotwise: {harmless(message, LINE_CHARS)}", err=True)
    raise SystemExit(status)
