"""Where output goes: rich on a terminal, plain and stable text in a pipe, strict JSON for scripts.

In a pipe there are no colours, no box drawing and no shortening, whatever the environment says; on a terminal
rich keeps to `NO_COLOR` and `TERM=dumb` by itself.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from holter.cli.text import json_ready, shortened, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

__all__ = ["Cell", "Column", "echo", "echo_error", "echo_json", "echo_table", "is_terminal", "terminal_console"]

NAME_LIMIT = 120
"""Characters of a cell on a terminal."""
NARROWEST = 8
GAP = 2


def is_terminal(*, error: bool = False) -> bool:
    """Whether somebody looks at what is written, rather than a file or another program."""
    stream = sys.stderr if error else sys.stdout
    return stream is not None and stream.isatty()  # a shell's `>&-` leaves none


def terminal_console(*, error: bool = False) -> Console:
    """Return rich's console for the terminal."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, markup=False, emoji=False)


def echo(line: str = "", *, error: bool = False) -> None:
    """Write one line of plain text, in which whatever is not printable has been made visible already."""
    encoding = getattr(sys.stderr if error else sys.stdout, "encoding", None) or "utf-8"
    click.echo(line.encode(encoding, "backslashreplace").decode(encoding), err=error)


def echo_error(message: str) -> None:
    """Write a message about what went wrong, line by line, to the error output."""
    for line in message.splitlines():
        echo(visible(line), error=True)


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Write one JSON document: strict, in ASCII, numbers that are not finite as strings."""
    click.echo(json.dumps(json_ready(value), indent=indent, allow_nan=False))


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: What stands over it, one word.
        is_number: Whether it is aligned to the right.
        folds: Whether it gives way when the terminal is narrow.
    """

    title: str
    is_number: bool = False
    folds: bool = False


@dataclass(frozen=True)
class Cell:
    """What stands in a table: its text, and rich's style for it on a terminal."""

    text: str
    style: str = ""


def echo_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]]) -> None:
    """Write a table: fitted to a terminal, else with its columns aligned and two spaces or more between them.

    An empty cell is `-`, so that every line has as many fields as there are columns.
    """
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    if is_terminal():
        _echo_rich(columns, cells)
    else:
        _echo_plain(columns, cells)


def _echo_rich(columns: Sequence[Column], rows: list[list[Cell]]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = terminal_console()
    texts = [[Text(shortened(visible(cell.text), NAME_LIMIT), style=cell.style) for cell in row] for row in rows]
    widths = [max([len(column.title), *(row[index].cell_len for row in texts)]) for index, column in enumerate(columns)]
    excess = sum(widths) + GAP * (len(columns) - 1) - console.width
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            no_wrap=True,
            overflow="ellipsis",
            # rich would take a little from every column, and cut numbers.
            width=max(width - excess, NARROWEST) if column.folds and excess > 0 else width,
        )
    for row in texts:
        table.add_row(*row)
    console.print(table)


def _echo_plain(columns: Sequence[Column], rows: list[list[Cell]]) -> None:
    lines = [[column.title for column in columns], *([visible(cell.text) or "-" for cell in row] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        fields = [
            field.rjust(width) if column.is_number else field.ljust(width)
            for field, width, column in zip(line, widths, columns, strict=True)
        ]
        echo("  ".join(fields).rstrip())
