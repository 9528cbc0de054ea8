"""Charts of runs, shared by notebooks, the report, the command line and the dashboard.

View                                         window, x-axis and smoothing
line_chart, band_chart, heatmap_chart,
latest_chart, speed_chart                    builders: runs in, `Chart` out
overview_charts, build_chart                 the default charts of runs
to_plotly, to_matplotlib, save               renderers: `Chart` in, figure or file out
report                                       runs in, one HTML file out
PALETTE, THEMES                              colors of runs
"""

from holter.plots.build.bands import band_chart
from holter.plots.build.chart import Bars, Chart, Heatmap, Line, Mark, Nonfinite, Threshold
from holter.plots.build.heatmaps import heatmap_chart
from holter.plots.build.latest import latest_chart
from holter.plots.build.lines import line_chart
from holter.plots.build.overview import ChartRequest, build_chart, family_request, overview_charts
from holter.plots.build.palette import PALETTE, THEMES, Theme
from holter.plots.build.speed import speed_chart
from holter.plots.build.view import View
from holter.plots.render.matplotlib_figure import save, to_matplotlib
from holter.plots.render.plotly_figure import to_plotly
from holter.plots.report import report

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
