"""Steps per second are told by timestamps, honestly: over half a second at least, and not across a restart."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

import holter
from holter.plots import View, speed_chart

BEGUN = np.datetime64("2026-01-01T00:00:00", "us")


class FakeRun:
    """A run of one series whose points were logged at the seconds that the test says."""

    def __init__(
        self, steps: np.ndarray, seconds: np.ndarray, restarts: tuple[float, ...] = (), name: str = "x"
    ) -> None:
        self.steps, self.times = steps, BEGUN + (seconds * 1e6).astype("timedelta64[us]")
        self.series_name = name
        starts = [BEGUN + np.timedelta64(int(moment * 1e6), "us") for moment in (0.0, *restarts)]
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
        wanted = np.ones(len(self.steps), np.bool_)
        if start is not None:
            wanted &= self.steps >= start
        if stop is not None:
            wanted &= self.steps < stop
        steps, ones = self.steps[wanted], np.ones(wanted.sum())
        integers = ones.astype(np.int64)
        columns = (steps, steps, integers, integers * 0, ones, ones, ones, ones, ones, self.times[wanted])
        return [holter.Buckets(self.series_name, 1, *columns)]

    def series(self, name, start, stop):
        wanted = (self.steps >= start) & (self.steps < stop)
        return holter.Series(name, self.steps[wanted], np.ones(wanted.sum()), self.times[wanted])


def test_a_steady_run_has_a_steady_speed():
    steps = np.arange(0, 1000, 10)
    (line,) = speed_chart([FakeRun(steps, steps / 4.0)], colors=[7]).lines
    np.testing.assert_allclose(line.y, 4.0)
    assert line.color == 7
    assert len(line.y) == 99


def test_a_rate_is_over_enough_time_to_mean_something():
    steps = np.arange(10_000)
    # The clock ticks every 4 ms, in which 4 steps pass.
    (line,) = speed_chart([FakeRun(steps, steps // 4 * 0.004)], view=View(px=10_000)).lines
    assert len(line.y) == pytest.approx(20, abs=1)
    np.testing.assert_allclose(line.y, 1000.0, rtol=0.01)


def test_between_two_attempts_there_is_a_gap():
    seconds = np.r_[np.arange(50.0), 5000.0 + np.arange(50.0)]
    chart = speed_chart([FakeRun(np.arange(100), seconds, restarts=(4999.0,))])
    (line,) = chart.lines
    assert np.isnan(line.y).sum() == 1
    np.testing.assert_allclose(line.y[~np.isnan(line.y)], 1.0)
    assert [(mark.step, mark.kind) for mark in chart.marks] == [(50, "restart")]


def test_steps_that_were_logged_again_later_give_no_negative_speed():
    seconds = np.r_[np.arange(50.0), 100.0 + np.arange(30.0), 60.0 + np.arange(20.0)]
    (line,) = speed_chart([FakeRun(np.arange(100), seconds)]).lines
    assert not (line.y[~np.isnan(line.y)] < 0).any()


def test_the_named_series_is_preferred_and_another_will_do(layered_run):
    (line,) = speed_chart([layered_run], ["nowhere", "val/loss"]).lines
    assert set(line.last_steps.tolist()) <= set(range(0, 300, 50))
    (line,) = speed_chart([FakeRun(np.arange(10), np.arange(10.0))], ["nowhere"]).lines
    np.testing.assert_allclose(line.y, 1.0)


def test_without_points_there_is_no_speed():
    with pytest.raises(KeyError, match="none of the 1 runs has a point yet"):
        speed_chart([FakeRun(np.arange(0), np.arange(0.0))])
    with pytest.raises(KeyError, match="none of the 0 runs"):
        speed_chart([])
    (line,) = speed_chart([FakeRun(np.arange(1), np.arange(1.0))]).lines
    assert len(line.y) == 0
