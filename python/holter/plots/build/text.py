"""Texts of a run prepared for display: bounded, printable, and free of markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holter._text import shortened, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

LEGEND_CHARACTERS, TITLE_CHARACTERS, HOVER_CHARACTERS = 48, 80, 160
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "%": "&#37;", "$": "&#36;"})


def display_text(text: str, max_chars: int) -> str:
    """Return a text on one line with unprintable characters escaped, shortened to `max_chars`."""
    return shortened(visible(text), max_chars)


def plotly_text(text: str, max_chars: int = HOVER_CHARACTERS) -> str:
    """Return a text that plotly displays unchanged.

    Plotly interprets `<b>`, `<a href>`, `<br>` and entities as markup, `%{...}` as a template, and `$...$` as a formula
    if MathJax is on the page. It decodes entities last.
    """
    return display_text(text, max_chars).translate(_MARKUP)


def distinct_parts(names: Sequence[str]) -> list[str]:
    """Return the names without their common prefix and suffix, cut only at `/` and `.`."""
    if len(names) < 2:
        return list(names)
    begin = _common_length(names)
    rests = [name[begin:] for name in names]
    end = _common_length([rest[::-1] for rest in rests])
    parts = [rest[: len(rest) - end] for rest in rests]
    return parts if all(parts) else list(names)


def _common_length(names: Sequence[str]) -> int:
    """The length of the common prefix of all names, up to and including its last separator."""
    first, last = min(names), max(names)
    common = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return max(first.rfind("/", 0, common), first.rfind(".", 0, common)) + 1
