"""The points that were logged are read back: while a run is recorded, after it was closed, and after a crash."""

import math
import random
import signal
import subprocess
import sys
import threading

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest

import holter

SINKS = [("sqlite",), ("sqlite", "parquet", "summary"), ("parquet",)]
VALUES = [0.5, -1.0, math.nan, math.inf, -math.inf, 1e300, 5e-324, 0.0]


class Model:
    """The expected points, in a dict."""

    def __init__(self, logger):
        self.logger = logger
        self.points = {}

    def log(self, step, name, value):
        self.logger.log(step, name, value)
        self.points.setdefault(name, {})[step] = value

    def check(self, run):
        assert run.names() == sorted(self.points)
        for name, points in self.points.items():
            series = run.series(name)
            assert series.steps.tolist() == sorted(points)
            np.testing.assert_array_equal(series.values, [points[step] for step in sorted(points)])
        facts = [(f.name, f.count, f.nonfinite_count, f.first_step, f.last_step) for f in run.facts()]
        assert facts == [
            (name, len(p), sum(not math.isfinite(v) for v in p.values()), min(p), max(p))
            for name, p in sorted(self.points.items())
        ]
        rows = [(name, step) for name, points in sorted(self.points.items()) for step in sorted(points)]
        table = pa.table(run.table())
        assert list(zip(table["name"].to_pylist(), table["step"].to_pylist(), strict=True)) == rows
        np.testing.assert_array_equal(table["value"].to_numpy(), [self.points[name][step] for name, step in rows])


@pytest.fixture(params=SINKS, ids="+".join)
def model(request, run_dir):
    with holter.Logger(run_dir, sinks=request.param, journal_points=1 << 14) as logger:
        yield Model(logger)


def files(path):
    return sorted((file.relative_to(path), file.stat().st_size) for file in path.rglob("*") if not file.is_dir())


def test_points_are_the_same_in_every_state_of_a_run(model, run_dir):
    run = holter.open_run(run_dir)
    model.check(run)
    rng = random.Random(0)
    for step in range(300):
        model.log(step, "train/loss", 1 / (step + 1))
        model.log(-step, "ä 'odd' \"name\"", rng.choice(VALUES))
    model.log((1 << 63) - 1, "edge", 1.0)
    model.log(-(1 << 63), "edge", 2.0)
    model.check(run)
    model.logger.flush()
    model.check(run)
    for step in range(250, 320):
        model.log(step, "train/loss", rng.choice(VALUES))
    model.log(0, "edge", math.nan)
    model.check(run)
    assert (run.status, run.is_live) == ("running", True)
    model.logger.close()
    before = files(run_dir)
    model.check(run)
    model.check(holter.open_run(run_dir))
    assert files(run_dir) == before
    assert (run.status, run.is_live) == ("finished", False)


def test_a_resumed_run_is_read_as_one_run(model, run_dir):
    run = holter.open_run(run_dir)
    for attempt in range(3):
        for step in range(attempt * 10, attempt * 10 + 15):
            model.log(step, "a", step * attempt)
        model.check(run)
        model.logger.close()
        sinks = tuple(run.manifest["sinks"])
        model.logger = holter.Logger(run_dir, sinks=sinks, resume="must")
        model.check(run)
    model.logger.close()


