"""Draws a chart of `holter.plots` as lines of text: braille in a frame for lines and bands, cells for a heatmap."""

from holter.cli.drawing.chart import draw
from holter.cli.drawing.paper import Paper, Segment

__all__ = ["Paper", "Segment", "draw"]
