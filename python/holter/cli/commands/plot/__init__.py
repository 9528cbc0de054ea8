"""`holter plot`: the command, and what draws a chart in the terminal in `drawing`."""

from holter.cli.commands.plot.command import plot

__all__ = ["plot"]
