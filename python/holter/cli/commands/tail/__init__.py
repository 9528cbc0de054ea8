"""`holter tail`: the command; reading changes in `watching`; displaying them in `display`."""

from holter.cli.commands.tail.command import tail

__all__ = ["tail"]
