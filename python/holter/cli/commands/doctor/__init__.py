"""`holter doctor`: the command; one module for each group of checks in `checks`."""

from holter.cli.commands.doctor.command import doctor

__all__ = ["doctor"]
