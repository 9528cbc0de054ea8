"""Bands equal numpy's results over the present members; the borders of min–max are the extremes of all points."""

import numpy as np
import pytest

from holter.plots import View, band_chart


@pytest.fixture
def irregular(record):
    """Three layers with different steps, NaN and Inf, in two runs."""
    rng = np.random.default_rng(5)
    runs, members = [], []
    for number in range(2):
        series = {}
        for layer in range(3):
            steps = np.sort(rng.choice(500, 60 + 40 * layer, replace=False))
            values = rng.normal(layer, 1, len(steps))
            values[rng.integers(0, len(steps), 4)] = rng.choice([np.nan, np.inf, -np.inf], 4)
            series[f"x/layer_{layer}"] = (steps, values)
        runs.append(record(f"run-{number}", series))
        members.append(series)
    return runs, members


def table(columns) -> tuple[np.ndarray, np.ndarray]:
    """The union of steps, and a row per member with NaN where it has no finite value."""
    steps = np.unique(np.concatenate([steps for steps, _ in columns]))
    rows = np.full((len(columns), len(steps)), np.nan)
    for row, (own, values) in zip(rows, columns, strict=True):
        row[np.searchsorted(steps, own)] = np.where(np.isfinite(values), values, np.nan)
    return steps, rows


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:All-NaN slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize("kind", ["std", "quantile", "minmax"])
def test_band_equals_numpy(irregular, kind):
    runs, members = irregular
    names = list(members[0])
    (line,) = band_chart({"all": runs}, names, kind).lines
    steps, rows = table([series[name] for series in members for name in names])
    np.testing.assert_array_equal(line.steps, steps)
    if kind == "std":
        center, spread = np.nanmean(rows, 0), np.nanstd(rows, 0)
        expected = (center, center - spread, center + spread)
    elif kind == "quantile":
        expected = (np.nanmedian(rows, 0), *np.nanquantile(rows, (0.1, 0.9), axis=0))
    else:
        expected = (np.nanmean(rows, 0), np.nanmin(rows, 0), np.nanmax(rows, 0))
    for column, expected_column in zip((line.y, line.lower, line.upper), expected, strict=True):
        np.testing.assert_allclose(column, expected_column, rtol=0, atol=1e-12)
    assert len(line.nonfinite.x) > 0


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@pytest.mark.parametrize(("across", "axis"), [("series", 0), ("runs", 1)])
def test_members_can_be_averages_over_runs_or_series(irregular, across, axis):
    runs, members = irregular
    names = list(members[0])
    (line,) = band_chart({"all": runs}, names, "std", across=across).lines
    steps, rows = table([series[name] for series in members for name in names])
    means = np.nanmean(rows.reshape(2, 3, len(steps)), axis)
    np.testing.assert_allclose(line.y, np.nanmean(means, 0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(line.upper - line.y, np.nanstd(means, 0), rtol=0, atol=1e-12)


def test_runs_form_separate_groups_by_default(irregular):
    runs, members = irregular
    each = band_chart(runs, list(members[0]), colors=[4, 7])
    assert [(line.label, line.color) for line in each.lines] == [("run-0", 4), ("run-1", 7)]
    grouped = band_chart({"both": runs, "first": runs[:1]}, list(members[0]))
    assert [line.label for line in grouped.lines] == ["both", "first"]
    everything = np.concatenate([steps for series in members for steps, _ in series.values()])
    np.testing.assert_array_equal(grouped.lines[0].counts, np.unique(everything, return_counts=True)[1])
    assert grouped.note == "mean ± std of 3 to 6 series"


def test_minmax_band_contains_dip_of_one_step_in_100_000(long_run):
    chart = band_chart(long_run, ["part/layer_0", "part/layer_1"], "minmax", View(px=800))
    (line,) = chart.lines
    at = int(np.searchsorted(line.last_steps, 33_333))
    assert line.lower[at] == -9.0
    assert (np.delete(line.lower, at) == 2.0).all()
    assert (line.upper == 4.0).all()
    smoothed = band_chart(long_run, ["part/layer_0", "part/layer_1"], "minmax", View(px=800, half_life=500)).lines[0]
    assert smoothed.lower.min() == -9.0


@pytest.mark.parametrize("px", [100, 4000])
def test_band_of_one_series_covers_window_even_in_buckets(long_run, px):
    view = View(px=px, start=20_000, stop=50_000)
    (line,) = band_chart(long_run, ["noisy"], "std", view, window=4096).lines
    values = long_run.series("noisy").values
    for at in range(0, len(line.steps), max(1, len(line.steps) // 20)):
        last = int(line.last_steps[at])
        inside = values[last - 4095 : last + 1]
        assert line.y[at] == pytest.approx(inside.mean(), abs=0.004)
        assert line.upper[at] - line.y[at] == pytest.approx(inside.std(), abs=0.004)


def test_smoothing_is_independent_of_window(long_run):
    names = ["part/layer_0", "part/layer_1"]
    whole = band_chart(long_run, names, "std", View(half_life=2000, px=1000)).lines[0]
    part = band_chart(long_run, names, "std", View(half_life=2000, px=1000, start=30_000, stop=40_000)).lines[0]
    inside = (whole.steps >= 33_400) & (whole.last_steps < 40_000)
    interpolated = np.interp(whole.last_steps[inside], part.last_steps, part.y)
    np.testing.assert_allclose(interpolated, whole.y[inside], rtol=0, atol=5e-5)


def test_invalid_arguments_raise(layered_run):
    with pytest.raises(ValueError, match="band must be one of std, quantile, minmax, got 'ci'"):
        band_chart(layered_run, ["train/loss"], "ci")
    with pytest.raises(ValueError, match="across must be one of"):
        band_chart(layered_run, ["train/loss"], across="layers")
    with pytest.raises(ValueError, match="window must be"):
        band_chart(layered_run, ["train/loss"], window=0)
    with pytest.raises(KeyError):
        band_chart(layered_run, ["nowhere"])
