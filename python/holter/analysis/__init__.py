"""Analysis of series: numpy in, numpy out.

ema, rolling         smoothing in steps            across, over_window  bands over a group or a window
families             one metric of many layers     natural_key          names in the order of their numbers
"""

from .bands import Band, BandKind, across, over_window
from .families import Family, families, natural_key
from .smoothing import Rolling, ema, rolling

__all__ = [
    "Band",
    "BandKind",
    "Family",
    "Rolling",
    "across",
    "ema",
    "families",
    "natural_key",
    "over_window",
    "rolling",
]
