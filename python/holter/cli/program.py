"""The group of subcommands: which there are, and what each is for in one line, without importing any of them."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

import click

import holter
from holter.cli.problems import PipeClosedError, run_to_status

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SUBCOMMANDS", "Subcommand", "main"]


class Subcommand(NamedTuple):
    """A subcommand that is imported when it is asked for.

    Attributes:
        purpose: What it is for, as `holter --help` says it.
        module: The module that has it.
        attribute: Its name there.
    """

    purpose: str
    module: str
    attribute: str


def _own(name: str, purpose: str) -> Subcommand:
    return Subcommand(purpose, f"holter.cli.commands.{name}", name)


SUBCOMMANDS = {
    "Look": {
        "ls": _own("ls", "List the runs of a folder."),
        "show": _own("show", "Show what a run is, how it fares and what it recorded."),
        "tail": _own("tail", "Follow a run while it is recorded."),
        "plot": _own("plot", "Draw metrics in the terminal or into a file."),
        "serve": _own("serve", "Open the dashboard in a browser."),
        "tensorboard": _own("tensorboard", "Look at runs in TensorBoard's own page."),
    },
    "Compare and share": {
        "compare": _own("compare", "Put runs side by side in a table."),
        "report": _own("report", "Write one HTML file that shows runs offline."),
        "export": _own("export", "Write points as Parquet, CSV, JSON lines or event files."),
        "sync": _own("sync", "Copy runs to an object store, a server or another disk."),
        "import": Subcommand("Make runs of other recorders' files.", "holter.cli.commands.import_", "import_"),
    },
    "Look after": {
        "doctor": _own("doctor", "Find out what is wrong with runs, and what to do."),
        "recover": _own("recover", "Bring runs left by a crash into order."),
        "completion": _own("completion", "Print what makes a shell complete this command."),
        "demo": Subcommand("Train a small model and record it.", "holter.demo.__main__", "main"),
    },
}
"""The subcommands by section and name, in the order of the help."""


class Program(click.Group):
    """`holter` itself: loads subcommands lazily, and ends as `holter.cli.problems` says."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all subcommands, in the order of the help."""
        return [name for section in SUBCOMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a subcommand; None if there is none of this name."""
        for section in SUBCOMMANDS.values():
            if cmd_name in section:
                subcommand = section[cmd_name]
                command = getattr(importlib.import_module(subcommand.module), subcommand.attribute)
                assert isinstance(command, click.Command)  # noqa: S101 - a wrong entry of our own table
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand that the arguments begin with; one that does not exist is likened to those that do."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if close:
                raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the subcommands into the help, from the table."""
        for title, section in SUBCOMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, subcommand.purpose) for name, subcommand in section.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand. Click's own way with a closed pipe, which is to fail, is not ours."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise PipeClosedError from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        **extra: Any,
    ) -> Any:
        """Run the command line and, in standalone mode, leave with its exit status."""

        def command() -> object:
            return super(Program, self).main(args, prog_name, complete_var, standalone_mode=False, **extra)

        if not standalone_mode:
            return command()
        raise SystemExit(run_to_status(command))


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Exit status:
  0    all is well
  1    a problem was found, or something failed
  2    the command line makes no sense
  130  interrupted by Ctrl-C
  141  whoever read the output went away, as `head` does

\b
A RUN is a run's directory, or its name within ./runs, or within the folder that
HOLTER_DIR names. In a pipe the output is plain text; --json gives scripts strict
JSON. NO_COLOR turns colours off.

\b
holter COMMAND --help       explains each command, with examples
holter completion bash      sets up the Tab key""",
)
@click.version_option(holter.__version__, prog_name="holter")
def main() -> None:
    """Record training runs, look at them, compare them, and look after them.

    A run is a directory of plain files that holter.Logger wrote. Nothing here changes a run, but recover.

    \b
    Examples:
      holter demo                      train a small model, to have a run to look at
      holter ls                        which runs there are, and how they fare
      holter tail runs/prose           watch one while it trains
      holter compare prose code        two of them side by side
      holter serve                     all of it in the browser
    """
