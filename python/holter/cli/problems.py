"""How a command ends: what the user is told, and the exit status that a script sees.

0 all is well, 1 a problem was found or something failed, 2 the command line makes no sense, 130 Ctrl-C, 141 the
reader of a pipe went away. A message names the cause and the way out; a traceback is a defect of ours.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from holter.cli.output import echo_error
from holter.exceptions import HolterError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FAILED", "INTERRUPTED", "PIPE_CLOSED", "PipeClosedError", "Problem", "failure", "run_to_status"]

FAILED = 1
INTERRUPTED = 130
PIPE_CLOSED = 141


class Problem(click.ClickException):
    """Something that keeps a command from doing what it was asked for.

    Args:
        cause: What is wrong, lower-case, without a full stop.
        way_out: What to do about it, as a line of its own.
    """

    exit_code = FAILED

    def __init__(self, cause: str, way_out: str = "") -> None:
        super().__init__(f"{cause}\n{way_out}" if way_out else cause)


class PipeClosedError(Exception):
    """Whoever read the output has gone, as `head` does when it has seen enough."""


def failure(error: Exception) -> str:
    """Return what went wrong in words, without Python's `[Errno 13]`."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror[:1].lower()}{error.strerror[1:]}"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error)


def run_to_status(command: Callable[[], object]) -> int:
    """Run a command of click's and return its exit status, with whatever went wrong told on the error output.

    Args:
        command: Calls click without its standalone mode; an integer that it returns is an exit status.
    """
    try:
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.ClickException as error:
        echo_error(_told(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (PipeClosedError, BrokenPipeError):
        _forget_output()
        return PIPE_CLOSED
    except StoreError as error:
        echo_error(f"Error: {error}\n`holter doctor RUN` looks into it")
        return FAILED
    except (HolterError, OSError, ImportError) as error:
        echo_error(f"Error: {failure(error)}")
        return FAILED
    return status if isinstance(status, int) else 0


def _told(error: click.ClickException) -> str:
    """The message as click writes it. Click itself would drop an escape sequence of a name, which is to be seen."""
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return f"Error: {error.format_message()}"
    help_command = f"{error.ctx.command_path} --help"
    return f"{error.ctx.get_usage()}\nTry '{help_command}' for help.\n\nError: {error.format_message()}"


def _forget_output() -> None:
    """Point the standard output elsewhere, so that the interpreter does not fail at it once more when it ends."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
