"""Alerts: every rule on a real run, `should_stop`, the events file and its limits, and failures."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import holter
from holter import alerts
from waiting import wait_until

EVENTS = "events.jsonl"


def record(run_dir: Path, rules: list[alerts.Rule], points: list[tuple[int, str, float]]) -> list[alerts.Alert]:
    """Record a run, and return its alerts after comparing `logger.alerts` with `Run.events`."""
    with holter.Logger(run_dir, alerts=rules) as logger:
        for point in points:
            logger.log(*point)
        logger.flush(60)
        found = logger.alerts
    assert repr(found) == repr(holter.open_run(run_dir).events)
    return found


def keys(found: list[alerts.Alert]) -> list[tuple[str | None, int | None, str]]:
    return [(alert.series, alert.step, alert.rule) for alert in found]


def test_nonfinite_rule(run_dir):
    values = [1.0, math.nan, math.inf, 2.0, -math.inf]
    found = record(run_dir, [alerts.NonFinite()], [(step, "loss", value) for step, value in enumerate(values)])
    assert keys(found) == [("loss", 1, "non_finite"), ("loss", 4, "non_finite")]
    assert math.isnan(found[0].value)
    assert found[1].value == -math.inf
    assert found[0].level == "error"
    assert abs(found[0].time.timestamp() - time.time()) < 60
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (run_dir / EVENTS).read_text().splitlines()]
    assert [line["value"] for line in lines] == ["nan", "-inf"]
    assert list(lines[0]) == ["version", "time", "level", "series", "step", "value", "rule", "stop", "message"]
    assert lines[0]["version"] == 1


def test_spike_rule(run_dir):
    points = [(step, "loss", 2.0 + (step * 37 % 11) / 11) for step in range(300)]
    points[250] = (250, "loss", 40.0)
    found = record(run_dir, [alerts.Spike("loss")], points)
    assert keys(found) == [("loss", 250, "spike")]
    assert "40 is more than 6 standard deviations" in found[0].message


def test_threshold_rules_count_steps_for_each_series(run_dir):
    """Catches a counter shared by layers, which any healthy layer resets."""
    points = []
    for step in range(0, 100, 10):
        points.append((step, "gate/layer_0", 0.01))
        points.append((step, "gate/layer_1", 5.0))
        points.append((step, "other", 0.01))
    rules = [alerts.Below("gate/*", threshold=0.1, steps=41), alerts.Above("gate/*", threshold=1, steps=1)]
    assert keys(record(run_dir, rules, points)) == [("gate/layer_1", 0, "above"), ("gate/layer_0", 40, "below")]


def test_plateau_fires_again_after_it_ended(run_dir):
    values = [1.0, 1.1, 0.9, 1.0, 5.0, 5.0, 5.0, 5.0]
    points = [(step, "loss", value) for step, value in enumerate(values)]
    found = record(run_dir, [alerts.Plateau("loss", steps=3, tolerance=0.2)], points)
    assert keys(found) == [("loss", 2, "plateau"), ("loss", 6, "plateau")]


def test_step_logged_again_is_not_evaluated_again(run_dir):
    points = [(5, "loss", math.nan), (6, "loss", 1.0), (5, "loss", math.nan), (6, "loss", math.nan), (7, "loss", 1.0)]
    assert keys(record(run_dir, [alerts.NonFinite()], points)) == [("loss", 5, "non_finite")]


@pytest.mark.parametrize("sinks", [("sqlite",), ("parquet",)])
def test_should_stop_is_set_during_recording(run_dir, sinks):
    rules = [alerts.NonFinite("quiet"), alerts.NonFinite("loss", stop=True)]
    with holter.Logger(run_dir, alerts=rules, sinks=sinks) as logger:
        logger.log(0, "quiet", math.nan)
        logger.flush(60)
        assert not logger.should_stop
        logger.log_many(1, {f"layer_{layer}": 1.0 for layer in range(2000)})
        logger.log(1, "loss", math.nan)
        wait_until(lambda: logger.should_stop, secs=60)
        assert logger.alerts[-1].stop
    assert logger.should_stop


def test_hostile_names_are_preserved(run_dir):
    names = ['"}\n{"level":"error', "<script>", "ä\u2028\x1b[31m", "../../etc/passwd", "x" * 60_000]
    found = record(run_dir, [alerts.NonFinite()], [(0, name, math.nan) for name in names])
    assert [alert.series for alert in found] == names
    assert len((run_dir / EVENTS).read_bytes().splitlines()) == len(names)


def test_no_events_file_without_rules(run_dir):
    assert record(run_dir, [], [(0, "loss", math.nan)]) == []
    assert not (run_dir / EVENTS).exists()


@pytest.mark.parametrize("obstacle", ["directory", "symlink"])
def test_unwritable_events_file_does_not_affect_recording(run_dir, tmp_path, obstacle):
    run_dir.mkdir(parents=True)
    target = tmp_path / "target"
    target.write_text("untouched")
    if obstacle == "directory":
        (run_dir / EVENTS).mkdir()
    else:
        (run_dir / EVENTS).symlink_to(target)
    with holter.Logger(run_dir, alerts=[alerts.NonFinite(stop=True)]) as logger:
        for step in range(100):
            logger.log(step, "loss", math.nan if step % 2 else 1.0)
        logger.flush(60)
        assert logger.should_stop
        assert len(logger.alerts) == 50
        wait_until(lambda: EVENTS in (logger.health.last_error or ""), secs=60)
    assert logger.health.dropped == 0
    assert len(holter.open_run(run_dir).series("loss")) == 100
    assert target.read_text() == "untouched"


def test_resumed_run_appends_after_the_last_complete_line(run_dir):
    record(run_dir, [alerts.NonFinite()], [(0, "loss", math.nan)])
    with (run_dir / EVENTS).open("a") as file:
        file.write('{"time":"half a li')
    assert keys(holter.open_run(run_dir).events) == [("loss", 0, "non_finite")]
    with holter.Logger(run_dir, alerts=[alerts.NonFinite()], resume="allow") as logger:
        logger.log(1, "loss", math.nan)
        logger.flush(60)
        assert keys(logger.alerts) == [("loss", 1, "non_finite")]
    assert keys(holter.open_run(run_dir).events) == [("loss", 0, "non_finite"), ("loss", 1, "non_finite")]


def test_events_file_is_bounded_but_should_stop_still_works(run_dir):
    points = [(step, "loss", math.nan if step % 2 else 1.0) for step in range(20_200)]
    with holter.Logger(run_dir, alerts=[alerts.NonFinite(), alerts.Above("last", threshold=0, stop=True)]) as logger:
        for point in points:
            logger.log(*point)
        logger.flush(60)
        assert len(logger.alerts) == 1000
        logger.log(0, "last", 1.0)
        wait_until(lambda: logger.should_stop, secs=60)
    events = holter.open_run(run_dir).events
    assert len(events) == 10_000
    assert events[-1].rule == "limit"
    assert events[-1].series is None
    with holter.Logger(run_dir, alerts=[alerts.NonFinite()], resume="allow") as logger:
        logger.log(0, "loss", math.nan)
    assert repr(holter.open_run(run_dir).events) == repr(events)


def test_ranks_watch_their_own_series_and_are_read_together(run_dir):
    for rank in (1, 0):
        with holter.Logger(run_dir, rank=rank, alerts=[alerts.NonFinite()]) as logger:
            logger.log(rank, "loss", math.nan)
            logger.flush(60)
            assert [alert.rank for alert in logger.alerts] == [rank]
    run = holter.open_run(run_dir)
    assert [(alert.rank, alert.step) for alert in run.events] == [(1, 1), (0, 0)], "oldest first"
    assert [alert.step for alert in run.open_rank(1).events] == [1]


def test_alert_changes_the_revision(run_dir):
    """Catches a dashboard that shows an alert only after the next point, which may be an hour later."""
    with holter.Logger(run_dir, alerts=[alerts.NonFinite()]) as logger:
        logger.log(0, "loss", math.nan)
        logger.flush(60)
        run = holter.open_run(run_dir)
        before = run.revision
        assert run.revision == before
        with (run_dir / EVENTS).open("a") as file:  # like the writer, which evaluates rules after writing the points
            file.write((run_dir / EVENTS).read_text())
        assert run.revision != before
        assert len(run.events) == 2


KILLED = """
import math, sys
import holter
from holter import alerts
logger = holter.Logger(sys.argv[1], alerts=[alerts.NonFinite(stop=True)])
logger.log(0, "loss", math.nan)
while not logger.should_stop or not logger.alerts:
    pass
