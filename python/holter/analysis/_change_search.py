"""Search for the best model of a trend and a few changes, for each number of changes.

Alternates between placing the changes given the trend (exactly, with `ruptures`, by dynamic programming) and fitting
the trend given the changes, from several starting points, until neither changes. Then moves each change, as a jump or
a ramp, to the best place nearby. The evidence for an additional change is the difference in cost between the two
models under the noise of the one with more changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from holter.analysis._change_design import Design, Trends
from holter.analysis._change_evidence import CHANGE_PARAMETERS, autoregression, cost
from holter.analysis._points import FloatArray

_RAMP_PRICE = 10
"""A ramp is preferred only if it explains this much more than a jump, in units of the noise variance."""
_TURNS = 2
_MIN_TRIED = 3
"""Numbers of changes to try before the search may end: two changes can mask each other."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A trend, changes, and the cost of explaining the curve with them.

    Attributes:
        changes: The numbers of the design's changes, ordered by place.
        coefficients: The autoregression of the noise.
        cost: See `_change_evidence.cost`.
        trend: The orthonormal terms of the trend.
        leveled: Shape (n,): the curve minus the trend.
    """

    changes: tuple[int, ...]
    coefficients: FloatArray
    cost: float
    trend: FloatArray
    leveled: FloatArray


def search(design: Design, max_changes: int, ruptures: Any) -> Iterator[tuple[Model, float]]:
    """Yield the best model with 0, 1, 2, ... changes and its evidence against the model with one change fewer."""
    best = best_model(design, ())
    yield best, 0.0
    misses = 0
    for number in range(1, max_changes + 1):
        if len(design.values) < 2 * (number + 1) * design.margin:
            return
        richer = _best_of(design, number, best, ruptures)
        evidence = best_model(design, best.changes, richer.coefficients).cost - richer.cost
        yield richer, evidence
        best = richer
        misses = misses + 1 if evidence < 0 else 0
        if misses >= 2 and number >= _MIN_TRIED:
            return


def evidence_of_each(design: Design, model: Model) -> list[float]:
    """Return the evidence for each of the model's changes: the extra cost of the best model without it."""
    others = (tuple(c for c in model.changes if c != change) for change in model.changes)
    return [best_model(design, rest, model.coefficients).cost - model.cost for rest in others]


def best_model(design: Design, changes: tuple[int, ...], coefficients: FloatArray | None = None) -> Model:
    """Return the best model with these changes, under the given noise; under each model's own noise if None."""
    best: Model | None = None
    for trends in design.trends:
        chosen, residuals, heights = _best_trend(design, trends, changes)
        num_terms = trends.bases.shape[2]
        noise = coefficients
        if noise is None:
            noise = autoregression(residuals, num_terms + CHANGE_PARAMETERS * len(changes))
        model_cost = cost(residuals, noise, num_terms, len(changes), design.floor)
        if best is None or model_cost < best.cost:
            leveled = residuals + heights @ design.flat[list(changes)]
            best = Model(changes, noise, model_cost, trends.bases[chosen], leveled)
    assert best is not None  # noqa: S101  the constant is always among the trends
    return best


def _best_trend(design: Design, trends: Trends, changes: tuple[int, ...]) -> tuple[int, FloatArray, FloatArray]:
    """The index of the trend with the least squares given these changes, its residuals, and the changes' heights."""
    if not changes:
        chosen = int(np.argmin(np.einsum("ij,ij->i", trends.residuals, trends.residuals)))
        return chosen, trends.residuals[chosen], np.zeros(0)
    columns = design.flat[list(changes)].T
    left = columns - trends.bases @ (trends.bases.transpose(0, 2, 1) @ columns)
    normal = left.transpose(0, 2, 1) @ left + 1e-9 * np.eye(len(changes))
    heights = np.linalg.solve(normal, left.transpose(0, 2, 1) @ trends.residuals[..., np.newaxis])
    residuals: FloatArray = trends.residuals - (left @ heights)[..., 0]
    chosen = int(np.argmin(np.einsum("ij,ij->i", residuals, residuals)))
    height: FloatArray = heights[chosen, :, 0].astype(np.float64, copy=False)
    return chosen, residuals[chosen], height


def _best_of(design: Design, number: int, poorer: Model, ruptures: Any) -> Model:
    constant, full = design.trends[0], design.trends[-1]
    starts = [
        (constant.bases[0], constant.residuals[0]),
        (full.bases[0], full.residuals[0]),
        (poorer.trend, poorer.leveled),
    ]
    tried: dict[tuple[int, ...], Model] = {}
    for start, (trend, leveled) in enumerate(starts):
        if any(np.array_equal(leveled, earlier) for _, earlier in starts[:start]):
            continue
        for _ in range(_TURNS):
            changes = _refined(design, trend, _placed(design, leveled, number, ruptures))
            if changes in tried:
                break
            model = tried[changes] = best_model(design, changes)
            trend, leveled = model.trend, model.leveled  # noqa: PLW2901  the next turn starts from here
    return min(tried.values(), key=lambda model: model.cost)


def _placed(design: Design, leveled: FloatArray, number: int, ruptures: Any) -> list[int]:
    """The jumps that divide a curve into segments with the least squares."""
    detector = ruptures.KernelCPD(kernel="linear", min_size=design.margin).fit(leveled[:, np.newaxis])
    return [int(place) - design.margin for place in detector.predict(n_bkps=number)[:-1]]


def _refined(design: Design, trend: FloatArray, changes: list[int]) -> tuple[int, ...]:
    """The changes, each moved to the place and length that explain most, given the others."""
    changes = list(changes)
    for _ in range(min(2, len(changes))):
        before = list(changes)
        for index in range(len(changes)):
            others = changes[:index] + changes[index + 1 :]
            basis = np.linalg.qr(np.column_stack([trend, design.flat[others].T]))[0] if others else trend
            changes[index] = _best_near(design, basis, changes[index], others)
        if changes == before:
            break
    return tuple(sorted(changes, key=design.place))


def _best_near(design: Design, basis: FloatArray, change: int, others: list[int]) -> int:
    """The change within an eighth of the curve around `change` that explains most of what the basis does not."""
    num_places = int(design.changes.shape[1])
    reach = len(design.values) // 8
    middle = change % num_places
    first, end = max(0, middle - reach), min(num_places, middle + reach + 1)
    for other in others:
        place = other % num_places
        if place < middle:
            first = max(first, place + design.margin)
        else:
            end = min(end, place - design.margin + 1)
    if first >= end:
        return change
    near = design.changes[:, first:end]
    residuals = design.values - basis @ (basis.T @ design.values)
    bent = near @ basis
    left = design.squares[:, first:end] - np.einsum("ijk,ijk->ij", bent, bent)
    # A change that the trend and the other changes nearly explain has no well-defined height.
    has_height = left > 1e-3 * design.squares[:, first:end]
    explained = np.where(has_height, (near @ residuals) ** 2, 0) / np.maximum(left, 1e-12)
    explained[1:] -= _RAMP_PRICE
    shape, place = divmod(int(np.argmax(explained)), end - first)
    return shape * num_places + first + place
