"""The two kinds of functions that a training curve is put together from: smooth trends, and changes of level.

Trends are what a run does without any event: constant, linear, quadratic, cubic, and decays that are steep at the
start of the run and flatten, exp(-2^j t) and log(1 + 2^j t), one such term or two or all. At the time t such
terms can form nothing much shorter than t itself: a drop in the middle of a run is none of theirs. Changes are jumps,
and ramps of a few lengths, at each place.
"""

from dataclasses import dataclass

import numpy as np

from holter.analysis._change_curve import Curve
from holter.analysis._points import FloatArray

_MIN_POINTS_FOR_FULL = 40
_TINY = 1e-6
"""Added to the variances, of which none is 0 therefore."""
_RAMPS = (32, 16, 11, 8)
"""Ramps are as long as one part of the run in so many."""


@dataclass(frozen=True, slots=True, eq=False)
class Trends:
    """Trends of one number of terms.

    Attributes:
        bases: Shape (trends, n, terms): the terms of each, orthonormal, weighted like the curve's values.
        residuals: Shape (trends, n): the curve without its best fit by each.
    """

    bases: FloatArray
    residuals: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """What a curve may consist of.

    Attributes:
        values: Shape (n,): the curve.
        floor: The variance of what is too small to matter.
        trends: All trends, by their number of terms, ascending; the first is the constant alone.
        changes: Shape (lengths, places, n): the changes, weighted like the curve's values. A change is known by its
            number: that of its length times the number of places, plus that of its place.
        squares: Shape (lengths, places): their sums of squares.
        lengths: Over how many places they rise, ascending; 0, a jump, is the first.
        margin: Changes are at least so many places from either end and from each other.
    """

    values: FloatArray
    floor: float
    trends: list[Trends]
    changes: FloatArray
    squares: FloatArray
    lengths: tuple[int, ...]
    margin: int

    @property
    def flat(self) -> FloatArray:
        """The changes by their numbers, shape (lengths * places, n)."""
        return self.changes.reshape(-1, self.changes.shape[2])

    def place(self, change: int) -> int:
        """Return at which place a change jumps, or is half up."""
        return self.margin + change % int(self.changes.shape[1])

    def length(self, change: int) -> int:
        """Return over how many places a change rises; 0 for a jump."""
        return self.lengths[change // int(self.changes.shape[1])]


def design(curve: Curve) -> Design:
    """Return what the curve may consist of."""
    count = len(curve.values)
    weights = 1 / curve.sizes
    trends = []
    for terms in _trends(curve.times):
        bases = np.linalg.qr(terms * weights[:, np.newaxis])[0]
        fits = bases @ (bases.transpose(0, 2, 1) @ curve.values)[..., np.newaxis]
        trends.append(Trends(bases, curve.values - fits[..., 0]))
    margin = max(4, count // 20)
    places = np.arange(margin, count - margin + 1)
    lengths = (0, *(count // part for part in _RAMPS if count // part >= 3))
    distance = np.arange(count) - places[:, np.newaxis] + 0.5
    shapes = [np.heaviside(distance, 1) if not length else np.clip(distance / length + 0.5, 0, 1) for length in lengths]
    changes = np.stack(shapes) * weights
    return Design(
        curve.values,
        curve.floor + _TINY,
        trends,
        changes,
        np.einsum("ijk,ijk->ij", changes, changes),
        lengths,
        margin,
    )


def _trends(t: FloatArray) -> list[FloatArray]:
    """The terms of all trends, stacked by their number: shape (trends, n, terms)."""
    one = np.ones_like(t)
    exponentials = [np.exp(-t * 2.0**j) for j in range(1, 9)]
    decays = exponentials + [np.log1p(t * 2.0**j) for j in range(1, 10)]
    pairs = [(exponentials[i], exponentials[j]) for j in range(8) for i in range(j - 1)]
    by_number = [
        [[one]],
        [[one, term] for term in (t, *decays)],
        [*([one, t, decay] for decay in decays), [one, t, t**2]],
        [*([one, t, *pair] for pair in pairs), [one, t, t**2, t**3]],
    ]
    stacked = [np.stack([np.stack(terms, axis=1) for terms in trends]) for trends in by_number]
    if len(t) >= _MIN_POINTS_FOR_FULL:
        full = np.stack([one, t, t**2, t**3, *(np.exp(-t * 2.0**j) for j in range(2, 11))], axis=1)
        stacked.append(full[np.newaxis])
    return stacked
