"""The command `holter`: a module or a package for each subcommand in `commands`, what they share beside it.

Everything is read through the public `holter.Run`. A subcommand is imported when it is asked for, and imports
what is heavy when it runs, so that `holter --help` answers at once.
"""

from holter.cli.program import main

__all__ = ["main"]
