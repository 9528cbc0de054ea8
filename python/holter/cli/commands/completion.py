"""`holter completion`: click's own completion scripts, with a line that says where they go."""

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
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete this command: subcommands, options, and the names of runs.

    \b
    Examples:
      eval "$(holter completion bash)"           in ~/.bashrc
      eval "$(holter completion zsh)"            in ~/.zshrc, after compinit
      holter completion fish > ~/.config/fish/completions/holter.fish
    """
    completer = get_completion_class(shell)
    if completer is None:
        raise Problem(f"this version of click has no completion for {shell}", "pip install --upgrade click")
    echo(f"# Completion of the command `holter` for {shell}; {INSTALL[shell]}")
    script = completer(ctx.find_root().command, {}, "holter", "_HOLTER_COMPLETE").source()
    for line in script.strip().splitlines():
        echo(line)
