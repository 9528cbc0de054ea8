"""A canvas of braille: each character has two columns and four rows of dots, and one colour."""

from __future__ import annotations

__all__ = ["BRAILLE", "DOTS_ACROSS", "DOTS_DOWN", "Canvas"]

DOTS_ACROSS, DOTS_DOWN = 2, 4
BRAILLE = 0x2800
"""Unicode's braille without a dot; each dot is a bit above it."""
# Bit of the dot at [row][column], by Unicode's numbering of the dots.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Canvas:
    """Dots, counted from the upper left corner.

    Args:
        columns: Its width in characters.
        rows: Its height in characters.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._bits = [[0] * columns for _ in range(rows)]
        self._colours = [[""] * columns for _ in range(rows)]

    @property
    def width(self) -> int:
        """Its width in dots."""
        return self.columns * DOTS_ACROSS

    @property
    def height(self) -> int:
        """Its height in dots."""
        return self.rows * DOTS_DOWN

    def dot(self, x: int, y: int, colour: str) -> None:
        """Set a dot; the character that it is in takes the colour. One beside the canvas is left out."""
        if 0 <= x < self.width and 0 <= y < self.height:
            row, column = y // DOTS_DOWN, x // DOTS_ACROSS
            self._bits[row][column] |= _BITS[y % DOTS_DOWN][x % DOTS_ACROSS]
            self._colours[row][column] = colour

    def line(self, start: tuple[int, int], end: tuple[int, int], colour: str) -> None:
        """Set the dots from one to another, both included."""
        (x, y), (to_x, to_y) = start, end
        count = max(abs(to_x - x), abs(to_y - y), 1)
        for index in range(count + 1):
            self.dot(x + round((to_x - x) * index / count), y + round((to_y - y) * index / count), colour)

    def character(self, row: int, column: int) -> tuple[str, str]:
        """Return what is at a place, a space where no dot is, and its colour."""
        bits = self._bits[row][column]
        return (chr(BRAILLE + bits) if bits else " ", self._colours[row][column])
