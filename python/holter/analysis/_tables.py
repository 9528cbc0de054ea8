"""Tables as Markdown, LaTeX and CSV, with the special characters of each format escaped.

The texts come from runs and are untrusted: none can end its cell or become HTML, a LaTeX command or a formula.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from holter._text import spreadsheet_safe

Rows: TypeAlias = Sequence[Sequence[str]]

_MARKDOWN = re.compile(r"([\\|`*<>\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\to$",
    "–": "--",
    "±": r"$\pm$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "…": r"\ldots{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def markdown(header: Sequence[str], rows: Rows, strong: set[tuple[int, int]]) -> str:
    """Return a GitHub Markdown table with the cells at the (row, column) positions of `strong` in bold."""
    lines = [_markdown_line(map(_markdown, header)), _markdown_line(["---"] + ["---:"] * (len(header) - 1))]
    for i, row in enumerate(rows):
        cells = (f"**{_markdown(text)}**" if (i, j) in strong else _markdown(text) for j, text in enumerate(row))
        lines.append(_markdown_line(cells))
    return "\n".join(lines) + "\n"


def latex(header: Sequence[str], rows: Rows, strong: set[tuple[int, int]]) -> str:
    """Return a `tabular` with the rules of the booktabs package."""
    lines = [
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\toprule",
        _latex_line(map(_latex, header)),
        r"\midrule",
    ]
    for i, row in enumerate(rows):
        cells = (rf"\textbf{{{_latex(text)}}}" if (i, j) in strong else _latex(text) for j, text in enumerate(row))
        lines.append(_latex_line(cells))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def comma_separated(header: Sequence[str], rows: Rows) -> str:
    """Return CSV (RFC 4180 with line feeds only), with formulas quoted for spreadsheets."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in (header, *rows):
        writer.writerow([cell if _is_number(cell) else spreadsheet_safe(cell) for cell in row])
    return text.getvalue()


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", _one_line(text))


def _latex_line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _one_line(text: str) -> str:
    return " ".join(text.split())
