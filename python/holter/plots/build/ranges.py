"""Axis ranges without outliers, with a note on the number of omitted values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holter.plots.build.chart import FloatArray, Line
    from holter.plots.build.view import View

_PERCENTS = (1.0, 99.0)
_MARGIN = 0.06


def trimmed_range(lines: Sequence[Line], view: View) -> tuple[tuple[float, float] | None, str]:
    """Return the range from the 1st to the 99th percentile of the lines' values, and a note on the values outside.

    The range is None and the note empty if the view keeps outliers, or if no value is outside.
    """
    if not view.trim_outliers:
        return None, ""
    values = np.concatenate([np.empty(0), *[column for line in lines for column in line.columns]])
    values = values[np.isfinite(values) & ((values > 0) | (not view.log_y))]
    low, high = percent_range(np.log10(values) if view.log_y else values)
    low, high = low - (high - low) * _MARGIN, high + (high - low) * _MARGIN
    if view.log_y:
        low, high = 10.0**low, 10.0**high
    outside = int(((values < low) | (values > high)).sum())
    if not outside or low >= high:
        return None, ""
    return (low, high), f"outliers trimmed: {outside:,} of {len(values):,} values are outside the y-axis"


def percent_range(values: FloatArray) -> tuple[float, float]:
    """Return the 1st and 99th percentile of finite values; 0 and 1 if there are none."""
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, _PERCENTS)
    return float(low), float(high)
