"""Change points: the steps at which a training curve changes its level, with a confidence.

A curve is modeled as the sum of a smooth trend (such as a decay), a few changes of level (jumps, or ramps of up to an
eighth of the run) and autocorrelated noise with spikes. A change is reported if the best model with it fits better than
the best model without it, whose trend may bend instead, by more than noise alone would cause. The changes are placed
with the library `ruptures` (Truong, Oudre and Vayatis, 2020).

The required evidence was measured on noise: white, autoregressive up to 0.8, heavy-tailed and skewed, of constant and
varying scale, alone and around decays; see the table in `docs/analysis.md`. The result is deterministic.
"""

import importlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from holter.analysis._change_curve import Curve, curve
from holter.analysis._change_design import Design, design
from holter.analysis._change_search import Model, evidence_of_each, search
from holter.analysis._points import FloatArray, IntArray, median, points

_MIN_POINTS = 20
_MIN_SEARCHED = 5
"""The minimum number of changes to search for, even if fewer are requested: two changes can mask each other."""
_LEVEL_SHARE = 10
"""The levels before and after are medians over this fraction (one in ten) of the series."""
_FALSE_ALARMS = 0.05
_REQUIRED = ((20, 60, 100, 200), (38.0, 38.0, 16.0, 8.0))
"""Numbers of values, and the evidence that noise exceeds in fewer than 5 of 100 series of each length."""
_TAIL = 0.5
"""The false alarm rate falls by a factor of e each time the evidence grows by this share of the required evidence."""
_MAX_CONFIDENCE = 0.999
"""The limit of the simulation: a thousand series."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A change of level.

    Attributes:
        step: The first step of the new level; the middle of a ramp.
        confidence: 1 minus the share of pure-noise series with at least as much evidence; 0 to 0.999.
        before: The level before the change, as a median.
        after: The level after the change, as a median.
        width: The number of steps over which the level changes; 0 for a jump.
    """

    step: int
    confidence: float
    before: float
    after: float
    width: int


def change_points(
    steps: npt.ArrayLike, values: npt.ArrayLike, *, max_points: int = 5, min_confidence: float = 0.95
) -> list[ChangePoint]:
    """Return the changes of level of a series, ordered by step.

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,); NaN and infinities are ignored. With fewer than 20 finite values the result is empty.
        max_points: The maximum number of changes; those with the most evidence are returned.
        min_confidence: The minimum confidence of the changes returned.

    Raises:
        ImportError: If `ruptures` is not installed.
        TypeError: If a step is not an integer.
        ValueError: If the shapes differ, the steps do not ascend, `max_points` is less than 1, or the confidence is
            not between 0 and 1.
    """
    return _found(steps, values, max_points, min_confidence)


def phase_transition(
    steps: npt.ArrayLike, values: npt.ArrayLike, *, min_confidence: float = 0.95
) -> ChangePoint | None:
    """Return the most significant change of level; None if none reaches the minimum confidence.

    For a family of layers pass the result of `family_mean(members)`.

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,); NaN and infinities are ignored.
        min_confidence: The minimum confidence.

    Raises:
        ImportError: If `ruptures` is not installed.
        TypeError: If a step is not an integer.
        ValueError: As for `change_points`.
    """
    found = _found(steps, values, 1, min_confidence)
    return found[0] if found else None


def _found(steps: npt.ArrayLike, values: npt.ArrayLike, max_points: int, min_confidence: float) -> list[ChangePoint]:
    """The changes with the most evidence, ordered by step."""
    if max_points < 1:
        raise ValueError(f"max_points must be at least 1, got {max_points}")
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence must be between 0 and 1, got {min_confidence}")
    step_array, value_array = points(steps, values)
    ruptures = _ruptures()
    is_finite = np.isfinite(value_array)
    step_array, value_array = step_array[is_finite], value_array[is_finite]
    if len(value_array) < _MIN_POINTS:
        return []
    prepared = curve(step_array, value_array)
    if prepared is None:
        return []
    terms = design(prepared)
    model = _best_number(terms, max(max_points, _MIN_SEARCHED), ruptures)
    limits = [0, *(int(prepared.bounds[terms.place(change)]) for change in model.changes), len(value_array)]
    each = evidence_of_each(terms, model)
    changes = []
    for index in sorted(sorted(range(len(each)), key=lambda index: -each[index])[:max_points]):
        confidence = _confidence(each[index], len(prepared.values))
        if confidence >= min_confidence:
            place = _place(prepared, terms, model.changes[index], value_array)
            around = limits[index], limits[index + 2]
            changes.append(_described(step_array, value_array, place, around, confidence))
    return changes


def _best_number(terms: Design, max_changes: int, ruptures: Any) -> Model:
    """The model whose total evidence exceeds the required evidence for its number of changes the most."""
    required = _required(len(terms.values))
    best, best_balance, balance = None, -math.inf, 0.0
    for model, evidence in search(terms, max_changes, ruptures):
        balance += evidence - (required if model.changes else 0)
        if balance > best_balance:
            best, best_balance = model, balance
    assert best is not None  # noqa: S101  the model without changes comes first
    return best


def _required(count: int) -> float:
    return float(np.interp(count, *_REQUIRED))


def _confidence(evidence: float, count: int) -> float:
    required = _required(count)
    alarms = _FALSE_ALARMS * math.exp(min(100.0, (1 - evidence / required) / _TAIL))
    return min(_MAX_CONFIDENCE, 1 - min(1.0, alarms))


def _place(prepared: Curve, terms: Design, change: int, values: FloatArray) -> tuple[int, int, int]:
    """The positions of a change's first, middle and last point; all equal for a jump."""
    place, length = terms.place(change), terms.length(change)
    bounds = prepared.bounds
    if not length:
        jump = _jump(values, int(bounds[place - 2]), int(bounds[place]), int(bounds[place + 2]))
        return jump, jump, jump
    last = len(values) - 1
    begin, end = bounds[max(place - length // 2, 0)], bounds[min(place + length // 2, len(bounds) - 1)]
    return int(begin), int(bounds[place]), min(int(end), last)


def _described(
    steps: IntArray, values: FloatArray, place: tuple[int, int, int], around: tuple[int, int], confidence: float
) -> ChangePoint:
    """The change in steps, with the levels before and after; `around` is the range between neighboring changes."""
    begin, middle, end = place
    reach = max(len(values) // _LEVEL_SHARE, 4)
    before = values[max(around[0], begin - reach) : begin]
    after = values[end : min(around[1], end + reach)]
    return ChangePoint(
        int(steps[middle]),
        confidence,
        median(before) if len(before) else float(values[begin]),
        median(after) if len(after) else float(values[end]),
        int(steps[end]) - int(steps[begin]),
    )


def _jump(values: FloatArray, first: int, guess: int, end: int) -> int:
    """The position near the guess that divides the values into two levels with the least squares."""
    part = values[first:end] / (np.abs(values[first:end]).max() or 1.0)
    low, high = np.quantile(part, (0.1, 0.9))
    part = np.clip(part, low, high)  # a spike is not a level
    if len(part) < 3 or low == high:
        return guess
    part = (part - low) / (high - low)
    counts = np.arange(1, len(part))
    sums = np.cumsum(part)[:-1]
    total = float(part.sum())
    between = sums**2 / counts + (total - sums) ** 2 / (len(part) - counts)
    return first + int(np.argmax(between)) + 1


def _ruptures() -> Any:
    try:
        return importlib.import_module("ruptures")
    except ImportError as error:
        raise ImportError("change points need ruptures: pip install 'holter[analysis]'") from error
