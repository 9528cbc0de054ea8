"""`Run.buckets` and `Run.revision` in every state of a run."""

import math
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import holter
import run_files
from rollup_rows import assert_rollups_match_points
from waiting import wait_until

SINKS = [("sqlite",), ("sqlite", "parquet", "summary"), ("parquet",)]
WIDTHS = [1, 64, 512, 4096, 32_768, 262_144, 2**60]

CRASH = """
import os, signal, sys, holter
logger = holter.Logger(sys.argv[1], sinks=sys.argv[2].split("+"))
loss = logger.metric("loss")
for step in range(20_000):
    loss.log(step, step % 1009 * 0.5)
    if step in (7_000, 15_000):
        logger.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(params=SINKS, ids="+".join)
def sinks(request) -> tuple[str, ...]:
    return request.param


def assert_right(run: holter.Run, name: str, width: int) -> None:
    """Check the buckets against the series."""
    series, (buckets,) = run.series(name), run.buckets([name], width=width)
    assert (buckets.name, buckets.width) == (name, width)
    starts, firsts = np.unique(series.steps // width * width, return_index=True)
    lasts = np.append(firsts[1:], len(series)) - 1
    np.testing.assert_array_equal(buckets.steps, starts)
    np.testing.assert_array_equal(buckets.last_steps, series.steps[lasts])
    np.testing.assert_array_equal(buckets.lasts, series.values[lasts])
    np.testing.assert_array_equal(buckets.timestamps, series.timestamps[lasts])
    np.testing.assert_array_equal(buckets.counts, lasts - firsts + 1)
    is_finite = np.isfinite(series.values)
    np.testing.assert_array_equal(buckets.nonfinite_counts, np.add.reduceat(~is_finite, firsts, dtype=int))
    finite = np.where(is_finite, series.values, np.nan)
    np.testing.assert_array_equal(buckets.minima, np.fmin.reduceat(finite, firsts))
    np.testing.assert_array_equal(buckets.maxima, np.fmax.reduceat(finite, firsts))
    zeroed = np.where(is_finite, series.values, 0.0)
    size = np.add.reduceat(np.abs(zeroed), firsts)
    assert (np.abs(buckets.sums - np.add.reduceat(zeroed, firsts)) <= 1e-12 * size).all()
    np.testing.assert_allclose(buckets.square_sums, np.add.reduceat(zeroed**2, firsts), rtol=1e-12)


def assert_all_right(run: holter.Run) -> None:
    for name in run.names():
        for width in WIDTHS:
            assert_right(run, name, width)


def log_walk(logger: holter.Logger, name: str, steps: range, seed: int = 0) -> None:
    """Log a random walk with some non-finite values."""
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.standard_normal(len(steps)))
    values[:: len(steps) // 5] = [math.nan, math.inf, -math.inf, math.nan, math.nan, math.nan][
        : len(values[:: len(steps) // 5])
    ]
    metric = logger.metric(name)
    for step, value in zip(steps, values.tolist(), strict=True):
        metric.log(step, value)


def test_every_state_of_a_run_has_the_same_buckets(sinks, run_dir: Path) -> None:
    logger = holter.Logger(run_dir, sinks=sinks)
    run = holter.open_run(run_dir)
    assert run.buckets("*") == []
    log_walk(logger, "loss", range(10_000))
    log_walk(logger, "sparse", range(0, 3_000_000, 997))
    log_walk(logger, "below zero", range(-9_000, 50, 3))
    assert_all_right(run)
    logger.flush()
    assert_all_right(run)
    log_walk(logger, "loss", range(9_000, 15_000), seed=1)  # overlaps by 1,000 steps
    for step in random.Random(0).sample(range(15_000), 500):
        logger.log(step, "loss", -1.0)
    assert_all_right(run)
    logger.close()
    assert_all_right(run)
    with holter.Logger(
        run_dir, sinks=sinks, resume="must"
    ) as logger:  # resumes from an earlier step, as from a checkpoint
        log_walk(logger, "loss", range(12_000, 25_000), seed=2)
        assert_all_right(run)
    assert_all_right(run)
    if "sqlite" in sinks:
        run_files.assert_database_is_intact(run_dir)


def test_buckets_are_correct_after_a_crash_and_after_recovery(sinks, run_dir: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CRASH, run_dir, "+".join(sinks)], check=False)
    assert done.returncode == -signal.SIGKILL
    run = holter.open_run(run_dir)
    assert run.status == "crashed"
    assert_all_right(run)
    assert sum(run.buckets(["loss"])[0].counts) == 20_000
    crashed = run.revision
    assert run.revision == crashed
    holter.recover(run_dir)
    assert run.revision != crashed
    assert_all_right(run)


def test_a_spike_of_one_step_appears_at_every_width(sinks, run_dir: Path) -> None:
    with holter.Logger(run_dir, sinks=sinks) as logger:
        loss = logger.metric("loss")
        for step in range(100_000):
            loss.log(step, 1e6 if step == 77_777 else -1e6 if step == 33_333 else math.sin(step))
        run = holter.open_run(run_dir)
        for _ in ("live", "flushed"):
            for width in WIDTHS:
                (buckets,) = run.buckets(["loss"], width=width)
                assert buckets.maxima.max() == 1e6
                assert buckets.steps[buckets.maxima.argmax()] == 77_777 // width * width
                assert buckets.minima.min() == -1e6
            logger.flush()


def rollups(run_dir: Path) -> list[tuple[int, int]]:
    connection = run_files.database(run_dir)
    try:
        assert_rollups_match_points(connection)
        return connection.execute("SELECT level, start FROM rollups ORDER BY level, start").fetchall()
    finally:
        connection.close()


def test_blocks_of_a_dense_series_are_stored_once_and_used_by_the_reader(run_dir: Path) -> None:
    with holter.Logger(run_dir, sinks=("sqlite",)) as logger:
        log_walk(logger, "loss", range(40_000))
    block = 512
    expected = [
        (level, start) for level in range(3) for start in range(0, 40_000 - block * 8**level + 1, block * 8**level)
    ]
    assert rollups(run_dir) == expected
    (before,) = holter.open_run(run_dir).buckets(["loss"], width=64)
    connection = run_files.database(run_dir)
    connection.execute("DELETE FROM points WHERE step < 39936")  # the points in rows of level 0
    connection.close()
    (after,) = holter.open_run(run_dir).buckets(["loss"], width=64)
    for column in ("steps", "last_steps", "counts", "minima", "maxima", "sums", "square_sums", "timestamps"):
        np.testing.assert_array_equal(getattr(after, column), getattr(before, column))


def test_a_run_resumed_from_a_checkpoint_rewrites_its_rows(run_dir: Path) -> None:
    with holter.Logger(run_dir, sinks=("sqlite",)) as logger:
        log_walk(logger, "loss", range(20_000))
    once = rollups(run_dir)
    with holter.Logger(run_dir, sinks=("sqlite",), resume="must") as logger:
        for step in range(9_000, 20_000):
            logger.log(step, "loss", 0.25)
            if step % 300 == 0:
                logger.flush()
    assert rollups(run_dir) == once
    assert_all_right(holter.open_run(run_dir))


def test_a_sparse_series_gets_no_rows_of_the_lowest_level(run_dir: Path) -> None:
    with holter.Logger(run_dir, sinks=("sqlite",)) as logger:
        for step in range(0, 200_000, 8):
            logger.log(step, "every 8 steps", step)
    levels = {level for level, _ in rollups(run_dir)}
    assert levels == {1, 2}  # a bucket of 64 steps would have 8 points, fewer than the minimum of 32


def test_a_database_without_the_rollup_table_is_read_and_gets_one(run_dir: Path) -> None:
    with holter.Logger(run_dir) as logger:
        log_walk(logger, "loss", range(3_000))
    connection = run_files.database(run_dir)
    connection.execute("DROP TABLE rollups")
    connection.close()
    assert_all_right(holter.open_run(run_dir))
    with holter.Logger(run_dir, resume="must") as logger:
        log_walk(logger, "loss", range(3_000, 6_000))
    assert_all_right(holter.open_run(run_dir))
    assert (0, 512 * 6) in rollups(run_dir)


def test_buckets_are_returned_in_the_order_of_the_requested_names(sinks, run_dir: Path) -> None:
    with holter.Logger(run_dir, sinks=sinks) as logger:
        logger.log_many(1, {"b": 1.0, "a": 2.0, "grad/0": 3.0, "grad/1": 4.0})
        run = holter.open_run(run_dir)
        assert [buckets.name for buckets in run.buckets(["b", "a", "b"])] == ["b", "a", "b"]
        assert [buckets.name for buckets in run.buckets("grad/*")] == ["grad/0", "grad/1"]
        assert [buckets.name for buckets in run.buckets("*")] == ["a", "b", "grad/0", "grad/1"]
        assert run.buckets("nothing*") == []
        assert run.buckets([]) == []
        with pytest.raises(KeyError, match="has no series 'grad/2'; did you mean 'grad/"):
            run.buckets(["a", "grad/2"])


def test_all_series_get_the_same_width(sinks, run_dir: Path) -> None:
    with holter.Logger(run_dir, sinks=sinks) as logger:
        for step in range(1_000):
            logger.log(step, "short", step)
        for step in range(64_000):
            logger.log(step, "long", step)
        run = holter.open_run(run_dir)
        for _ in ("live", "flushed"):
            assert {buckets.width for buckets in run.buckets(["short"])} == {1}
            assert {buckets.width for buckets in run.buckets("*")} == {64}
            assert {buckets.width for buckets in run.buckets("*", max_buckets=999)} == {512}
            assert {buckets.width for buckets in run.buckets("*", max_buckets=64_000)} == {1}
            assert {buckets.width for buckets in run.buckets("*", start=5_000, stop=6_000)} == {1}
            assert {buckets.width for buckets in run.buckets("*", start=5_000, stop=6_001)} == {64}
            logger.flush()
        (whole,) = run.buckets(["long"], width=64, start=100, stop=129)
        assert (whole.steps.tolist(), whole.counts.tolist()) == ([64, 128], [64, 64])
        (points,) = run.buckets(["long"], width=1, start=100, stop=103)
        assert (points.steps.tolist(), points.last_steps.tolist()) == ([100, 101, 102],) * 2
        for start, stop in [(5, 5), (6, 5), (1 << 70, None), (None, -(1 << 70))]:
            (nothing,) = run.buckets(["long"], start=start, stop=stop)
            assert (len(nothing), nothing.width) == (0, 1)


@pytest.mark.parametrize("width", [0, -64, 2, 63, 128, 2**61, 2**70])
def test_invalid_widths_raise_value_error(run_dir: Path, width: int) -> None:
    with holter.Logger(run_dir) as logger:
        logger.log(1, "a", 1.0)
    run = holter.open_run(run_dir)
    with pytest.raises(ValueError, match=r"a bucket width must be 1 or 64 \* 8\*\*k steps"):
        run.buckets("*", width=width)
    with pytest.raises(ValueError, match="max_buckets must be at least 1, got 0"):
        run.buckets("*", max_buckets=0)


def test_means_and_standard_deviations(run_dir: Path) -> None:
    with holter.Logger(run_dir) as logger:
        for step, value in enumerate([1.0, 2.0, 6.0, math.nan]):
            logger.log(step, "a", value)
        for step in range(64, 128):
            logger.log(step, "a", 0.1)  # rounding makes the variance from sums negative
        logger.log(128, "a", math.inf)
    (buckets,) = holter.open_run(run_dir).buckets(["a"], width=64)
    np.testing.assert_allclose(buckets.means, [3.0, 0.1, math.nan])
    np.testing.assert_allclose(buckets.stds, [math.sqrt(14 / 3), 0.0, math.nan], atol=1e-8)
    assert len(buckets) == 3
    assert repr(buckets) == "<Buckets of 'a': 3 of width 64, 69 points, steps 0 to 128>"


def test_the_revision_changes_with_every_change(sinks, run_dir: Path) -> None:
    logger = holter.Logger(run_dir, sinks=sinks)
    run, other = holter.open_run(run_dir), holter.open_run(run_dir)
    seen = [run.revision]

    def assert_new() -> None:
        assert run.revision not in seen
        assert run.revision == other.revision == run.revision
        seen.append(run.revision)

    logger.log(1, "a", 1.0)
    assert_new()
    logger.log(1, "a", 2.0)
    assert_new()
    logger.close()
    assert_new()
    logger = holter.Logger(run_dir, sinks=sinks, resume="must")
    assert_new()
    logger.log_many(2, {"a": 1.0, "b": 1.0})
    assert_new()
    logger.close()
    assert_new()


def test_a_read_includes_all_points_of_the_revision(run_dir: Path) -> None:
    """A client that polls the revision would otherwise miss points until the next change."""
    with holter.Logger(run_dir) as logger:
        metrics = logger.metrics([f"series/{i}" for i in range(1_000)])
        run = holter.open_run(run_dir)
        for step in range(60):
            logger.log_array(step, metrics, np.full(1_000, float(step)))
            before = run.revision
            (buckets,) = run.buckets(["series/999"])
            assert buckets.last_steps[-1] == step
            assert before == run.revision


def test_the_revision_follows_the_files_if_the_journal_is_not_readable(run_dir: Path) -> None:
    """A journal in memory cannot be read by other processes, but commits change the files."""
    with holter.Logger(run_dir, sinks=("sqlite",)) as logger:
        logger.log(1, "a", 1.0)
        logger.flush()
        (run_dir / "journal.holter").rename(run_dir / "away")
        run = holter.open_run(run_dir)
        before = run.revision
        logger.log(2, "a", 1.0)
        logger.flush()
        wait_until(lambda: run.revision != before, 60)
        (run_dir / "away").rename(run_dir / "journal.holter")
