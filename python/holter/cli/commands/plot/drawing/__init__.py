"""Draws a chart of `holter.plots` as lines of text: braille in a frame for lines and bands, cells for a heatmap."""

from holter.cli.commands.plot.drawing.canvas import Canvas, Segment
from holter.cli.commands.plot.drawing.chart import draw

__all__ = ["Canvas", "Segment", "draw"]
