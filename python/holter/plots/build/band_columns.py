"""Computes a band on the grid of the reading: over members, or over a trailing window of a single member."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from holter import analysis
from holter.plots.build.reading import finite_counts

if TYPE_CHECKING:
    from holter import Buckets
    from holter.plots.build.chart import FloatArray, IntArray
    from holter.plots.build.reading import Key, Reading

BandKind: TypeAlias = Literal["std", "quantile", "minmax"]
Across: TypeAlias = Literal["series", "runs", "both"]
_Column: TypeAlias = Literal["means", "minima", "maxima"]
_Member: TypeAlias = "tuple[IntArray, FloatArray]"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The definition of a band; the attributes are the arguments of `band_chart`."""

    kind: BandKind
    across: Across
    quantiles: tuple[float, float]
    window: float
    half_life: float

    @property
    def spread(self) -> str:
        """A description of center and borders, such as `mean ± std`."""
        if self.kind == "quantile":
            return f"median, {self.quantiles[0] * 100:g}–{self.quantiles[1] * 100:g} %"
        return "mean ± std" if self.kind == "std" else "mean, min–max"


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A band: the first step (int64) of each bucket, with center and borders (float64)."""

    steps: IntArray
    centers: FloatArray
    lowers: FloatArray
    uppers: FloatArray


def band_columns(reading: Reading, keys: list[Key], recipe: Recipe, steps: IntArray) -> Columns:
    """Return the band over the series `keys`.

    Args:
        reading: The buckets of the series.
        keys: The series.
        recipe: The definition of the band.
        steps: The first step of each bucket of `reading.shown` in which any of the series has a point, ascending.
    """
    shown = {key: [reading.shown[key]] for key in keys}
    if len(keys) > 1 and not recipe.half_life:
        return _over_members(shown, recipe)
    parts = {key: reading.parts(key) for key in keys}
    columns = _over_window(parts[keys[0]], recipe) if len(keys) == 1 else _over_members(parts, recipe)
    if recipe.half_life:
        columns = _smoothed(columns, parts, recipe)
    # The band was computed on the finer grid of the reading: take its value at the end of each drawn bucket.
    at = np.searchsorted(columns.steps, steps + reading.width) - 1
    picked = Columns(steps, columns.centers[at], columns.lowers[at], columns.uppers[at])
    if recipe.kind == "minmax" and len(keys) > 1:
        borders = _over_members(shown, recipe)
        return replace(picked, lowers=borders.lowers, uppers=borders.uppers)
    return picked


def _over_members(parts: dict[Key, list[Buckets]], recipe: Recipe) -> Columns:
    members = _members(parts, "means", recipe.across)
    band = analysis.across(members, recipe.kind, quantiles=recipe.quantiles)
    if recipe.kind != "minmax":
        return Columns(band.steps, band.centers, band.lowers, band.uppers)
    # The mean of a bucket would hide a spike of a single step.
    lowers = analysis.across(_members(parts, "minima", recipe.across), "minmax").lowers
    uppers = analysis.across(_members(parts, "maxima", recipe.across), "minmax").uppers
    return Columns(band.steps, band.centers, lowers, uppers)


def _members(parts: dict[Key, list[Buckets]], column: _Column, across: Across) -> list[_Member]:
    """The members of a band: the series, or their averages by name or by run."""
    joined = {key: _joined(pieces, column) for key, pieces in parts.items()}
    if across == "both":
        return list(joined.values())
    place = 1 if across == "series" else 0
    groups: dict[object, list[_Member]] = {}
    for key, member in joined.items():
        groups.setdefault(key[place], []).append(member)
    averages = (analysis.across(group, "minmax") for group in groups.values())
    return [(average.steps, average.centers) for average in averages]


def _joined(pieces: list[Buckets], column: _Column) -> _Member:
    if len(pieces) == 1:
        return pieces[0].steps, getattr(pieces[0], column)
    return (
        np.concatenate([piece.steps for piece in pieces]),
        np.concatenate([getattr(piece, column) for piece in pieces]),
    )


def _over_window(pieces: list[Buckets], recipe: Recipe) -> Columns:
    """The band of a single series; exact even if read in buckets, except for quantiles."""
    steps, means = _joined(pieces, "means")
    band = analysis.over_window(steps, means, recipe.window, recipe.kind, quantiles=recipe.quantiles)
    columns = Columns(band.steps, band.centers, band.lowers, band.uppers)
    if all(piece.width == 1 for piece in pieces) or recipe.kind == "quantile":
        return columns
    counts = np.concatenate([finite_counts(piece) for piece in pieces])
    sums = np.concatenate([piece.sums for piece in pieces])
    square_sums = np.concatenate([piece.square_sums for piece in pieces])
    centers, stds = _rolling_moments(steps, counts, sums, square_sums, recipe.window)
    if recipe.kind == "std":
        return replace(columns, centers=centers, lowers=centers - stds, uppers=centers + stds)
    lowers = analysis.over_window(steps, _joined(pieces, "minima")[1], recipe.window, "minmax").lowers
    uppers = analysis.over_window(steps, _joined(pieces, "maxima")[1], recipe.window, "minmax").uppers
    return replace(columns, centers=centers, lowers=lowers, uppers=uppers)


def _rolling_moments(
    steps: IntArray, counts: IntArray, sums: FloatArray, square_sums: FloatArray, window: float
) -> tuple[FloatArray, FloatArray]:
    """Mean and population std of all points in the buckets that start in (step - window, step]."""
    total = int(counts.sum())
    shift = float(sums.sum()) / total if total else 0.0  # prevents cancellation in the difference of squares
    shifted = sums - shift * counts
    squares = square_sums - 2.0 * shift * sums + shift * shift * counts
    lefts = np.searchsorted(steps, steps - window, side="right")
    rights = np.arange(1, len(steps) + 1)
    n, s, q = (np.r_[0, np.cumsum(column)] for column in (counts, shifted, squares))
    with np.errstate(divide="ignore", invalid="ignore"):
        within = (n[rights] - n[lefts]).astype(np.float64)
        means = (s[rights] - s[lefts]) / within
        variances = (q[rights] - q[lefts]) / within - means**2
    return means + shift, np.sqrt(np.maximum(variances, 0.0))


def _smoothed(columns: Columns, parts: dict[Key, list[Buckets]], recipe: Recipe) -> Columns:
    """The band with smoothed curves, except for the borders of min–max, which must show spikes."""
    weights = np.zeros(len(columns.steps), np.int64)
    for pieces in parts.values():
        for piece in pieces:
            weights[np.searchsorted(columns.steps, piece.steps)] += finite_counts(piece)

    def smooth(values: FloatArray) -> FloatArray:
        return analysis.ema(columns.steps, values, recipe.half_life, counts=weights)

    if recipe.kind == "minmax":
        return replace(columns, centers=smooth(columns.centers))
    return Columns(columns.steps, smooth(columns.centers), smooth(columns.lowers), smooth(columns.uppers))
