"""The rows of a comparison. A missing value has a note with the reason."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from holter._direction import Better, direction
from holter._text import counted, flatten_config, visible
from holter.analysis import _windows, naming
from holter.analysis._cells import Cell, Row, absent, row
from holter.analysis._points import FloatArray, IntArray
from holter.analysis._texts import number, setting, step_label
from holter.analysis.changes import phase_transition
from holter.analysis.naming import LOSS, PERPLEXITY
from holter.analysis.smoothing import ema
from holter.analysis.trends import Trend, divergence_step, rank_trend, share_above

if TYPE_CHECKING:
    from holter import Run, Series

_SMOOTHED_PARTS = 50
"""Curves are compared after smoothing with a half-life of 1/50 of their steps."""
_TOLERANCE = 0.01
_LOSSES = (LOSS, PERPLEXITY)


class Source:
    """A run with a cache of its series.

    Attributes:
        run: The run.
        label: Its label in the table.
        names: The names of its series.
    """

    def __init__(self, run: "Run", label: str) -> None:
        self.run = run
        self.label = label
        self.names = run.names()
        self._read: dict[str, Series] = {}

    def series(self, name: str) -> "Series":
        """Return a series; it is read only once."""
        if name not in self._read:
            self._read[name] = self.run.series(name)
        return self._read[name]

    def find(self, split: naming.Split, *metrics: Sequence[str]) -> str | None:
        """Return the run's series for the first of the metrics that it has on the split."""
        found = (naming.find(self.names, split, metric) for metric in metrics)
        return next((name for name in found if name), None)


class Curve:
    """One metric of one run.

    Attributes:
        steps: Shape (n,), int64.
        values: Shape (n,), float64.
        note: The transformation of the logged values; empty if there is none.
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
    """Return the validation metric, "PPL" or "loss", and each run's curve of it.

    If any run has logged the perplexity, the others' losses are converted to perplexities.
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
    """Return each run's curve of a metric requested by the user."""
    found = [naming.resolve(source.names, metric) for source in sources]
    return [Curve(source.series(name)) if name else None for source, name in zip(sources, found, strict=True)]


def curve_rows(
    title: str, curves: Sequence[Curve | None], at: Sequence[int], better: Better, *, missing: str
) -> Iterator[Row]:
    """Yield the rows of a metric: its values at steps, its best and its final value."""
    for step in at:
        cells = [_at(curve, step, missing) for curve in curves]
        yield row(f"{title} @ {step_label(step)}", cells, better, f"The value at step {step} or the nearest step.")
    if better is not None:
        cells = [_best(curve, better, missing) for curve in curves]
        yield row(f"Best {title}", cells, better, f"The {better[:-2]}est value @ its step.")
    cells = [_final(curve, missing) for curve in curves]
    yield row(f"Final {title}", cells, better, "The last value @ its step.")


def transition_row(sources: Sequence[Source]) -> Row:
    """Return the step of each run's phase transition.

    Raises:
        ImportError: If `ruptures` is not installed.
    """
    return row(
        "Phase transition step",
        [_transition(source) for source in sources],
        None,
        "The most significant change of level in the training loss, relative to its noise and its smooth trend.",
    )


def rank_row(groups: Sequence[Sequence[Source]]) -> Row:
    """Return the trend of the effective rank of each group of runs."""
    cells = [_rank(group) for group in groups]
    return row("Effective rank trend", cells, None, "First → last tenth of the steps, averaged over the matrices.")


def train_above_row(sources: Sequence[Source]) -> Row:
    """Return the share of validations at which each run's training metric was above the validation metric."""
    metric = "PPL" if all(s.find("val", PERPLEXITY) and s.find("train", PERPLEXITY) for s in sources) else "loss"
    cells = [_train_above(source, metric) for source in sources]
    text = f"Share of the validations at which the training {metric}, averaged around that step, was higher."
    return row(f"Train > Val {metric}", cells, None, text)


def divergence_row(sources: Sequence[Source]) -> Row:
    """Return the step from which each run differs from the first."""
    first = sources[0]
    cells = [absent("baseline")]
    cells += [_divergence(first, source) for source in sources[1:]]
    text = f"The first step from which the smoothed curves always differ by more than {_TOLERANCE:.0%}."
    return row(f"Diverges from {first.label}", cells, None, text)


