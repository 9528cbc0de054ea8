"""The rows of a comparison, each from what the runs have: a cell that is absent says why."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from holter._direction import Better, direction
from holter.analysis import _windows, naming
from holter.analysis._cells import Cell, Row, absent, row
from holter.analysis._points import FloatArray, IntArray
from holter.analysis._texts import number, setting, step_label, visible
from holter.analysis.changes import phase_transition
from holter.analysis.naming import LOSS, PERPLEXITY
from holter.analysis.smoothing import ema
from holter.analysis.trends import Trend, divergence_step, rank_trend, share_above

if TYPE_CHECKING:
    from holter import Run, Series

_SMOOTHED_PARTS = 50
"""Curves are told apart after smoothing with a half-life of one part of their steps in so many."""
_TOLERANCE = 0.01
_LOSSES = (LOSS, PERPLEXITY)


class Source:
    """A run and what has been read of it.

    Attributes:
        run: The run.
        label: Its name in the table.
        names: Its series.
    """

    def __init__(self, run: "Run", label: str) -> None:
        self.run = run
        self.label = label
        self.names = run.names()
        self._read: dict[str, Series] = {}

    def series(self, name: str) -> "Series":
        """Return a series; it is read once."""
        if name not in self._read:
            self._read[name] = self.run.series(name)
        return self._read[name]

    def find(self, split: naming.Split, *metrics: Sequence[str]) -> str | None:
        """Return the first of the metrics that the run has for the split."""
        found = (naming.find(self.names, split, metric) for metric in metrics)
        return next((name for name in found if name), None)


class Curve:
    """One metric of one run, as the table takes it.

    Attributes:
        steps: Shape (n,), int64.
        values: Shape (n,), float64.
        note: What was done to it; empty if it is what was logged.
    """

    def __init__(self, series: "Series", *, is_exponentiated: bool = False) -> None:
        self.steps: IntArray = series.steps
        self.values: FloatArray = series.values
        self.note = ""
        if is_exponentiated:
            with np.errstate(over="ignore"):
                self.values = np.exp(series.values)
            self.note = f"exp of {visible(series.name)}"


def validation(sources: Sequence[Source]) -> tuple[str, list[Curve | None]]:
    """Return what the validation measured, "PPL" or "loss", and each run's curve of it.

    A loss stands in for a perplexity, as its exponential, where another run has logged the perplexity.
    """
    perplexities = [source.find("val", PERPLEXITY) for source in sources]
    losses = [source.find("val", LOSS) for source in sources]
    if not any(perplexities):
        return "loss", [
            Curve(source.series(name)) if name else None for source, name in zip(sources, losses, strict=True)
        ]
    curves: list[Curve | None] = []
    for source, perplexity, loss in zip(sources, perplexities, losses, strict=True):
        name = perplexity or loss
        curves.append(Curve(source.series(name), is_exponentiated=not perplexity) if name else None)
    return "PPL", curves


def metric_curves(sources: Sequence[Source], metric: str) -> list[Curve | None]:
    """Return each run's curve of a metric that the user named."""
    found = [naming.resolve(source.names, metric) for source in sources]
    return [Curve(source.series(name)) if name else None for source, name in zip(sources, found, strict=True)]


def curve_rows(
    title: str, curves: Sequence[Curve | None], at: Sequence[int], better: Better, *, missing: str
) -> Iterator[Row]:
    """Yield a metric's values at steps, its best and its last."""
    for step in at:
        cells = [_at(curve, step, missing) for curve in curves]
        yield row(
            f"{title} @ {step_label(step)}", cells, better, f"The value at step {step}, or at the step nearest to it."
        )
    if better is not None:
        cells = [_best(curve, better, missing) for curve in curves]
        yield row(f"Best {title}", cells, better, f"The {better[:-2]}est value, @ its step.")
    cells = [_final(curve, missing) for curve in curves]
    yield row(f"Final {title}", cells, better, "The last value, @ its step.")


