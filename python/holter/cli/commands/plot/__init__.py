"""`holter plot`: the command; drawing charts in the terminal in `drawing`."""

from holter.cli.commands.plot.command import plot

__all__ = ["plot"]
