"""What of an axis is shown when it is not everything, and it says what it leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holter.plots.chart import FloatArray, Line

LOWEST_PERCENT, HIGHEST_PERCENT = 1.0, 99.0
_MARGIN = 0.06


def trimmed_range(lines: Sequence[Line], *, log_y: bool) -> tuple[tuple[float, float] | None, str]:
    """Return the range from the 1st to the 99th percentile of all that the lines show, and a note of what is outside.

    None and no note if nothing is outside.
    """
    columns = [column for line in lines for column in (line.y, line.lower, line.upper) if column is not None]
    values = np.concatenate([np.empty(0), *columns])
    values = values[np.isfinite(values) & ((values > 0) | (not log_y))]
    if not len(values):
        return None, ""
    low, high = percent_range(values)
    if log_y:
        ratio = (high / low) ** _MARGIN
        low, high = low / ratio, high * ratio
    else:
        margin = (high - low) * _MARGIN
        low, high = low - margin, high + margin
    outside = int(((values < low) | (values > high)).sum())
    if not outside or low >= high:
        return None, ""
    return (low, high), f"y-axis without outliers: {outside:,} of {len(values):,} values are outside"


def percent_range(values: FloatArray) -> tuple[float, float]:
    """Return the 1st and the 99th percentile of finite values; (0, 1) if there are none."""
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, (LOWEST_PERCENT, HIGHEST_PERCENT))
    return float(low), float(high)