def transition_row(sources: Sequence[Source]) -> Row:
    """Return where each run's training changed its level.

    Raises:
        ImportError: If `ruptures` is not installed.
    """
    return row(
        "Phase transition step",
        [_transition(source) for source in sources],
        None,
        "The largest change of level in the training loss that stands out of its noise and its smooth decay.",
    )


def rank_row(groups: Sequence[Sequence[Source]]) -> Row:
    """Return where the effective rank of each group of runs went."""
    cells = [_rank(group) for group in groups]
    return row("Effective rank trend", cells, None, "First → last tenth of the steps, mean over the matrices.")


def train_above_row(sources: Sequence[Source]) -> Row:
    """Return at how many of its validations each run's training was worse than them."""
    metric = "PPL" if all(s.find("val", PERPLEXITY) and s.find("train", PERPLEXITY) for s in sources) else "loss"
    cells = [_train_above(source, metric) for source in sources]
    text = f"Share of the validations at which the training {metric}, averaged around them, was above."
    return row(f"Train > Val {metric}", cells, None, text)


def divergence_row(sources: Sequence[Source]) -> Row:
    """Return from which step on each run differs from the first."""
    first = sources[0]
    cells = [absent("the run that the others are compared with")]
    cells += [_divergence(first, source) for source in sources[1:]]
    text = f"The step from which the smoothed curves differ by more than {_TOLERANCE:.0%} for good."
    return row(f"Diverges from {first.label}", cells, None, text)


def target_row(curves: Sequence[Curve | None], metric: str, target: float, *, missing: str) -> Row:
    """Return at which step each run reached a value."""
    better = direction(metric) or _approach(curves, target)
    sign = "≤" if better == "lower" else "≥"
    cells = [_reached(curve, target, better, missing) for curve in curves]
    label = f"{visible(metric)} {sign} {number(target)}"
    return row(label, cells, "lower", "The first step at which the target was reached.")


def setting_rows(sources: Sequence[Source]) -> Iterator[Row]:
    """Yield the settings that are not the same in all runs, nested ones as `a.b`."""
    configs = [dict(_flat(source.run.config)) for source in sources]
    written = [{key: json.dumps(value, sort_keys=True) for key, value in config.items()} for config in configs]
    for key in dict.fromkeys(key for config in configs for key in config):
        if len({config.get(key) for config in written}) > 1:
            cells = [Cell(setting(config[key])) if key in config else absent("not in its config") for config in configs]
            yield row(f"config: {visible(key)}", cells, None, "A setting that differs.")


def _at(curve: Curve | None, step: int, missing: str) -> Cell:
    if curve is None:
        return absent(missing)
    place = min(int(np.searchsorted(curve.steps, step)), len(curve.steps) - 1)
    if place and step - int(curve.steps[place - 1]) <= abs(int(curve.steps[place]) - step):
        place -= 1
    nearest = int(curve.steps[place])
    first, last = int(curve.steps[0]), int(curve.steps[-1])
    gap = float(np.median(np.diff(curve.steps))) if len(curve.steps) > 1 else 0.0
    if not first <= step <= last and abs(nearest - step) > gap:
        return absent(f"no point near step {step}: steps {first} to {last} were logged")
    notes = [curve.note, "" if nearest == step else f"at step {nearest}, the nearest to {step}"]
    value = float(curve.values[place])
    return Cell(number(value), value, "; ".join(filter(None, notes)))


def _best(curve: Curve | None, better: Better, missing: str) -> Cell:
    if curve is None:
        return absent(missing)
    if not np.isfinite(curve.values).any():
        return absent("no value is finite")
    finite = np.where(np.isfinite(curve.values), curve.values, np.nan)
    place = int(np.nanargmin(finite) if better == "lower" else np.nanargmax(finite))
    return _with_step(curve, place)


def _final(curve: Curve | None, missing: str) -> Cell:
    return absent(missing) if curve is None else _with_step(curve, -1)


def _with_step(curve: Curve, place: int) -> Cell:
    value = float(curve.values[place])
    return Cell(f"{number(value)} @ {curve.steps[place]}", value, curve.note)


