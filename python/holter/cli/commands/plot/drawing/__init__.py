"""Draws a chart of `holter.plots` as lines of text: braille in a frame for lines and bands, cells for a heatmap."""

from holter.cli.commands.plot.drawing.chart import draw
from holter.cli.commands.plot.drawing.paper import Paper, Segment

__all__ = ["Paper", "Segment", "draw"]
