"""Validation of the arguments of every analysis: ascending steps with one value each.

NaN and infinite values are accepted here; each analysis documents how it treats them. Steps may be any 64-bit
integers: `offsets` and `gaps` compute differences without overflow.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

BoolArray: TypeAlias = npt.NDArray[np.bool_]
IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]


def points(steps: npt.ArrayLike, values: npt.ArrayLike) -> tuple[IntArray, FloatArray]:
    """Return steps and values as int64 and float64 arrays of shape (n,), without a copy if they are already.

    Raises:
        TypeError: If a step is not an integer or a value is not a real number.
        ValueError: If the two differ in length, are not one-dimensional, or the steps do not ascend strictly.
    """
    step_array: IntArray = _checked(steps, "steps", np.int64, "integers").astype(np.int64, copy=False)
    value_array: FloatArray = _checked(values, "values", np.float64, "real numbers").astype(np.float64, copy=False)
    if len(step_array) != len(value_array):
        raise ValueError(f"steps and values must have the same length, got {len(step_array)} and {len(value_array)}")
    if not np.all(step_array[1:] > step_array[:-1]):
        raise ValueError("steps must ascend strictly, as the steps of a Series do")
    return step_array, value_array


def offsets(steps: IntArray) -> npt.NDArray[np.uint64]:
    """Return the distance of each step from the first, exact even if it exceeds int64."""
    unsigned = np.ascontiguousarray(steps).view(np.uint64)
    return unsigned - unsigned[:1] if len(steps) else unsigned


def gaps(steps: IntArray) -> FloatArray:
    """Return the n - 1 distances between neighboring steps, each at least 1."""
    return np.diff(np.ascontiguousarray(steps).view(np.uint64)).astype(np.float64)


def median(values: FloatArray) -> float:
    """Return the median of at least one finite value. Adds halves, so that the largest floats do not overflow."""
    ordered = np.sort(values)
    return float(0.5 * ordered[(len(ordered) - 1) // 2] + 0.5 * ordered[len(ordered) // 2])


def stretch_medians(values: FloatArray, bounds: IntArray) -> FloatArray:
    """Return the median of each stretch `values[bounds[i]:bounds[i + 1]]`; their lengths must be nearly equal."""
    counts = np.diff(bounds)
    if counts.max() == 1:
        return values.copy()
    places = bounds[:-1, np.newaxis] + np.arange(counts.max())
    table = values[np.minimum(places, bounds[1:, np.newaxis] - 1)]
    table[places >= bounds[1:, np.newaxis]] = np.inf
    table.sort(axis=1)
    rows = np.arange(len(counts))
    medians: FloatArray = 0.5 * table[rows, (counts - 1) // 2] + 0.5 * table[rows, counts // 2]
    return medians


def _checked(array: npt.ArrayLike, what: str, kind: type, expected: str) -> npt.NDArray[Any]:
    given = np.asarray(array)
    if given.ndim != 1:
        raise ValueError(f"{what} must be one-dimensional, got shape {given.shape}")
    if len(given) and not np.can_cast(given.dtype, kind, "same_kind"):
        raise TypeError(f"{what} must be {expected}, got {given.dtype}")
    return given
