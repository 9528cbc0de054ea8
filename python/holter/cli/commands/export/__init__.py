"""`holter export`: the command; writing the files in `writing`."""

from holter.cli.commands.export.command import export

__all__ = ["export"]
