"""Line charts show every spike and label each line."""

import numpy as np
import pytest

from holter.plots import Threshold, View, line_chart


def test_envelope_contains_spike_of_one_step_in_100_000(long_run):
    chart = line_chart([long_run], ["noisy"], View(px=800))
    (line,) = chart.lines
    at = np.searchsorted(line.last_steps, 54_321)
    assert line.steps[at] <= 54_321 <= line.last_steps[at]
    assert line.upper[at] == 50.0
    assert np.nanmax(np.delete(line.upper, at)) < 2.0
    assert chart.note == f"1 point = {chart.width:,} steps, min–max shown"


def test_line_without_envelope_contains_spike(long_run, record):
    other = record("other", {"noisy": (np.arange(100_000), np.ones(100_000))})
    spiky, flat = line_chart([long_run, other], ["noisy"]).lines
    assert spiky.lower is None
    assert np.nanmax(spiky.y) == 50.0
    at = int(np.nanargmax(spiky.y))
    # The line goes to the spike and back to the mean at the same x.
    assert spiky.x[at - 1] == spiky.x[at] == spiky.x[at + 1]
    assert spiky.y[at - 1] == spiky.y[at + 1] < 2.0
    assert (np.diff(flat.y) == 0).all()


def test_noise_is_not_drawn_as_spikes(record):
    steps = np.arange(50_000)
    noise = np.random.default_rng(3).normal(0, 1, len(steps))
    runs = [record(name, {"noise": (steps, noise)}) for name in ("a", "b")]
    assert all(len(line.y) == len(np.unique(line.x)) for line in line_chart(runs, ["noise"]).lines)


def test_nonfinite_values_have_their_steps(long_run):
    (line,) = line_chart([long_run], ["noisy"], View(start=69_900, stop=80_100, px=200)).lines
    assert line.nonfinite.texts[0].startswith("10 of 64 values NaN or infinite, steps ")
    (close,) = line_chart([long_run], ["noisy"], View(start=69_995, stop=70_020)).lines
    assert close.nonfinite.texts == tuple(f"NaN at step {step:,}" for step in range(70_000, 70_010))
    np.testing.assert_array_equal(close.nonfinite.x, np.arange(70_000, 70_010))
    assert np.isnan(close.y[5:15]).all()
    (inf,) = line_chart([long_run], ["noisy"], View(start=79_990, stop=80_010)).lines
    assert inf.nonfinite.texts == ("Inf at step 80,000",)


def test_color_differs_by_name_for_one_run_and_by_run_for_several(layered_run, record):
    names = ["train/loss", "val/loss"]
    assert [line.color for line in line_chart([layered_run], names, colors=[3]).lines] == [3, 4]
    other = record("other", {name: (np.arange(3), np.ones(3)) for name in names})
    lines = line_chart([layered_run, other], names).lines
    assert [(line.color, line.dash) for line in lines] == [(0, "solid"), (0, "dash"), (1, "solid"), (1, "dash")]
    assert [line.label for line in lines] == [f"{run} · {name}" for run in ("layered", "other") for name in names]


def test_layers_have_color_sequence(layered_run):
    names = [f"attention_entropy/layer_{layer}" for layer in range(12)]
    chart = line_chart([layered_run], names)
    assert chart.title == "attention_entropy/layer_*"
    assert [line.label for line in chart.lines] == [f"layer_{layer}" for layer in range(12)]
    assert [line.name for line in chart.lines] == names
    np.testing.assert_allclose([line.color for line in chart.lines], np.arange(12) / 11)


def test_runs_with_same_name_have_distinct_labels(record):
    runs = [record(path, {"loss": (np.arange(3), np.ones(3))}, name="same") for path in ("first", "second")]
    assert [line.label for line in line_chart(runs, ["loss"]).lines] == ["same (first)", "same (second)"]


def test_missing_series_are_skipped_and_unknown_names_raise(layered_run, record):
    other = record("other", {"loss": (np.arange(3), np.ones(3))})
    assert [line.run for line in line_chart([layered_run, other], ["loss"]).lines] == ["other"]
    with pytest.raises(KeyError, match="did you mean 'train/loss'"):
        line_chart([layered_run], ["train/los"])
    with pytest.raises(KeyError, match="no series named 'nowhere' in 2 runs"):
        line_chart([layered_run, other], ["nowhere"])
    with pytest.raises(KeyError, match="'tokens'"):
        line_chart([layered_run, other], ["train/loss"], View(x="metric:tokens"))


def test_time_axes_use_timestamps_of_run(layered_run):
    buckets = layered_run.buckets(["train/loss"], max_buckets=10_000)[0]
    wall = line_chart([layered_run], ["train/loss"], View(x="wall"))
    assert wall.x_kind == "date"
    np.testing.assert_array_equal(wall.lines[0].x, buckets.timestamps)
    relative = line_chart([layered_run], ["train/loss"], View(x="relative"))
    assert relative.x_label == "time since the start (s)"
    created = np.datetime64(layered_run.created.replace(tzinfo=None), "us")
    np.testing.assert_allclose(relative.lines[0].x, (buckets.timestamps - created) / np.timedelta64(1, "s"))


def test_metric_on_x_axis_is_joined_by_step(record):
    steps = np.arange(0, 100, 5)
    run = record("run", {"loss": (np.arange(100), np.arange(100.0)), "tokens": (steps, steps * 10.0)})
    (line,) = line_chart([run], ["loss"], View(x="metric:tokens")).lines
    np.testing.assert_array_equal(line.x, steps * 10.0)
    np.testing.assert_array_equal(line.y, steps)


def test_smoothed_line_has_faint_unsmoothed_line(layered_run):
    faint, smooth = line_chart([layered_run], ["train/loss"], View(half_life=30)).lines
    assert faint.is_faint
    assert not smooth.is_faint
    np.testing.assert_array_equal(faint.y, layered_run.series("train/loss").values)
    assert np.abs(np.diff(smooth.y, 2)).mean() < np.abs(np.diff(faint.y, 2)).mean() / 10


def test_trim_outliers_limits_range_and_adds_note(long_run):
    whole = line_chart([long_run], ["noisy"])
    assert whole.y_range is None
    trimmed = line_chart([long_run], ["noisy"], View(trim_outliers=True))
    low, high = trimmed.y_range
    assert 0.5 < low < high < 2.0
    assert "outliers trimmed: " in trimmed.note


def test_chart_has_given_thresholds_and_title(layered_run):
    chart = line_chart([layered_run], ["train/loss"], title="mine", thresholds=[Threshold(2.0, "target")])
    assert chart.title == "mine"
    assert chart.thresholds == (Threshold(2.0, "target"),)
