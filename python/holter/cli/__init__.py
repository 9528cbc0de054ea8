"""The `holter` command: one module or package per subcommand in `commands`, shared code beside it.

All data is read through the public `holter.Run`. A subcommand is imported when it is called, and imports heavy
libraries when it runs, so that `holter --help` is fast.
"""

from holter.cli.program import main

__all__ = ["main"]