logger.flush(60)
print("ready", flush=True)
while True:
    logger.log(1, "loss", 1.0)
"""


def test_events_survive_sigkill_and_are_not_repeated_by_recovery(run_dir):
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(run_dir)], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"ready\n"
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert keys(holter.open_run(run_dir).events) == [("loss", 0, "non_finite")]
    holter.recover(run_dir)
    assert keys(holter.open_run(run_dir).events) == [("loss", 0, "non_finite")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: alerts.NonFinite(3), "pattern must be a str"),
        (lambda: alerts.NonFinite(level="loud"), "level must be one of"),
        (lambda: alerts.NonFinite(stop=1), "stop must be a bool"),
        (lambda: alerts.Spike("x", sigmas=0), "sigmas must be finite and above 0, got 0"),
        (lambda: alerts.Spike("x", warmup=0), "warmup must be at least 1"),
        (lambda: alerts.Below("x", threshold=math.nan), "threshold must be finite, got nan"),
        (lambda: alerts.Above("x", threshold="1"), "threshold must be a number"),
        (lambda: alerts.Above("x", threshold=10**400), "threshold must be finite"),
        (lambda: alerts.Plateau("x", steps=True), "steps must be an int"),
        (lambda: alerts.Plateau("x", steps=5, tolerance=-1), "tolerance must be 0 or more"),
        (lambda: alerts.NonFinite("\ud800"), "pattern must be valid Unicode"),
    ],
)
def test_invalid_rule_is_rejected(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


@pytest.mark.parametrize("rules", [3, "loss", [alerts.NonFinite], ["loss"], [alerts.Rule("loss")]])
def test_invalid_alerts_argument_is_rejected_before_writing(run_dir, rules):
    with pytest.raises(TypeError, match="alerts must be"):
        holter.Logger(run_dir, alerts=rules)
    assert not run_dir.exists()
