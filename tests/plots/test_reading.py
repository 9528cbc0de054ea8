"""Whatever the zoom, the picture is of the same points: exact merging, an absolute grid, one bucket a pixel at most."""

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
    """Buckets by the definition."""
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
def test_merged_buckets_are_those_of_the_points(points, width):
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
def test_there_is_at_most_a_bucket_for_each_pixel_and_not_much_less(long_run, px, start, stop):
    reading = read([long_run], ["noisy"], View(px=px, start=start, stop=stop), px=px)
    count = len(reading.shown[0, "noisy"].steps)
    assert px / 2 - 1 <= count <= px + 1
    assert reading.width.bit_count() == 1


def test_the_grid_is_absolute(long_run):
    one = line_chart([long_run], ["noisy"], View(px=100, start=20_000, stop=40_000))
    other = line_chart([long_run], ["noisy"], View(px=100, start=25_000, stop=45_000))
    common = np.intersect1d(one.lines[0].steps, other.lines[0].steps)
    assert len(common) > 50
    for chart in (one, other):
        assert chart.width == 256
        assert not (chart.lines[0].steps % 256).any()
    np.testing.assert_array_equal(
        one.lines[0].y[np.isin(one.lines[0].steps, common)], other.lines[0].y[np.isin(other.lines[0].steps, common)]
    )


def test_runs_of_unlike_length_stand_on_one_grid(record, long_run):
    short = record("short", {"noisy": (np.arange(500), np.ones(500))})
    reading = read([short, long_run], ["noisy"], View(), px=800)
    assert reading.shown[0, "noisy"].width == reading.shown[1, "noisy"].width == reading.width


def test_few_points_far_apart_are_shown_as_they_are(record):
    steps = np.arange(0, 100_000, 1000)
    run = record("sparse", {"val/loss": (steps, np.linspace(2, 1, 100))})
    chart = line_chart([run], ["val/loss"])
    assert chart.width == 1
    assert chart.note == ""
    np.testing.assert_array_equal(chart.lines[0].x, steps)


@pytest.mark.parametrize("half_life", [5.0, 300.0, 3000.0])
def test_smoothing_does_not_depend_on_the_window(long_run, half_life):
    whole = line_chart([long_run], ["noisy"], View(half_life=half_life, px=2000))
    part = line_chart([long_run], ["noisy"], View(half_life=half_life, px=2000, start=60_000, stop=64_000))
    at = {line.is_faint: line for line in part.lines}[False]
    # The last step of each bucket of the whole is also a point of the part, which shows every second step.
    line = {line.is_faint: line for line in whole.lines}[False]
    inside = (line.last_steps >= 60_000) & (line.last_steps < 64_000)
    there = np.interp(line.last_steps[inside], at.last_steps, at.y)
    # 0.1 is the noise; an average over a half-life of n steps varies by about 0.1 / sqrt(3 n).
    tolerance = {5.0: 0.1, 300.0: 0.0006, 3000.0: 0.00006}[half_life]
    assert np.abs(there - line.y[inside]).max() < tolerance


def test_a_single_point_of_a_bucket_stands_where_it_is():
    buckets = buckets_of(np.array([7, 70, 100]), np.array([1.0, 2.0, 3.0]), 64)
    np.testing.assert_array_equal(middles(buckets), [7, 82])


def test_a_view_refuses_what_makes_no_sense():
    for wrong in (
        {"px": 3},
        {"half_life": -1.0},
        {"half_life": np.nan},
        {"start": 5, "stop": 5},
        {"x": "color"},
        {"x": "metric:"},
    ):
        with pytest.raises(ValueError):
            View(**wrong)
    assert View(x="metric:train/loss").x_metric == "train/loss"
