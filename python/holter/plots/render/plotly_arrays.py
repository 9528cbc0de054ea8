"""Arrays as plotly.js takes them: base64 of little-endian bytes, half the size of decimal text, NaN included."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def typed_array(values: npt.NDArray[Any]) -> dict[str, str]:
    """Return an array for a trace; dates as milliseconds since 1970, which plotly's axes of dates take.

    Args:
        values: One or two dimensions; floats, integers, booleans or datetime64.
    """
    if values.dtype.kind == "M":
        values = np.where(np.isnat(values), np.nan, values.astype("datetime64[us]").astype(np.int64) / 1000.0)
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
