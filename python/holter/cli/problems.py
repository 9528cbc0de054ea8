"""Error messages and exit statuses.

0 success, 1 a problem was found or the command failed, 2 invalid command line, 130 Ctrl-C, 141 the reader of a pipe
closed it. A message states what is wrong and what to do. A traceback is a bug.
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

__all__ = ["FAILED", "INTERRUPTED", "PIPE_CLOSED", "PipeClosedError", "Problem", "error_text", "run_to_status"]

FAILED = 1
INTERRUPTED = 130
PIPE_CLOSED = 141


class Problem(click.ClickException):
    """A failure of a command, printed as one line for the cause and one for the hint.

    Args:
        cause: What is wrong, lower-case, without a full stop.
        hint: What to do about it.
    """

    exit_code = FAILED

    def __init__(self, cause: str, hint: str = "") -> None:
        super().__init__(f"{cause}\n{hint}" if hint else cause)


class PipeClosedError(Exception):
    """The reader of the output closed the pipe, as `head` does after its last line."""


def error_text(error: Exception) -> str:
    """Return the message of an error, without Python's `[Errno 13]`."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror[:1].lower()}{error.strerror[1:]}"
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error)


def run_to_status(command: Callable[[], object]) -> int:
    """Run a click command, print its error if it fails, and return the exit status.

    Args:
        command: Calls click without its standalone mode; an integer that it returns is an exit status.
    """
    try:
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.ClickException as error:
        echo_error(_click_message(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (PipeClosedError, BrokenPipeError):
        _discard_output()
        return PIPE_CLOSED
    except StoreError as error:
        echo_error(f"Error: {error}\nrun `holter doctor RUN` to diagnose it")
        return FAILED
    except (HolterError, OSError, ImportError) as error:
        echo_error(f"Error: {error_text(error)}")
        return FAILED
    return status if isinstance(status, int) else 0


def _click_message(error: click.ClickException) -> str:
    """The message as click formats it; click itself would strip escape sequences of names instead of escaping them."""
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return f"Error: {error.format_message()}"
    help_command = f"{error.ctx.command_path} --help"
    return f"{error.ctx.get_usage()}\nTry '{help_command}' for help.\n\nError: {error.format_message()}"


def _discard_output() -> None:
    """Redirect standard output, so that the interpreter's flush at exit does not fail again."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
