"""`holter doctor`: the command, and its checks in `checks`."""

from holter.cli.commands.doctor.command import doctor

__all__ = ["doctor"]
