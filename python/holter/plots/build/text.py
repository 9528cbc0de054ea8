"""Texts that come from a run, made fit to be shown: bounded, printable, and never taken for markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEGEND_CHARACTERS, TITLE_CHARACTERS, HOVER_CHARACTERS = 48, 80, 160
_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "%": "&#37;", "$": "&#36;"})
_JOINER = "\u200d"


def printable(text: str) -> str:
    """Return the text on one line, with what has no glyph (control characters, direction marks) as U+FFFD."""
    return "".join(char if char.isprintable() or char == _JOINER else "\ufffd" for char in text)


def shortened(text: str, characters: int) -> str:
    """Return at most so many characters of a text, its middle left out: names differ at their ends."""
    if len(text) <= characters:
        return printable(text)
    head = (characters - 1) // 2
    return printable(text[:head]) + "…" + printable(text[len(text) - (characters - 1 - head) :])


def plotly_text(text: str, characters: int = HOVER_CHARACTERS) -> str:
    """Return a text that plotly shows as it is.

    Plotly takes `<b>`, `<a href>`, `<br>` and entities for markup, `%{...}` for a template, and `$...$` for a formula
    where MathJax is on the page. Entities are decoded after all of these.
    """
    return shortened(text, characters).translate(_MARKUP)


def distinct_parts(names: Sequence[str]) -> list[str]:
    """Return the names without the beginning and the end that all have in common, cut at `/` and `.` alone."""
    if len(names) < 2:
        return list(names)
    begin = _common_length(names)
    rests = [name[begin:] for name in names]
    end = _common_length([rest[::-1] for rest in rests])
    parts = [rest[: len(rest) - end] for rest in rests]
    return parts if all(parts) else list(names)


def _common_length(names: Sequence[str]) -> int:
    """How many characters all names begin with, up to and with the last separator among them."""
    first, last = min(names), max(names)
    common = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return max(first.rfind("/", 0, common), first.rfind(".", 0, common)) + 1
