"""`holter export`: the command, and what writes the files in `writing`."""

from holter.cli.commands.export.command import export

__all__ = ["export"]
