"""Output: rich on a terminal, plain and stable text in a pipe, strict JSON for scripts.

In a pipe there are no colors, no box drawing and no shortening, regardless of the environment. On a terminal rich
honors `NO_COLOR` and `TERM=dumb`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from holter._text import plain_json, shortened, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

__all__ = ["Cell", "Column", "echo", "echo_error", "echo_json", "echo_table", "is_terminal", "terminal_console"]

NAME_LIMIT = 120
"""Maximum characters of a cell on a terminal."""
MIN_WIDTH = 8
GAP = 2


def is_terminal(*, error: bool = False) -> bool:
    """Return whether the output goes to a terminal rather than to a file or another program."""
    stream = sys.stderr if error else sys.stdout
    return stream is not None and stream.isatty()  # None after a shell's `>&-`


def terminal_console(*, error: bool = False) -> Console:
    """Return rich's console for the terminal."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, markup=False, emoji=False)


def echo(line: str = "", *, error: bool = False) -> None:
    """Write one line of plain text that has passed `visible`."""
    encoding = getattr(sys.stderr if error else sys.stdout, "encoding", None) or "utf-8"
    click.echo(line.encode(encoding, "backslashreplace").decode(encoding), err=error)


def echo_error(message: str) -> None:
    """Write a message to standard error, line by line, with unprintable characters escaped."""
    for line in message.splitlines():
        echo(visible(line), error=True)


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Write one strict JSON document in ASCII, with non-finite numbers as strings."""
    click.echo(json.dumps(plain_json(value), indent=indent, allow_nan=False))


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: The header, one word.
        is_number: Whether to align the cells to the right.
        can_shrink: Whether the column becomes narrower if the terminal is narrow.
    """

    title: str
    is_number: bool = False
    can_shrink: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, and rich's style for a terminal."""

    text: str
    style: str = ""


def echo_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]]) -> None:
    """Write a table: fitted to a terminal, else with aligned columns at least two spaces apart.

    In a pipe an empty cell is `-`, so that every line has one field per column.
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
            # By default rich shrinks every column a little, which truncates numbers.
            width=max(width - excess, MIN_WIDTH) if column.can_shrink and excess > 0 else width,
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
