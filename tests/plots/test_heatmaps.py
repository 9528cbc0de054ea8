"""Heatmaps have rows in layer order, a color range without outliers, and marks for NaN."""

import numpy as np
import pytest

from holter.plots import View, heatmap_chart, latest_chart

NAMES = [f"attention_entropy/layer_{layer}" for layer in (10, 2, 0, 1, 3, 4, 5, 6, 7, 8, 9, 11)]


def test_rows_are_in_natural_order_with_values_as_cells(layered_run):
    chart = heatmap_chart(layered_run, NAMES)
    heatmap = chart.heatmap
    assert heatmap.rows == tuple(f"attention_entropy/layer_{layer}" for layer in range(12))
    assert heatmap.row_labels == tuple(f"layer_{layer}" for layer in range(12))
    values = layered_run.series("attention_entropy/layer_2").values
    np.testing.assert_array_equal(heatmap.values[2], values)
    assert heatmap.is_nonfinite[3, 150:155].all()
    assert heatmap.is_nonfinite.sum() == 5


def test_color_range_covers_1st_to_99th_percentile(record):
    values = np.r_[np.linspace(0, 1, 999), 1e9]
    run = record("run", {f"x/layer_{layer}": (np.arange(1000), values) for layer in range(2)})
    heatmap = heatmap_chart(run, ["x/layer_0", "x/layer_1"], View(px=2000)).heatmap
    assert (heatmap.low, heatmap.high) == pytest.approx((0.01, 0.99), abs=0.01)


def test_column_is_mean_of_its_steps(long_run):
    chart = heatmap_chart(long_run, ["part/layer_0", "part/layer_1"], View(px=400))
    assert chart.heatmap.values.shape[1] <= 200
    width = chart.width
    values = long_run.series("part/layer_1").values
    np.testing.assert_allclose(chart.heatmap.values[1, :5], values[: 5 * width].reshape(5, width).mean(1))
    assert f"1 column = mean of {width:,} steps" in chart.note


def test_members_can_have_different_steps(record):
    run = record("run", {"x/0": (np.array([0, 10]), np.ones(2)), "x/1": (np.array([5, 10]), np.full(2, 2.0))})
    heatmap = heatmap_chart(run, ["x/0", "x/1"]).heatmap
    np.testing.assert_array_equal(heatmap.x, [0, 5, 10])
    np.testing.assert_array_equal(heatmap.values, [[1, np.nan, 1], [np.nan, 2, 2]])


def test_logarithmic_colors_note_omitted_cells(record):
    run = record(
        "run", {"x/0": (np.arange(4), np.array([1.0, 10.0, 0.0, -1.0])), "x/1": (np.arange(4), np.full(4, 5.0))}
    )
    chart = heatmap_chart(run, ["x/0", "x/1"], View(log_y=True))
    assert chart.heatmap.is_log
    assert chart.heatmap.low > 0
    assert "2 cells ≤ 0 not shown on the logarithmic scale" in chart.note


def test_latest_values_are_bars_in_layer_order(layered_run, record):
    other = record("other", {"attention_entropy/layer_1": (np.array([7]), np.array([np.nan]))})
    chart = latest_chart([layered_run, other], NAMES)
    assert chart.categories == tuple(f"layer_{layer}" for layer in range(12))
    own, theirs = chart.bars
    assert own.values[2] == layered_run.series("attention_entropy/layer_2").last
    assert own.texts[2].endswith("at step 299")
    np.testing.assert_array_equal(theirs.is_nonfinite, [layer == 1 for layer in range(12)])
    assert chart.note == "steps 7 to 299"
    early = latest_chart([layered_run], NAMES, View(stop=100))
    assert early.bars[0].values[2] == layered_run.series("attention_entropy/layer_2").values[99]
    with pytest.raises(KeyError):
        latest_chart([layered_run], ["nowhere"])
