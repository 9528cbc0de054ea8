"""Any thread can log, flush and close at any time."""

import math
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import holter
import run_files

THREADS = 8
DEADLINE_SECS = 120


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def run_threads(*actions: Callable[[], object]) -> None:
    """Run all actions concurrently; raise the first exception that any of them raises."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(actions))

    def guarded(action: Callable[[], object]) -> None:
        try:
            barrier.wait(DEADLINE_SECS)
            action()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECS)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]


@pytest.mark.parametrize("sinks", [("sqlite", "parquet", "summary"), ("parquet",)], ids="+".join)
def test_threads_that_log_flush_and_add_names_concurrently_lose_no_point(run_dir: Path, sinks: tuple[str, ...]) -> None:
    import array

    logger = holter.Logger(run_dir, sinks=sinks, journal_points=1 << 10)
    steps = 400

    def produce(thread: int) -> None:
        metric = logger.metric(f"{thread}/metric")
        for step in range(steps):
            value = thread * 1000.0 + step
            logger.log(step, f"{thread}/log", value)
            metric.log(step, value)
            logger.log_many(step, {f"{thread}/many/{index}": value + index for index in range(3)})
            logger.log_array(step, [f"{thread}/array/{index}" for index in range(3)], array.array("d", [value] * 3))
            logger.log(thread * steps + step, "shared", value)
            if step % 100 == thread:
                logger.flush()
                assert logger.health.accepted >= logger.health.written

    run_threads(*(lambda thread=thread: produce(thread) for thread in range(THREADS)))
    logger.close()
    expected = {}
    for thread in range(THREADS):
        for step in range(steps):
            value = thread * 1000.0 + step
            for index in range(3):
                expected[f"{thread}/many/{index}", step] = value + index
                expected[f"{thread}/array/{index}", step] = value
            for name in ("log", "metric"):
                expected[f"{thread}/{name}", step] = value
            expected["shared", thread * steps + step] = value
    assert logger.health.accepted == len(expected)
    assert logger.health.dropped == 0
    if "sqlite" in sinks:
        run_files.assert_same_points(run_files.sqlite_points(run_dir), expected)
        run_files.assert_database_is_intact(run_dir)
    run_files.assert_same_points(run_files.parquet_points(run_dir), expected)


def test_a_name_that_threads_add_concurrently_gets_one_id(run_dir: Path) -> None:
    with holter.Logger(run_dir, journal_points=1 << 12) as logger:
        for attempt in range(20):
            # A separate str object for each thread, so that none is found by identity.
            run_threads(
                *(
                    lambda name="".join(["met at once/", str(attempt)]), thread=thread: logger.log(thread, name, 1.0)
                    for thread in range(THREADS)
                )
            )
    points = run_files.sqlite_points(run_dir)
    assert points == {(f"met at once/{attempt}", thread): 1.0 for attempt in range(20) for thread in range(THREADS)}


@pytest.mark.parametrize("round_number", range(5))
def test_closing_while_others_log_loses_no_accepted_point(run_dir: Path, round_number: int) -> None:
    """Two threads close the run; neither `close` returns before the run is closed."""
    logger = holter.Logger(run_dir, journal_points=1 << 10)
    accepted = [0] * THREADS
    started = threading.Barrier(THREADS + 2)

    def produce(thread: int) -> None:
        started.wait(DEADLINE_SECS)
        try:
            for step in range(10_000_000):
                logger.log(step, f"thread/{thread}", float(step))
                accepted[thread] = step + 1
        except holter.RunClosedError:
            return

    def close() -> None:
        started.wait(DEADLINE_SECS)
        while logger.health.accepted < 500 * (round_number + 1):
            pass
        logger.close()
        assert run_files.manifest(run_dir)["status"] == "finished"
        assert not (run_dir / "journal.holter").exists()

    run_threads(*(lambda thread=thread: produce(thread) for thread in range(THREADS)), close, close)
    expected = {
        (f"thread/{thread}", step): float(step) for thread in range(THREADS) for step in range(accepted[thread])
    }
    run_files.assert_same_points(run_files.sqlite_points(run_dir), expected)
    run_files.assert_same_points(run_files.parquet_points(run_dir), expected)
    assert logger.health.accepted == len(expected)


def test_flushing_while_another_thread_closes_does_not_deadlock(run_dir: Path) -> None:
    for attempt in range(10):
        run = run_dir / str(attempt)
        logger = holter.Logger(run, journal_points=1 << 12)
        for step in range(1_000):
            logger.log(step, "loss", 1.0)

        def flush(logger: holter.Logger = logger) -> None:
            try:
                logger.flush(DEADLINE_SECS)
            except holter.RunClosedError:
                return
            assert logger.health.written == 1_000

        run_threads(flush, logger.close, flush, logger.close)
        assert len(run_files.sqlite_points(run)) == 1_000


def test_a_closed_run_raises_run_closed_error(run_dir: Path) -> None:
    import array

    logger = holter.Logger(run_dir, journal_points=1 << 10)
    metric, metrics = logger.metric("loss"), logger.metrics(["loss"])
    metric.log(0, math.nan)
    logger.close()
    for attempt in (
        lambda: logger.log(1, "loss", 0.5),
        lambda: logger.log(1, "new", 0.5),
        lambda: metric.log(1, 0.5),
        lambda: logger.log_many(1, {"loss": 0.5, "new": 1.0}),
        lambda: logger.log_array(1, metrics, array.array("d", [1.0])),
        lambda: logger.flush(),
    ):
        with pytest.raises(holter.RunClosedError, match="is closed"):
            attempt()
    logger.close()
    assert logger.health.accepted == 1
    assert list(run_files.sqlite_points(run_dir)) == [("loss", 0)]
