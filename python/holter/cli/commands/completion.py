"""`holter completion`: click's completion scripts, with a comment on how to install them."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from holter.cli.output import echo
from holter.cli.problems import Problem

__all__ = ["completion"]

INSTALL = {
    "bash": 'add to ~/.bashrc:  eval "$(holter completion bash)"   (needs bash 4.4 or later)',
    "zsh": 'add to ~/.zshrc, after compinit:  eval "$(holter completion zsh)"',
    "fish": "once:  holter completion fish > ~/.config/fish/completions/holter.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(INSTALL)), metavar="SHELL")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a shell completion script.

    Install it once, and the Tab key completes subcommands, options and names of runs. SHELL is bash, zsh or fish.

    \b
    Examples:
      eval "$(holter completion bash)"           in ~/.bashrc
      eval "$(holter completion zsh)"            in ~/.zshrc, after compinit
      holter completion fish > ~/.config/fish/completions/holter.fish
    """
    completer = get_completion_class(shell)
    if completer is None:
        raise Problem(f"the installed click has no completion for {shell}", "pip install --upgrade click")
    echo(f"# Completion of the command `holter` for {shell}; {INSTALL[shell]}")
    script = completer(ctx.find_root().command, {}, "holter", "_HOLTER_COMPLETE").source()
    for line in script.strip().splitlines():
        echo(line)
