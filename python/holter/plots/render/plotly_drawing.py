"""Shared parts of the plotly renderer: the result of drawing a chart, typed arrays, and markers at its edges.

Arrays are base64 of little-endian bytes: half the size of decimal text, and they can contain NaN.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from holter.plots.build.chart import FloatArray, XArray

Trace: TypeAlias = dict[str, Any]
EDGE_AXIS = "y2"
"""A second y-axis from 0 to 1 over the first, for markers that stay at the edge at any zoom."""


@dataclass(slots=True)
class Extent:
    """The range of finite values.

    Attributes:
        largest: The largest magnitude; 0 without values.
        min_positive: The smallest positive value; infinity without any.
        max_positive: The largest positive value; 0 without any.
    """

    largest: float = 0.0
    min_positive: float = math.inf
    max_positive: float = 0.0

    def add(self, values: FloatArray) -> None:
        """Extend the range to the finite ones of `values`."""
        finite = values[np.isfinite(values)]
        if len(finite):
            self.largest = max(self.largest, float(np.abs(finite).max()))
        positive = finite[finite > 0]
        if len(positive):
            self.min_positive = min(self.min_positive, float(positive.min()))
            self.max_positive = max(self.max_positive, float(positive.max()))

    @property
    def decades(self) -> float:
        """The powers of ten that the positive values span."""
        return math.log10(self.max_positive) - math.log10(self.min_positive) if self.max_positive else 0.0


@dataclass(slots=True)
class Drawing:
    """The traces of a chart and what its layout depends on, collected in one pass over the chart.

    Attributes:
        traces: The traces, from back to front.
        labels: The labels in the legend.
        extent: The range of the y-axis.
        rows: The labels of a heatmap's rows.
    """

    traces: list[Trace] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    extent: Extent = field(default_factory=Extent)
    rows: list[str] = field(default_factory=list)


def typed_array(values: npt.NDArray[Any]) -> dict[str, str]:
    """Return an array for a trace; dates become milliseconds since 1970, as plotly's date axes expect.

    Args:
        values: One or two dimensions; floats, integers, booleans or datetime64.
    """
    if values.dtype.kind == "M":
        values = np.where(np.isnat(values), np.nan, epoch_millis(values))
    if values.dtype.kind == "b":
        kind = "u1"
    elif values.dtype == np.float32:
        kind = "f4"
    elif values.dtype.kind in "iu" and values.size and values.min() >= -(2**31) and values.max() < 2**31:
        kind = "i4"
    else:
        kind = "f8"
    encoded = base64.b64encode(np.ascontiguousarray(values, f"<{kind}").tobytes()).decode("ascii")
    array = {"dtype": kind, "bdata": encoded}
    if values.ndim == 2:
        array["shape"] = f"{values.shape[0]}, {values.shape[1]}"
    return array


def epoch_millis(times: Any) -> Any:
    """Return numpy datetimes as milliseconds since 1970, with microseconds as decimals."""
    return times.astype("datetime64[us]").astype(np.int64) / 1000.0


def edge_markers(x: XArray | list[str], texts: list[str], marker: Trace, role: str, y: float = 0.0) -> Trace:
    """Return markers at the lower (0) or the upper (1) edge of the chart."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x if isinstance(x, list) else typed_array(x),
        "y": typed_array(np.full(len(x), y)),
        "yaxis": EDGE_AXIS,
        "marker": marker,
        "cliponaxis": False,
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
        "meta": {"role": role},
    }
