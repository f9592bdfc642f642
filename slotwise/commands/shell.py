"""The command `completion`: what a shell has to load to complete `slotwise`, made from the commands themselves."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what SHELL has to load to complete commands and options.

    \b
    bash   eval "$(slotwise completion bash)"     in ~/.bashrc
    zsh    eval "$(slotwise completion zsh)"      in ~/.zshrc, behind compinit
    fish   slotwise completion fish | source      in ~/.config/fish/config.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(made(ctx.find_root().command, {}, "slotwise", "_SLOTWISE_COMPLETE").source())
