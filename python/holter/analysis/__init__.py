"""Analysis of series: numpy in, numpy out; runs side by side.

ema, rolling         smoothing in steps            across, over_window  bands over a group or a window
families             one metric of many layers     natural_key          names in the order of their numbers
change_points        where the level changes       phase_transition     the change that stands out most
trend, rank_trend    where a curve went            family_mean          the mean of the layers at each step
share_above          how often a is above b        divergence_step      from where on two curves differ
compare              the table of several runs    run_labels         what they are called side by side
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
