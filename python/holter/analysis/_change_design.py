"""The components of the model of a training curve: smooth trends and changes of level.

Trends model a run without events: constant, linear, quadratic, cubic, and decays that are steep at the start of the
run and flatten, exp(-2^j t) and log(1 + 2^j t), with one, two or all such terms. At time t these terms cannot form
features much shorter than t, so they cannot model a drop in the middle of a run. Changes are jumps and ramps of a few
lengths, at each position.
"""

from dataclasses import dataclass

import numpy as np

from holter.analysis._change_curve import Curve
from holter.analysis._points import FloatArray

_MIN_POINTS_FOR_FULL = 40
_TINY = 1e-6
"""Added to the variances to keep them above 0."""
_RAMPS = (32, 16, 11, 8)
"""Lengths of the ramps: the run's length divided by each of these."""


@dataclass(frozen=True, slots=True, eq=False)
class Trends:
    """All trends with the same number of terms.

    Attributes:
        bases: Shape (trends, n, terms): orthonormal terms of each trend, weighted like the curve's values.
        residuals: Shape (trends, n): the curve minus its best fit by each trend.
    """

    bases: FloatArray
    residuals: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The components from which a model of a curve can be built.

    Attributes:
        values: Shape (n,): the curve.
        floor: The minimum variance of a model's innovations.
        trends: All trends, by ascending number of terms; the first has the constant only.
        changes: Shape (lengths, places, n): the changes, weighted like the curve's values. The number of a change is
            the index of its length times the number of places, plus the index of its place.
        squares: Shape (lengths, places): sums of squares of the changes.
        lengths: The number of places over which a change rises, ascending, starting with 0 for a jump.
        margin: The minimum distance in places between two changes and between a change and either end.
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
        """Return the place at which a change jumps, or the middle of its ramp."""
        return self.margin + change % int(self.changes.shape[1])

    def length(self, change: int) -> int:
        """Return the number of places over which a change rises; 0 for a jump."""
        return self.lengths[change // int(self.changes.shape[1])]


def design(curve: Curve) -> Design:
    """Return the components for a curve."""
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
    """The terms of all trends, grouped by number of terms: shape (trends, n, terms) each."""
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
