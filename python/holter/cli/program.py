"""The `holter` command group: a table of subcommands and their purposes, without importing any of them."""

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
    """A subcommand, imported on demand.

    Attributes:
        purpose: Its line in `holter --help`.
        module: The module that defines it.
        attribute: Its name in the module.
    """

    purpose: str
    module: str
    attribute: str


def _command(name: str, purpose: str) -> Subcommand:
    return Subcommand(purpose, f"holter.cli.commands.{name}", name)


SUBCOMMANDS = {
    "Getting started": {
        "demo": Subcommand("Train a small model and record it.", "holter.demo.__main__", "main"),
        "completion": _command("completion", "Print a shell completion script."),
    },
    "View": {
        "ls": _command("ls", "List runs and their status."),
        "show": _command("show", "Show a run's metadata, status and series."),
        "tail": _command("tail", "Follow a run while it trains."),
        "plot": _command("plot", "Plot metrics in the terminal or to a file."),
        "serve": _command("serve", "Start the dashboard."),
        "tensorboard": _command("tensorboard", "Show runs in TensorBoard."),
    },
    "Compare and share": {
        "compare": _command("compare", "Compare runs in a table."),
        "report": _command("report", "Write an HTML report that works offline."),
        "export": _command("export", "Export points to Parquet, CSV, JSON Lines or event files."),
        "sync": _command("sync", "Copy runs to object storage, a server or another disk."),
        "import": Subcommand("Import other recorders' files as runs.", "holter.cli.commands.import_", "import_"),
    },
    "Maintenance": {
        "doctor": _command("doctor", "Diagnose problems with runs and suggest fixes."),
        "recover": _command("recover", "Recover runs after a crash."),
    },
}
"""The subcommands by section and name, in the order of the help."""


class Program(click.Group):
    """The `holter` command: imports subcommands lazily and exits with the statuses of `holter.cli.problems`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all subcommands, in the order of the help."""
        return [name for section in SUBCOMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a subcommand; None if it does not exist."""
        for section in SUBCOMMANDS.values():
            if cmd_name in section:
                subcommand = section[cmd_name]
                command = getattr(importlib.import_module(subcommand.module), subcommand.attribute)
                assert isinstance(command, click.Command)  # noqa: S101 - the table above is wrong otherwise
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand of a command line; suggest a similar one if it does not exist."""
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
        """Run the subcommand; a closed pipe gets an exit status of its own, where click would report a failure."""
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
        """Run the command line and, in standalone mode, exit with its status."""

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
  0    success
  1    a problem was found, or the command failed
  2    invalid command line
  130  interrupted by Ctrl-C
  141  the reader of the output closed it, as `head` does

\b
RUN is the directory of a run, or its name within ./runs, or within the folder that
HOLTER_DIR names. In a pipe the output is plain text; --json prints strict JSON for
scripts. NO_COLOR turns off colors.

\b
holter COMMAND --help       explain a command, with examples
holter completion bash      set up the Tab key""",
)
@click.version_option(holter.__version__, prog_name="holter")
def main() -> None:
    """View, compare, share and maintain recorded training runs.

    A run is a directory of plain files that holter.Logger wrote. The commands work on finished runs and on runs that
    are being recorded. None of them changes a run, except recover.

    \b
    Examples:
      holter demo                      train a small model, to have a run to look at
      holter ls                        list runs and their status
      holter tail runs/prose           follow a run while it trains
      holter compare prose code        compare two runs
      holter serve                     open the dashboard in the browser
    """
