"""A grid of braille characters: each has two columns and four rows of dots, and one style."""

from __future__ import annotations

__all__ = ["BRAILLE", "DOTS_ACROSS", "DOTS_DOWN", "BrailleGrid"]

DOTS_ACROSS, DOTS_DOWN = 2, 4
BRAILLE = 0x2800
"""Unicode's blank braille pattern; each dot is a bit added to it."""
# The bit of the dot at [row][column], by Unicode's numbering of the dots.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class BrailleGrid:
    """Dots, counted from the upper left corner.

    Args:
        columns: The width in characters.
        rows: The height in characters.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._bits = [[0] * columns for _ in range(rows)]
        self._styles = [[""] * columns for _ in range(rows)]

    @property
    def width(self) -> int:
        """The width in dots."""
        return self.columns * DOTS_ACROSS

    @property
    def height(self) -> int:
        """The height in dots."""
        return self.rows * DOTS_DOWN

    def dot(self, x: int, y: int, style: str) -> None:
        """Set a dot and the style of its character; a dot outside the grid is ignored."""
        if 0 <= x < self.width and 0 <= y < self.height:
            row, column = y // DOTS_DOWN, x // DOTS_ACROSS
            self._bits[row][column] |= _BITS[y % DOTS_DOWN][x % DOTS_ACROSS]
            self._styles[row][column] = style

    def line(self, start: tuple[int, int], end: tuple[int, int], style: str) -> None:
        """Set the dots from start to end, both included."""
        (x, y), (to_x, to_y) = start, end
        count = max(abs(to_x - x), abs(to_y - y), 1)
        for index in range(count + 1):
            self.dot(x + round((to_x - x) * index / count), y + round((to_y - y) * index / count), style)

    def character(self, row: int, column: int) -> tuple[str, str]:
        """Return a character, a space if it has no dot, and its style."""
        bits = self._bits[row][column]
        return (chr(BRAILLE + bits) if bits else " ", self._styles[row][column])