def _transition(source: Source) -> Cell:
    name = source.find("train", *_LOSSES) or source.find("val", *_LOSSES)
    if name is None:
        return absent("no training or validation loss was found")
    series = source.series(name)
    change = phase_transition(series.steps, series.values)
    if change is None:
        return absent(f"no change of {visible(name)} stands out of its noise")
    note = f"{visible(name)} {number(change.before)} → {number(change.after)}, confidence {change.confidence:.3g}"
    return Cell(str(change.step), float(change.step), note)


def _rank(group: Sequence[Source]) -> Cell:
    found_series = [
        source.series(name) for source in group for name in source.names if naming.measures(name, "effective rank")
    ]
    if not found_series:
        return absent("no effective rank was logged")
    members = [(series.steps, series.values) for series in found_series]
    found: Trend | None = rank_trend(members)
    if found is None:
        return absent("no effective rank is finite")
    notes = [f"mean of {len(members)} series"] if len(members) > 1 else []
    if not found.is_significant:
        notes.append("not more than noise would do" if found.count >= 4 else f"from {found.count} points")
    return Cell(found.text, found.end, "; ".join(notes))


def _train_above(source: Source, metric: str) -> Cell:
    wanted = PERPLEXITY if metric == "PPL" else LOSS
    train, validated = source.find("train", wanted), source.find("val", wanted)
    if train is None or validated is None:
        return absent(f"no {'training' if train is None else 'validation'} {metric} was found")
    val = source.series(validated)
    around = _around(source.series(train), val.steps)
    share = share_above(val.steps, around, val.steps, val.values)
    if np.isnan(share):
        return absent(f"{visible(train)} has no point around those of {visible(validated)}")
    return Cell(f"{'yes' if share > 0.5 else 'no'} ({share:.0%})", share)


def _around(series: "Series", steps: IntArray) -> FloatArray:
    """The mean of the finite values within a quarter of the way to either neighbour of each step; NaN if there is none.

    A single batch is noisy; one side alone would be above or below on a curve that falls.
    """
    width = np.median(np.diff(steps)) / 4 if len(steps) > 1 else 0.0
    is_finite = np.isfinite(series.values)
    own_steps, values = series.steps[is_finite], series.values[is_finite]
    lefts = np.searchsorted(own_steps, steps - width)
    rights = np.searchsorted(own_steps, steps + width, side="right")
    return _windows.moments(values, lefts, rights)[0]


def _divergence(first: Source, other: Source) -> Cell:
    names = [(source.find("train", *_LOSSES) or source.find("val", *_LOSSES)) for source in (first, other)]
    if None in names:
        return absent("no training or validation loss was found")
    a, b = first.series(str(names[0])), other.series(str(names[1]))
    common = np.intersect1d(a.steps, b.steps, assume_unique=True)
    if not len(common):
        return absent("the two have no step in common")
    half_life = (int(common[-1]) - int(common[0])) / _SMOOTHED_PARTS
    smoothed = [ema(series.steps, series.values, half_life) for series in (a, b)]
    step = divergence_step(a.steps, smoothed[0], b.steps, smoothed[1], tolerance=_TOLERANCE)
    if step is None:
        return absent(f"within {_TOLERANCE:.0%} at the last of {len(common)} common steps")
    return Cell(str(step), float(step), f"in {visible(str(names[0]))}")


def _reached(curve: Curve | None, target: float, better: Better, missing: str) -> Cell:
    if curve is None:
        return absent(missing)
    there = curve.values <= target if better == "lower" else curve.values >= target
    if there.any():
        step = int(curve.steps[int(np.argmax(there))])
        return Cell(str(step), float(step), curve.note)
    best = _best(curve, better, missing)
    return absent(f"not reached; best {best.text}")


def _approach(curves: Sequence[Curve | None], target: float) -> Better:
    """Where the name does not tell: from which side the first curve comes."""
    first = next((float(c.values[0]) for c in curves if c is not None), target)
    return "lower" if first > target else "higher"


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
