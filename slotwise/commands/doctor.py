"""The command `doctor`: it alone looks into Redis itself, which need not be ours."""

from __future__ import annotations

import click

from slotwise.commands import exits, output


@click.command()
@click.option("--redis", "url", metavar="URL", help="The server; else REDIS_URL, else the one of this directory.")
@click.option("--queue", metavar="NAME", help="The queue; else arq's default, arq:queue.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000_000),
    default=100_000,
    show_default=True,
    help="Keys, and jobs of the queue, to look at.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(url: str | None, queue: str | None, limit: int, as_json: bool) -> None:
    """Say what is wrong in a Redis with arq's or our jobs, what it means, and what to do.

    It only reads. Exit status 1 when it finds something.
    """
    from slotwise.doctor import examine  # noqa: PLC0415
    from slotwise.embedded import redis_url  # noqa: PLC0415
    from slotwise.settings import load  # noqa: PLC0415

    report = examine(url or redis_url(load()), queue, most=limit)
    if as_json:
        output.as_json(report.as_dict())
    else:
        click.echo(report.as_text())
    raise SystemExit(0 if report.healthy else exits.NOT_WELL)
