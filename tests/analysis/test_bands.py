"""Bands equal numpy's results over the present members to 1e-12, on irregular, sparse, partly non-finite data."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from holter import analysis

KINDS = ["std", "quantile", "minmax"]
VALUES = st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf, 5e-324, 0.0])
FAR = st.integers(-(1 << 63), (1 << 63) - 1)
MEMBERS = st.lists(st.dictionaries(st.integers(-10, 30) | FAR, VALUES, max_size=25), max_size=8)
ORDERS = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda pair: tuple(sorted(pair)))


def numpy_band(present, kind, orders):
    """Center, lower and upper border computed with numpy."""
    if not present:
        return math.nan, math.nan, math.nan
    if kind == "quantile":
        return np.median(present), *np.quantile(present, orders)
    mean = np.mean(present)
    if kind == "std":
        return mean, mean - np.std(present), mean + np.std(present)
    return mean, np.min(present), np.max(present)


def check(band, kind, orders, present_at):
    assert band.kind == kind
    for i, step in enumerate(band.steps.tolist()):
        present = present_at(step)
        assert band.counts[i] == len(present)
        expected = numpy_band(present, kind, orders)
        scale = max([1e-300, *map(abs, present)])
        got = (band.centers[i], band.lowers[i], band.uppers[i])
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * scale)


def split(points):
    return sorted(points), [points[step] for step in sorted(points)]


@pytest.mark.parametrize("kind", KINDS)
@hypothesis.given(members=MEMBERS, orders=ORDERS)
def test_across_equals_numpy_at_each_step(kind, members, orders):
    band = analysis.across([split(member) for member in members], kind, quantiles=orders)
    assert band.steps.tolist() == sorted(set().union(*members))
    check(band, kind, orders, lambda step: [m[step] for m in members if step in m and math.isfinite(m[step])])


@pytest.mark.parametrize("kind", KINDS)
@hypothesis.given(
    points=MEMBERS.map(lambda m: m[0] if m else {}), window=st.sampled_from([1, 4.5, 17, 1e19]), orders=ORDERS
)
def test_over_window_equals_numpy_in_each_window(kind, points, window, orders):
    band = analysis.over_window(*split(points), window, kind, quantiles=orders)
    assert band.steps.tolist() == sorted(points)
    inside = lambda now: [v for s, v in points.items() if 0 <= now - s < window and math.isfinite(v)]  # noqa: E731
    check(band, kind, orders, inside)


@pytest.mark.parametrize("kind", KINDS)
def test_hundred_members_with_missing_steps(kind):
    random = np.random.default_rng(7)
    table = random.normal(size=(1600, 100))
    table[random.random(table.shape) < 0.3] = np.nan
    steps = np.arange(1600) * 64
    members = []
    for i, column in enumerate(table.T):
        present = np.flatnonzero(~np.isnan(column) | (random.random(1600) < 0.5))  # absent, or present and NaN
        members.append((steps[present[i % 3 :]], column[present[i % 3 :]]))
        table[: present[i % 3], i] = np.nan
    band = analysis.across(members, kind)
    np.testing.assert_array_equal(band.steps, steps)
    centers, lowers, uppers = {
        "std": lambda m, s: (m, m - s, m + s),
        "quantile": lambda m, s: (np.nanmedian(table, 1), *np.nanquantile(table, (0.1, 0.9), 1)),
        "minmax": lambda m, s: (m, np.nanmin(table, 1), np.nanmax(table, 1)),
    }[kind](np.nanmean(table, 1), np.nanstd(table, 1))
    np.testing.assert_allclose(band.centers, centers, atol=1e-12)
    np.testing.assert_allclose(band.lowers, lowers, atol=1e-12)
    np.testing.assert_allclose(band.uppers, uppers, atol=1e-12)


def test_quantiles_in_several_chunks(monkeypatch):
    monkeypatch.setattr("holter.analysis.bands._CHUNK_VALUES", 50)
    table = np.random.default_rng(1).normal(size=(101, 7))
    members = [(np.arange(100) + (i == 6), column[np.arange(100) + (i == 6)]) for i, column in enumerate(table.T)]
    table[100, :6] = table[0, 6] = np.nan
    band = analysis.across(members, "quantile", quantiles=(0.25, 0.75))
    expected = np.nanquantile(table, (0.25, 0.75), axis=1)
    np.testing.assert_allclose([band.lowers, band.uppers], expected, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_members_with_equal_steps_in_several_chunks(kind, monkeypatch):
    monkeypatch.setattr("holter.analysis.bands._CHUNK_VALUES", 50)
    table = np.random.default_rng(2).normal(size=(101, 7))
    table[3, 2], table[4, 5], table[100] = np.nan, np.inf, np.nan
    band = analysis.across([(range(101), column) for column in table.T], kind, quantiles=(0.25, 0.75))
    for step, row in enumerate(table):
        present = row[np.isfinite(row)]
        assert band.counts[step] == len(present)
        expected = [np.nan] * 3
        if len(present):
            mean, std = present.mean(), present.std()
            expected = {
                "std": [mean, mean - std, mean + std],
                "quantile": np.quantile(present, (0.5, 0.25, 0.75)),
                "minmax": [mean, present.min(), present.max()],
            }[kind]
        computed = [band.centers[step], band.lowers[step], band.uppers[step]]
        np.testing.assert_allclose(computed, expected, atol=1e-12)


def test_missing_steps_are_not_interpolated():
    band = analysis.across([([0, 10], [0.0, 10.0]), ([0, 5, 10], [2.0, 100.0, 12.0])])
    assert band.steps.tolist() == [0, 5, 10]
    assert band.counts.tolist() == [2, 1, 2]
    assert band.centers.tolist() == [1.0, 100.0, 11.0]
    assert band.uppers.tolist() == [2.0, 100.0, 12.0]


def test_step_without_finite_values_is_nan():
    band = analysis.across([([1, 2], [math.nan, 1.0]), ([1], [math.inf])], "minmax")
    assert band.counts.tolist() == [0, 1]
    assert np.isnan([band.centers[0], band.lowers[0], band.uppers[0]]).all()


def test_band_without_points_is_empty():
    for kind in KINDS:
        assert len(analysis.across([], kind).steps) == 0
        assert len(analysis.across([([], [])], kind).steps) == 0
        assert len(analysis.over_window([], [], 5, kind).steps) == 0
        assert analysis.across([([], []), ([3], [1.0])], kind).centers.tolist() == [1.0]


def test_members_are_not_modified():
    steps, values = np.arange(5), np.array([1.0, math.nan, 3.0, 4.0, 5.0])
    steps.setflags(write=False)
    values.setflags(write=False)  # like the arrays of a Series
    for kind in KINDS:
        analysis.across([(steps, values)], kind)
        analysis.over_window(steps, values, 2, kind)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: analysis.across([], "mad"), "kind must be one of std, quantile, minmax, got 'mad'"),
        (lambda: analysis.across([], quantiles=(0.9, 0.1)), "quantiles must be two ascending numbers"),
        (lambda: analysis.across([], quantiles=(0.1, 1.5)), "quantiles must be two ascending numbers"),
        (lambda: analysis.across([([2, 1], [1.0, 1.0])]), "ascend strictly"),
        (lambda: analysis.over_window([1], [1.0], -3), "window must be"),
        (lambda: analysis.over_window([1], [1.0], 3, "mad"), "kind must be"),
    ],
)
def test_invalid_arguments_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call()
