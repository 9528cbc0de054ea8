"""Charts of runs: built once, drawn by notebooks, the report, the command line and the dashboard.

View                                         what the user looks through
line_chart, band_chart, heatmap_chart,
latest_chart, speed_chart                    builders: runs in, `Chart` out
overview_charts, build_chart                 what is shown first of runs
to_plotly, to_matplotlib, save               renderers: `Chart` in, figure or file out
report                                       runs in, one HTML file out
PALETTE, THEMES                              a run's colour, the same everywhere
"""

from holter.plots.bands import band_chart
from holter.plots.chart import Bars, Chart, Heatmap, Line, Mark, Nonfinite, Threshold
from holter.plots.heatmaps import heatmap_chart
from holter.plots.latest import latest_chart
from holter.plots.lines import line_chart
from holter.plots.matplotlib_figure import save, to_matplotlib
from holter.plots.overview import ChartRequest, build_chart, family_request, overview_charts
from holter.plots.palette import PALETTE, THEMES, Theme
from holter.plots.plotly_figure import to_plotly
from holter.plots.report import report
from holter.plots.speed import speed_chart
from holter.plots.view import View

__all__ = [
    "PALETTE",
    "THEMES",
    "Bars",
    "Chart",
    "ChartRequest",
    "Heatmap",
    "Line",
    "Mark",
    "Nonfinite",
    "Theme",
    "Threshold",
    "View",
    "band_chart",
    "build_chart",
    "family_request",
    "heatmap_chart",
    "latest_chart",
    "line_chart",
    "overview_charts",
    "report",
    "save",
    "speed_chart",
    "to_matplotlib",
    "to_plotly",
]