def target_row(curves: Sequence[Curve | None], metric: str, target: float, *, missing: str) -> Row:
    """Return the step at which each run reached a target value."""
    better = direction(metric) or _approach(curves, target)
    sign = "≤" if better == "lower" else "≥"
    cells = [_reached(curve, target, better, missing) for curve in curves]
    label = f"{visible(metric)} {sign} {number(target)}"
    return row(label, cells, "lower", "The first step at which the target was reached.")


def setting_rows(sources: Sequence[Source]) -> Iterator[Row]:
    """Yield the settings that differ between runs, with nested keys as `a.b`."""
    configs = [flatten_config(source.run.config) for source in sources]
    encoded = [{key: json.dumps(value, sort_keys=True) for key, value in config.items()} for config in configs]
    for key in dict.fromkeys(key for config in configs for key in config):
        if len({config.get(key) for config in encoded}) > 1:
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
        return absent(f"no point near step {step}; the run has steps {first} to {last}")
    notes = [curve.note, "" if nearest == step else f"nearest point: step {nearest}"]
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
        return absent("no training or validation loss found")
    series = source.series(name)
    change = phase_transition(series.steps, series.values)
    if change is None:
        return absent(f"no change point found in {visible(name)}")
    note = f"{visible(name)} {number(change.before)} → {number(change.after)}, confidence {change.confidence:.3g}"
    return Cell(str(change.step), float(change.step), note)


def _rank(group: Sequence[Source]) -> Cell:
    found_series = [
        source.series(name) for source in group for name in source.names if naming.measures(name, "effective rank")
    ]
    if not found_series:
        return absent("no effective rank found")
    members = [(series.steps, series.values) for series in found_series]
    found: Trend | None = rank_trend(members)
    if found is None:
        return absent("no finite effective rank")
    notes = [f"mean of {len(members)} series"] if len(members) > 1 else []
    if not found.is_significant:
        notes.append("within noise" if found.count >= 4 else f"only {counted(found.count, 'point')}")
    return Cell(found.text, found.end, "; ".join(notes))


def _train_above(source: Source, metric: str) -> Cell:
    wanted = PERPLEXITY if metric == "PPL" else LOSS
    train, validated = source.find("train", wanted), source.find("val", wanted)
    if train is None or validated is None:
        return absent(f"no {'training' if train is None else 'validation'} {metric} found")
    val = source.series(validated)
    around = _around(source.series(train), val.steps)
    share = share_above(val.steps, around, val.steps, val.values)
    if np.isnan(share):
        return absent(f"{visible(train)} has no points near those of {visible(validated)}")
    return Cell(f"{'yes' if share > 0.5 else 'no'} ({share:.0%})", share)


def _around(series: "Series", steps: IntArray) -> FloatArray:
    """The mean of the finite values within a quarter of the distance to the neighbors of each step; NaN without any.

    A single batch is noisy, and values from one side only would be biased on a falling curve.
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
        return absent("no training or validation loss found")
    a, b = first.series(str(names[0])), other.series(str(names[1]))
    common = np.intersect1d(a.steps, b.steps, assume_unique=True)
    if not len(common):
        return absent("no common steps with the baseline")
    half_life = (int(common[-1]) - int(common[0])) / _SMOOTHED_PARTS
    smoothed = [ema(series.steps, series.values, half_life) for series in (a, b)]
    step = divergence_step(a.steps, smoothed[0], b.steps, smoothed[1], tolerance=_TOLERANCE)
    if step is None:
        return absent(f"within {_TOLERANCE:.0%} of the baseline at the last of {len(common)} common steps")
    return Cell(str(step), float(step), f"in {visible(str(names[0]))}")


def _reached(curve: Curve | None, target: float, better: Better, missing: str) -> Cell:
    if curve is None:
        return absent(missing)
    is_reached = curve.values <= target if better == "lower" else curve.values >= target
    if is_reached.any():
        step = int(curve.steps[int(np.argmax(is_reached))])
        return Cell(str(step), float(step), curve.note)
    best = _best(curve, better, missing)
    return absent(f"not reached; best {best.text}")


def _approach(curves: Sequence[Curve | None], target: float) -> Better:
    """The better direction of a metric with an unknown one: from the first curve's first value toward the target."""
    first = next((float(c.values[0]) for c in curves if c is not None), target)
    return "lower" if first > target else "higher"
