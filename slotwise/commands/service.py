"""The service as a command speaks with it: where it is, and what an error of its own means for the exit status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from slotwise.commands import exits
from slotwise.commands.group import leave

if TYPE_CHECKING:
    from slotwise.client import Client

PATIENT: Final = 8  # retries of a command that waits: a restart of the service in between is no reason to give up

url_option = click.option(
    "--url",
    help="Where the service is; else SLOTWISE_URL, else http://127.0.0.1:8000. SLOTWISE_KEY is its API key.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, as the service answers it.")


@contextmanager
def client(url: str | None, *, retries: int = 3) -> Iterator[Client]:
    """A client of the service; an error of it ends the command."""
    from slotwise.client import ApiError, Client  # noqa: PLC0415 - an HTTP library, for those who need it
    from slotwise.client.problems import StoreUnavailable, Unreachable  # noqa: PLC0415

    try:
        made = Client(url, retries=retries)
    except ValueError as error:
        leave(str(error), exits.USAGE)
    with made:
        try:
            yield made
        except (Unreachable, StoreUnavailable) as error:
            leave(error.detail, exits.UNREACHABLE)
        except ApiError as error:
            leave(str(error), exits.REFUSED)
        except ValueError as error:  # what JSON cannot say, an empty id
            leave(str(error), exits.USAGE)
