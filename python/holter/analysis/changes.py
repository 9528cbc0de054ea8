"""Change points: the steps at which a training curve changes its level, and how sure that is.

A curve is taken for a smooth trend (a decay, as training curves have), a few changes of level (jumps, or ramps of up to
an eighth of the run) and autocorrelated noise with spikes. A change is reported if the best model with it is so
much better than the best without it, which may bend its trend instead, as noise alone hardly ever makes it. The
changes are placed with the library `ruptures` (Truong, Oudre and Vayatis, 2020).

What is so much better was measured on noise: white, autoregressive to 0.8, with heavy tails and skewed, of one size or
changing, alone and around decays. `docs/analysis.md` has the table. Nothing here is random.
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
"""Changes are searched together, since two may hide each other; also where fewer are asked for."""
_NEIGHBORHOOD = 10
"""The levels before and after are medians over one part of the series in so many."""
_FALSE_ALARMS = 0.05
_NEEDED = ((20, 60, 100, 200), (38.0, 38.0, 16.0, 8.0))
"""For so many values, the evidence that noise gives in fewer than 5 of 100 series."""
_TAIL = 0.5
"""By so much more of the evidence needed noise comes e times less often."""
_MAX_CONFIDENCE = 0.999
"""Rarer noise than one series in a thousand has not been looked at."""


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A change of level.

    Attributes:
        step: The first step of the new level; the middle of a ramp.
        confidence: 1 minus the share of series of pure noise in which something as clear is found; 0 to 0.999.
        before: The level before, as a median.
        after: The level after.
        width: Over how many steps the level changes; 0 for a jump.
    """

    step: int
    confidence: float
    before: float
    after: float
    width: int


def change_points(
    steps: npt.ArrayLike, values: npt.ArrayLike, *, max_points: int = 5, min_confidence: float = 0.95
) -> list[ChangePoint]:
    """Return the changes of level of a series, by step.

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,); NaN and infinities are passed over. Of fewer than 20 finite ones nothing is said.
        max_points: Return at most so many, those that stand out most.
        min_confidence: Return only those of at least this confidence.

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
    """Return the change of level that stands out most; None if none does.

    For a family of layers give it `family_mean(members)`.

    Args:
        steps: Shape (n,), integers, strictly ascending.
        values: Shape (n,); NaN and infinities are passed over.
        min_confidence: The least confidence.

    Raises:
        ImportError: If `ruptures` is not installed.
        TypeError: If a step is not an integer.
        ValueError: As for `change_points`.
    """
    found = _found(steps, values, 1, min_confidence)
    return found[0] if found else None


def _found(steps: npt.ArrayLike, values: npt.ArrayLike, max_points: int, min_confidence: float) -> list[ChangePoint]:
    """The changes with the most evidence, by step."""
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


def _best_number(terms: Design, most: int, ruptures: Any) -> Model:
    """The model whose changes, taken together, are most above what noise would make of so many."""
    needed = _needed(len(terms.values))
    best, best_balance, balance = None, -math.inf, 0.0
    for model, evidence in search(terms, most, ruptures):
        balance += evidence - (needed if model.changes else 0)
        if balance > best_balance:
            best, best_balance = model, balance
    assert best is not None  # noqa: S101  the model without changes comes first
    return best


def _needed(count: int) -> float:
    return float(np.interp(count, *_NEEDED))


def _confidence(evidence: float, count: int) -> float:
    needed = _needed(count)
    alarms = _FALSE_ALARMS * math.exp(min(100.0, (1 - evidence / needed) / _TAIL))
    return min(_MAX_CONFIDENCE, 1 - min(1.0, alarms))


def _place(prepared: Curve, terms: Design, change: int, values: FloatArray) -> tuple[int, int, int]:
    """Where a change begins, has its middle, and ends, as positions of points; all the same for a jump."""
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
    """The change in steps, with the levels that it parts; `around` are the points between its neighbors."""
    begin, middle, end = place
    reach = max(len(values) // _NEIGHBORHOOD, 4)
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
    """The position at which two levels part with the smallest squares, of those near the guess."""
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
