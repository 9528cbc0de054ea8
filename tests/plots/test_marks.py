"""Marks are at their logged step, restarts at the first step of an attempt, change points at a change of level."""

import re

import numpy as np
import pytest

import holter
from holter import alerts
from holter.plots import View, band_chart, line_chart, to_plotly


def test_series_with_mark_prefix_are_marks(layered_run):
    chart = line_chart([layered_run], ["train/loss"])
    assert [(mark.step, mark.x, mark.label, mark.kind) for mark in chart.marks] == [
        (100, 100.0, "checkpoint", "mark"),
        (200, 200.0, "checkpoint", "mark"),
    ]
    figure = to_plotly(chart)
    (heads,) = [trace for trace in figure["data"] if trace.get("meta", {}).get("role") == "marks"]
    assert heads["text"] == ["checkpoint", "checkpoint"]
    assert heads["hovertext"][0] == "<b>checkpoint</b> at step 100"
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [100.0, 200.0]


def test_marks_are_limited_to_window_and_optional(layered_run):
    assert [mark.step for mark in line_chart([layered_run], ["train/loss"], View(start=150)).marks] == [200]
    assert line_chart([layered_run], ["train/loss"], View(marks=False)).marks == ()


@pytest.mark.parametrize("x", ["wall", "relative", "metric:train/learning_rate"])
def test_mark_has_x_of_line_at_its_step(layered_run, x):
    chart = line_chart([layered_run], ["train/loss"], View(x=x))
    assert [mark.x for mark in chart.marks] == [chart.lines[0].x[100], chart.lines[0].x[200]]


def test_mark_outside_lines_is_omitted(record):
    run = record("run", {"x": (np.arange(10), np.ones(10)), "mark/late": (np.array([5000]), np.ones(1))})
    assert line_chart([run], ["x"]).marks == ()


def test_marks_of_several_runs_have_run_colors(layered_run, record):
    other = record("other", {"train/loss": (np.arange(300), np.ones(300)), "mark/eval": (np.array([7]), np.ones(1))})
    marks = band_chart([layered_run, other], ["train/loss"], colors=[4, 5]).marks
    assert [(mark.label, mark.color) for mark in marks] == [("checkpoint", 4), ("checkpoint", 4), ("eval", 5)]


def test_restart_is_at_first_step_of_next_attempt(tmp_path):
    for first, stop in ((0, 500), (437, 900)):
        with holter.Logger(tmp_path / "run", resume="allow") as logger:
            for step in range(first, stop):
                logger.log(step, "x", float(step))
    run = holter.open_run(tmp_path / "run")
    (mark,) = line_chart([run], ["x"]).marks
    assert (mark.step, mark.kind, mark.label) == (437, "restart", "restart (attempt 2)")
    assert line_chart([run], ["x"], View(stop=400)).marks == ()


def test_alerts_of_displayed_series_are_marked(tmp_path):
    rules = [alerts.NonFinite(), alerts.Above("*", threshold=50.0)]
    with holter.Logger(tmp_path / "run", alerts=rules) as logger:
        for step in range(100):
            logger.log(step, "x", np.nan if step == 30 else float(step))
            logger.log(step, "y", np.nan if step == 40 else 1.0)
    run = holter.open_run(tmp_path / "run")
    marks = line_chart([run], ["x"]).marks
    assert [(mark.step, mark.label, mark.kind) for mark in marks] == [
        (30, "non finite (error)", "alert"),
        (51, "above (warning)", "alert"),
    ]
    assert [mark.step for mark in line_chart([run], ["y"]).marks] == [40]
    assert len({shape["line"]["color"] for shape in to_plotly(line_chart([run], ["x"]))["layout"]["shapes"]}) == 1


def test_only_first_alerts_are_marked(tmp_path):
    with holter.Logger(tmp_path / "run", alerts=[alerts.NonFinite()]) as logger:
        for step in range(1000):
            logger.log(step, "x", np.nan if step % 2 else 1.0)
    marks = line_chart([holter.open_run(tmp_path / "run")], ["x"]).marks
    assert [mark.step for mark in marks] == list(range(1, 100, 2))


def test_change_points_are_marked_if_requested(record):
    pytest.importorskip("ruptures")
    rng = np.random.default_rng(0)
    values = np.r_[rng.normal(5, 0.1, 200), rng.normal(2, 0.1, 200)]
    run = record("run", {"x": (np.arange(400), values)})
    (mark,) = line_chart([run], ["x"], change_points=True).marks
    assert mark.kind == "change"
    assert abs(mark.step - 200) <= 2
    before, after = (float(level) for level in re.search(r"change (\S+) → (\S+) ", mark.label).groups())
    assert (before, after) == pytest.approx((5, 2), abs=0.1)
    assert mark.label.endswith("%)")
    assert "100 %" not in mark.label
