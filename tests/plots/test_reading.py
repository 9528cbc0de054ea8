"""Reading is exact at any zoom: exact merging, an absolute grid, and at most one bucket per pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import holter
from holter.plots import View, line_chart
from holter.plots.build.reading import coarsened, middles, read

values = st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf, -np.inf])
points = st.dictionaries(st.integers(-300, 300), values, min_size=1, max_size=60)


def buckets_of(steps: np.ndarray, values: np.ndarray, width: int = 1) -> holter.Buckets:
    """Buckets computed from their definition."""
    cells = {}
    for step, value in zip(steps.tolist(), values.tolist(), strict=True):
        cells.setdefault(step // width, []).append((step, value))
    inner = [np.array([value for _, value in cell]) for cell in cells.values()]
    finite = [column[np.isfinite(column)] for column in inner]
    return holter.Buckets(
        "x",
        width,
        np.array(list(cells)) * width,
        np.array([cell[-1][0] for cell in cells.values()]),
        np.array([len(column) for column in inner]),
        np.array([int((~np.isfinite(column)).sum()) for column in inner]),
        np.array([column.min() if len(column) else np.nan for column in finite]),
        np.array([column.max() if len(column) else np.nan for column in finite]),
        np.array([column.sum() for column in finite]),
        np.array([(column**2).sum() for column in finite]),
        np.array([cell[-1][1] for cell in cells.values()]),
        np.array([cell[-1][0] for cell in cells.values()]).astype("datetime64[us]"),
    )


@given(points, st.sampled_from([2, 4, 64, 128]))
def test_coarsened_buckets_equal_buckets_of_points(points, width):
    steps = np.array(sorted(points))
    column = np.array([points[step] for step in steps.tolist()])
    merged, expected = coarsened(buckets_of(steps, column), width), buckets_of(steps, column, width)
    for name in ("steps", "last_steps", "counts", "nonfinite_counts", "minima", "maxima", "lasts", "timestamps"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(expected, name), name)
    np.testing.assert_allclose(merged.sums, expected.sums, atol=1e-6)
    np.testing.assert_allclose(merged.square_sums, expected.square_sums, rtol=1e-12)


@pytest.mark.parametrize(
    ("px", "start", "stop"), [(800, None, None), (300, 10_000, 90_000), (100, 500, 1500), (50, 0, 70)]
)
def test_number_of_buckets_is_close_to_pixels(long_run, px, start, stop):
    reading = read([long_run], ["noisy"], View(px=px, start=start, stop=stop), px=px)
    count = len(reading.shown[0, "noisy"].steps)
    assert px / 2 - 1 <= count <= px + 1
    assert reading.width.bit_count() == 1


def test_grid_is_absolute(long_run):
    a = line_chart([long_run], ["noisy"], View(px=100, start=20_000, stop=40_000))
    b = line_chart([long_run], ["noisy"], View(px=100, start=25_000, stop=45_000))
    common = np.intersect1d(a.lines[0].steps, b.lines[0].steps)
    assert len(common) > 50
    for chart in (a, b):
        assert chart.width == 256
        assert not (chart.lines[0].steps % 256).any()
    np.testing.assert_array_equal(
        a.lines[0].y[np.isin(a.lines[0].steps, common)], b.lines[0].y[np.isin(b.lines[0].steps, common)]
    )


def test_runs_of_different_lengths_share_grid(record, long_run):
    short = record("short", {"noisy": (np.arange(500), np.ones(500))})
    reading = read([short, long_run], ["noisy"], View(), px=800)
    assert reading.shown[0, "noisy"].width == reading.shown[1, "noisy"].width == reading.width


def test_sparse_points_are_not_merged(record):
    steps = np.arange(0, 100_000, 1000)
    run = record("sparse", {"val/loss": (steps, np.linspace(2, 1, 100))})
    chart = line_chart([run], ["val/loss"])
    assert chart.width == 1
    assert chart.note == ""
    np.testing.assert_array_equal(chart.lines[0].x, steps)


@pytest.mark.parametrize("half_life", [5.0, 300.0, 3000.0])
def test_smoothing_is_independent_of_window(long_run, half_life):
    whole = line_chart([long_run], ["noisy"], View(half_life=half_life, px=2000))
    part = line_chart([long_run], ["noisy"], View(half_life=half_life, px=2000, start=60_000, stop=64_000))
    at = {line.is_faint: line for line in part.lines}[False]
    # The part, which shows every second step, has a point at the last step of each bucket of the whole.
    line = {line.is_faint: line for line in whole.lines}[False]
    inside = (line.last_steps >= 60_000) & (line.last_steps < 64_000)
    interpolated = np.interp(line.last_steps[inside], at.last_steps, at.y)
    # The noise has a std of 0.1; an average over a half-life of n steps has about 0.1 / sqrt(3 n).
    tolerance = {5.0: 0.1, 300.0: 0.0006, 3000.0: 0.00006}[half_life]
    assert np.abs(interpolated - line.y[inside]).max() < tolerance


def test_single_point_of_bucket_keeps_its_step():
    buckets = buckets_of(np.array([7, 70, 100]), np.array([1.0, 2.0, 3.0]), 64)
    np.testing.assert_array_equal(middles(buckets), [7, 82])


def test_view_rejects_invalid_attributes():
    for arguments in (
        {"px": 3},
        {"half_life": -1.0},
        {"half_life": np.nan},
        {"start": 5, "stop": 5},
        {"x": "color"},
        {"x": "metric:"},
    ):
        with pytest.raises(ValueError):
            View(**arguments)
    assert View(x="metric:train/loss").x_metric == "train/loss"
