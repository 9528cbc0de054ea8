"""Charts of runs: built once, drawn by notebooks, the report, the command line and the dashboard.

View                                         what the user looks through
line_chart, band_chart, heatmap_chart        builders: runs in, `Chart` out
to_plotly                                    renderers: `Chart` in, figure out
PALETTE                                      a run's colour, the same everywhere
"""

from holter.plots.bands import band_chart
from holter.plots.chart import Bars, Chart, Heatmap, Line, Mark, Nonfinite, Threshold
from holter.plots.heatmaps import heatmap_chart
from holter.plots.lines import line_chart
from holter.plots.palette import PALETTE
from holter.plots.plotly_figure import to_plotly
from holter.plots.view import View

__all__ = [
    "PALETTE",
    "Bars",
    "Chart",
    "Heatmap",
    "Line",
    "Mark",
    "Nonfinite",
    "Threshold",
    "View",
    "band_chart",
    "heatmap_chart",
    "line_chart",
    "to_plotly",
]
