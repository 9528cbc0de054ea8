"""`holter tail`: the command, what it watches in `watching`, what it shows in `following`."""

from holter.cli.commands.tail.command import tail

__all__ = ["tail"]
