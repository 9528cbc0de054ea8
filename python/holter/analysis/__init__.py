"""Analysis of series: numpy in, numpy out; comparison of runs.

ema, rolling         smoothing in steps            across, over_window  bands over a group or a window
families             one metric of many layers     natural_key          sort key: layer_2 before layer_10
change_points        changes of level              phase_transition     the most significant change
trend, rank_trend    start, end and slope          family_mean          mean of the layers at each step
share_above          how often a is above b        divergence_step      first step of a lasting difference
compare              comparison table of runs      run_labels           unique labels of runs
"""

from holter.analysis._cells import Cell, Row
from holter.analysis.bands import Band, BandKind, across, over_window
from holter.analysis.changes import ChangePoint, change_points, phase_transition
from holter.analysis.comparison import Comparison, compare
from holter.analysis.families import Family, families, natural_key
from holter.analysis.labels import run_labels
from holter.analysis.smoothing import Rolling, ema, rolling
from holter.analysis.trends import Trend, divergence_step, family_mean, rank_trend, share_above, trend

__all__ = [
    "Band",
    "BandKind",
    "Cell",
    "ChangePoint",
    "Comparison",
    "Family",
    "Rolling",
    "Row",
    "Trend",
    "across",
    "change_points",
    "compare",
    "divergence_step",
    "ema",
    "families",
    "family_mean",
    "natural_key",
    "over_window",
    "phase_transition",
    "rank_trend",
    "rolling",
    "run_labels",
    "share_above",
    "trend",
]
