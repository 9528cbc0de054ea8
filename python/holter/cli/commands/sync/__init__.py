"""`holter sync`: the command; one pass over the runs in `passes`."""

from holter.cli.commands.sync.command import sync

__all__ = ["sync"]
