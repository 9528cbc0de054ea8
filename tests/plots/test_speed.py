"""Steps per second come from timestamps, over at least half a second and not across a restart."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

import holter
from holter.plots import View, speed_chart

START = np.datetime64("2026-01-01T00:00:00", "us")


class FakeRun:
    """A run of one series whose points have the given times in seconds."""

    def __init__(
        self, steps: np.ndarray, seconds: np.ndarray, restarts: tuple[float, ...] = (), name: str = "x"
    ) -> None:
        self.steps, self.times = steps, START + (seconds * 1e6).astype("timedelta64[us]")
        self.series_name = name
        starts = [START + np.timedelta64(int(time * 1e6), "us") for time in (0.0, *restarts)]
        self.manifest = {"attempts": [{"started": f"{start}Z"} for start in starts]}
        self.created = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
        self.path, self.name, self.events = Path("fake"), "fake", []

    def facts(self, _pattern="*"):
        count = len(self.steps)
        return [holter.SeriesFacts(self.series_name, count, 0, 0, 0, 0.0)] if count else []

    def names(self, pattern="*"):
        return [self.series_name] if pattern == "*" else []

    def buckets(self, names, *, width=None, max_buckets=1, start=None, stop=None):
        if names != [self.series_name]:
            raise KeyError(names)
        inside = np.ones(len(self.steps), np.bool_)
        if start is not None:
            inside &= self.steps >= start
        if stop is not None:
            inside &= self.steps < stop
        steps, ones = self.steps[inside], np.ones(inside.sum())
        integers = ones.astype(np.int64)
        columns = (steps, steps, integers, integers * 0, ones, ones, ones, ones, ones, self.times[inside])
        return [holter.Buckets(self.series_name, 1, *columns)]

    def series(self, name, start, stop):
        inside = (self.steps >= start) & (self.steps < stop)
        return holter.Series(name, self.steps[inside], np.ones(inside.sum()), self.times[inside])


def test_steady_run_has_constant_speed():
    steps = np.arange(0, 1000, 10)
    (line,) = speed_chart([FakeRun(steps, steps / 4.0)], colors=[7]).lines
    np.testing.assert_allclose(line.y, 4.0)
    assert line.color == 7
    assert len(line.y) == 99


def test_rates_cover_at_least_half_a_second():
    steps = np.arange(10_000)
    # The clock ticks every 4 ms, once per 4 steps.
    (line,) = speed_chart([FakeRun(steps, steps // 4 * 0.004)], view=View(px=10_000)).lines
    assert len(line.y) == pytest.approx(20, abs=1)
    np.testing.assert_allclose(line.y, 1000.0, rtol=0.01)


def test_attempts_are_separated_by_gap():
    seconds = np.r_[np.arange(50.0), 5000.0 + np.arange(50.0)]
    chart = speed_chart([FakeRun(np.arange(100), seconds, restarts=(4999.0,))])
    (line,) = chart.lines
    assert np.isnan(line.y).sum() == 1
    np.testing.assert_allclose(line.y[~np.isnan(line.y)], 1.0)
    assert [(mark.step, mark.kind) for mark in chart.marks] == [(50, "restart")]


def test_repeated_steps_do_not_give_negative_speed():
    seconds = np.r_[np.arange(50.0), 100.0 + np.arange(30.0), 60.0 + np.arange(20.0)]
    (line,) = speed_chart([FakeRun(np.arange(100), seconds)]).lines
    assert not (line.y[~np.isnan(line.y)] < 0).any()


def test_named_series_is_preferred(layered_run):
    (line,) = speed_chart([layered_run], ["nowhere", "val/loss"]).lines
    assert set(line.last_steps.tolist()) <= set(range(0, 300, 50))
    (line,) = speed_chart([FakeRun(np.arange(10), np.arange(10.0))], ["nowhere"]).lines
    np.testing.assert_allclose(line.y, 1.0)


def test_speed_without_points_raises():
    with pytest.raises(KeyError, match="no points in 1 run; "):
        speed_chart([FakeRun(np.arange(0), np.arange(0.0))])
    with pytest.raises(KeyError, match="no points in 0 runs; "):
        speed_chart([])
    (line,) = speed_chart([FakeRun(np.arange(1), np.arange(1.0))]).lines
    assert len(line.y) == 0