CRASH = """
import os, signal, sys, holter
logger = holter.Logger(sys.argv[1], sinks=sys.argv[2].split("+"), journal_points=1 << 14)
for step in range(1000):
    logger.log(step, "a", step)
    if step == 600:
        logger.flush()
logger.log(3, "a", float("nan"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("sinks", SINKS, ids="+".join)
def test_a_crashed_run_is_read_completely_and_not_changed(run_dir, sinks):
    command = [sys.executable, "-c", CRASH, run_dir, "+".join(sinks)]
    assert subprocess.run(command, check=False, timeout=240).returncode == -signal.SIGKILL
    before = files(run_dir)
    run = holter.open_run(run_dir)
    assert (run.status, run.is_live) == ("crashed", False)
    series = run.series("a")
    assert series.steps.tolist() == list(range(1000))
    assert np.flatnonzero(np.isnan(series.values)).tolist() == [3]
    assert run.facts()[0].nonfinite_count == 1
    assert pa.table(run.table()).num_rows == 1000
    assert files(run_dir) == before
    holter.Logger(run_dir, sinks=sinks).close()
    assert run.series("a").steps.tolist() == list(range(1000))
    assert run.status == "finished"


def test_a_failed_run_has_the_status_failed(run_dir):
    def fail():
        with holter.Logger(run_dir) as logger:
            logger.log(0, "a", 1.0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert holter.open_run(run_dir).status == "failed"


def test_polling_during_fast_logging_reads_prefixes(model, run_dir):
    seen, stop = [], threading.Event()
    run = holter.open_run(run_dir)

    def poll():
        while not stop.is_set():
            if run.names():
                seen.append(run.series("a").steps)

    thread = threading.Thread(target=poll)
    thread.start()
    for step in range(100_000):
        model.logger.log(step, "a", 1.0)
    stop.set()
    thread.join()
    assert all(steps.tolist() == list(range(len(steps))) for steps in seen)
    lengths = [len(steps) for steps in seen]
    assert lengths == sorted(lengths)


def test_a_spike_of_one_step_survives_downsampling(run_dir):
    with holter.Logger(run_dir) as logger:
        for step in range(100_000):
            logger.log(step, "a", 1000.0 if step == 77_777 else math.nan if step == 12_345 else step % 10)
    run = holter.open_run(run_dir)
    few = run.downsample("a", 500)
    assert len(few) <= 500
    assert {0, 12_345, 77_777, 99_999} <= set(few.steps.tolist())
    assert len(run.downsample("a", 1)) <= 5
    assert len(run.downsample("a", 1 << 70)) == 100_000
    with pytest.raises(ValueError, match="at least 1, got 0"):
        run.downsample("a", 0)
    with pytest.raises(TypeError):
        run.downsample("a", 2.5)


def test_runs_are_listed_by_age_and_unreadable_runs_reported(tmp_path):
    root = tmp_path / "runs"
    for name in ["z", "project/b", "a"]:
        holter.Logger(root / name).close()
    (root / "empty").mkdir()
    assert [run.name for run in holter.list_runs(root)] == ["z", "b", "a"]
    (root / "broken").mkdir()
    (root / "broken" / "run.json").write_text("{")
    with pytest.warns(holter.HolterWarning, match="broken is skipped: .*damaged") as warned:
        assert len(holter.list_runs(root)) == 3
    assert warned[0].filename == __file__
    reported = []
    assert len(holter.list_runs(root, on_unreadable=lambda *problem: reported.append(problem))) == 3
    assert [(path.name, "damaged" in reason) for path, reason in reported] == [("broken", True)]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        holter.list_runs(tmp_path / "nowhere")


def test_opening_a_path_that_is_not_a_run_raises_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not contain a run \(no run.json\)"):
        holter.open_run(tmp_path)
    (tmp_path / "run.json").write_text('{"format_version": 99}')
    with pytest.raises(holter.FormatVersionError, match="99"):
        holter.open_run(tmp_path)
    (tmp_path / "run.json").write_text('{"format_version": 1}')
    with pytest.raises(holter.StoreError, match="name"):
        holter.open_run(tmp_path)
    with pytest.raises(TypeError):
        holter.open_run(3)


def test_ranks_are_opened_separately(run_dir):
    for rank in [0, 2]:
        with holter.Logger(run_dir, rank=rank) as logger:
            logger.log(0, "a", rank)
    run = holter.open_run(run_dir)
    assert run.ranks == [0, 2]
    assert run.open_rank(2).series("a").last == 2.0
    assert run.open_rank(0).series("a").last == 0.0
    with pytest.raises(FileNotFoundError):
        run.open_rank(1)
    assert len(holter.list_runs(run_dir.parent)) == 1


STEPS = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 20)
LOGS = st.lists(st.tuples(st.sampled_from("abc"), STEPS, st.floats()), max_size=60)


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(before=LOGS, after=LOGS, bounds=st.tuples(st.none() | STEPS, st.none() | STEPS))
def test_any_sequence_of_logs_reads_like_a_dict(tmp_path_factory, before, after, bounds):
    path = tmp_path_factory.mktemp("run")
    with holter.Logger(path, sinks=["sqlite"], journal_points=1 << 10) as logger:
        model = Model(logger)
        for name, step, value in before:
            model.log(step, name, value)
        logger.flush()
        for name, step, value in after:
            model.log(step, name, value)
        run = holter.open_run(path)
        model.check(run)
        start, stop = bounds
        for name, points in model.points.items():
            wanted = [s for s in sorted(points) if (start is None or s >= start) and (stop is None or s < stop)]
            assert run.series(name, start, stop).steps.tolist() == wanted
