"""The canvas for a chart, and the styled segments that a line of text consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["ALARM", "LABEL_LIMIT", "MIN_COLUMNS", "NONFINITE", "QUIET", "Canvas", "Segment"]

NONFINITE = "×"
ALARM, QUIET = "red", "dim"
LABEL_LIMIT = 60
MIN_COLUMNS = 16
"""Minimum width of the picture beside its labels."""


class Segment(NamedTuple):
    """A piece of a line of text, and rich's style for it."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Canvas:
    """The size and the capabilities of the output.

    Attributes:
        columns: Characters across.
        rows: Characters down, for the picture without its labels.
        has_color: Whether the output shows colors.
        has_boxes: Whether the frame may use box drawing characters.
    """

    columns: int
    rows: int
    has_color: bool
    has_boxes: bool
