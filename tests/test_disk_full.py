"""A disk that fills up or is read-only neither stops nor blocks the training; lost points are counted.

Each test mounts a small tmpfs. Tests are skipped if mounting is not allowed.
"""

import contextlib
import json
import math
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

import holter
import run_files
from holter import alerts
from waiting import wait_until

SIZE = 24 << 20
BLOCK = 4096


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount failed: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 24 MB."""
    point = tmp_path / "disk"
    point.mkdir()
    try:
        mount("-t", "tmpfs", "-o", f"size={SIZE}", "holter-test", str(point))
    except FileNotFoundError:
        pytest.skip("there is no `mount`")
    yield point
    subprocess.run(["umount", "--lazy", str(point)], check=True)


def fill(disk: Path, leave: int = 0) -> None:
    """Fill the file system except for `leave` bytes."""
    free = os.statvfs(disk)
    with (disk / "ballast").open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
        ballast.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
        while not leave:
            ballast.write(bytes(BLOCK))


def make_room(disk: Path) -> None:
    (disk / "ballast").unlink()


def train(logger: holter.Logger, first_step: int, count: int) -> int:
    """Log four series per step. Return how often the thread blocked (voluntary context switches)."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    for step in range(first_step, first_step + count):
        logger.log(step, "loss", step * 0.5)
        logger.log(step, "a", 1.0)
        logger.log(step, "b", 2.0)
        logger.log(step, "c", 3.0)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before


def train_until_the_disk_fails(logger: holter.Logger, step: int) -> int:
    """Train until the journal is full and the writer has retried; check health and the warning. Return the step."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        deadline = time.monotonic() + 120
        while not logger.health.dropped or logger.health.retries < 3:
            assert time.monotonic() < deadline, logger.health
            train(logger, step, 500)
            step += 500
    health = logger.health
    assert health.accepted + health.dropped == 4 * step
    assert "No space left" in (health.last_error or "") or "full" in (health.last_error or ""), health
    assert any(sink.state == "failing" and sink.last_error for sink in health.sinks), health.sinks
    assert [warning.category for warning in caught] == [holter.HolterWarning]
    text = str(caught[0].message)
    assert "points are being dropped" in text
    assert "health.dropped" in text
    # A burst may fill the journal before the writer's first failure.
    assert any(reason in text for reason in ("full", "No space left", "too slow")), text
    return step


@pytest.mark.parametrize("overflow", holter.Overflow)
@pytest.mark.parametrize("sinks", [("sqlite", "parquet", "summary"), ("parquet",)], ids="+".join)
def test_a_full_disk_does_not_block_the_training_and_drops_are_counted(
    disk: Path, sinks: tuple[str, ...], overflow: holter.Overflow
) -> None:
    run = disk / "run"
    logger = holter.Logger(run, sinks=sinks, summary_every=1000, overflow=overflow, journal_points=1 << 14)
    for step in range(0, 5_000, 1_000):
        train(logger, step, 1_000)
        logger.flush()
    fill(disk)
    step = train_until_the_disk_fails(logger, 5_000)
    waits = logger.health.waits
    times_blocked = train(logger, step, 2_000)
    step += 2_000
    assert logger.health.waits == waits
    assert times_blocked < 20, "8,000 calls of log blocked the thread"

    make_room(disk)
    wait_until(lambda: all(sink.state == "working" for sink in logger.health.sinks), 120)
    logger.flush(60)
    dropped = logger.health.dropped
    for _ in range(3):
        train(logger, step, 500)
        step += 500
        logger.flush()
    logger.close()
    health = logger.health
    assert health.dropped == dropped, "points were dropped although the disk had space"
    assert health.accepted + health.dropped == 4 * step
    assert health.written == health.accepted
    found = run_files.sqlite_points(run) if "sqlite" in sinks else run_files.parquet_points(run)
    run_files.assert_same_points(run_files.parquet_points(run), found)
    assert len(found) == health.accepted
    for accepted_step in (*range(5_000), *range(step - 1_500, step)):
        assert found["loss", accepted_step] == accepted_step * 0.5
    manifest = run_files.manifest(run)
    assert manifest["status"] == "finished"
    assert manifest["dropped"] == dropped
    if "sqlite" in sinks:
        run_files.assert_database_is_intact(run)
    assert not (run / "journal.holter").exists()


def test_a_new_name_that_does_not_fit_on_the_disk_is_dropped_and_counted(disk: Path) -> None:
    logger = holter.Logger(disk / "run", sinks=("sqlite",), journal_points=1 << 10)
    fill(disk)
    names = [f"{index:06}/{'x' * 60_000}" for index in range(30)]  # more than the journal's name area holds
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step, name in enumerate(names):
            logger.log(step, name, 1.0)
    assert [warning.category for warning in caught] == [holter.HolterWarning]
    health = logger.health
    assert health.dropped > 0
    assert health.accepted + health.dropped == len(names)
    make_room(disk)
    for step, name in enumerate(names):
        logger.log(step, name, 2.0)
    logger.close()
    points = run_files.sqlite_points(disk / "run")
    assert {name: value for (name, _), value in points.items()} == dict.fromkeys(names, 2.0)


def test_opening_a_run_on_a_full_disk_fails_and_leaves_no_files(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "local"
    local.mkdir()
    monkeypatch.setenv("TMPDIR", str(local))
    fill(disk)
    with pytest.raises(holter.StoreError, match=r"(?i)no space|full"), warnings.catch_warnings():
        warnings.simplefilter("ignore", holter.HolterWarning)
        holter.Logger(disk / "run", journal_points=1 << 14)
    make_room(disk)
    left = [path.name for path in (disk / "run").iterdir() if path.stat().st_size] if (disk / "run").exists() else []
    assert not left, f"the failed open left {left}"
    assert not list(local.iterdir())
    with holter.Logger(disk / "run", journal_points=1 << 14) as logger:
        logger.log(1, "loss", 0.5)
    assert run_files.sqlite_points(disk / "run") == {("loss", 1): 0.5}


def test_a_recovery_on_a_full_disk_loses_no_point(disk: Path) -> None:
    program = """
import os, signal, sys, holter
logger = holter.Logger(sys.argv[1], journal_points=1 << 14)
logger.flush()
for step in range(3000):
    logger.log(step, "loss", step * 0.5)
os.kill(os.getpid(), signal.SIGKILL)
"""
    run = disk / "run"
    subprocess.run([sys.executable, "-c", program, str(run)], check=False)
    for leave in (0, 4 * BLOCK, 30 * BLOCK, 60 * BLOCK):
        fill(disk, leave)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", holter.HolterWarning)
            try:
                logger = holter.Logger(run, resume="must", journal_points=1 << 14)
            except holter.StoreError as error:
                assert "full" in str(error) or "No space" in str(error), error
            else:
                # The space was just sufficient, so the logger works.
                logger.log(3_000, "loss", 1_500.0)
                with contextlib.suppress(holter.HolterError):
                    logger.close()
        make_room(disk)
    with holter.Logger(run, resume="must", journal_points=1 << 14) as logger:
        logger.log(3_000, "loss", 1_500.0)
    points = run_files.sqlite_points(run)
    assert points == {("loss", step): step * 0.5 for step in range(3_001)}
    run_files.assert_same_points(run_files.parquet_points(run), points)
    run_files.assert_database_is_intact(run)


def test_closing_a_run_on_a_full_disk_times_out_and_keeps_the_points(disk: Path) -> None:
    """Takes the 10 seconds after which `close` gives up."""
    run = disk / "run"
    logger = holter.Logger(run, journal_points=1 << 14)
    logger.log(0, "loss", 0.0)
    logger.flush()
    fill(disk)
    for step in range(1, 10_000):
        logger.log(step, "loss", step * 0.5)
    with pytest.raises(holter.FlushTimeoutError, match="points are not on disk yet"):
        logger.close()
    with pytest.raises(holter.RunClosedError):
        logger.log(10_000, "loss", 1.0)
    logger.close()
    make_room(disk)
    with holter.Logger(run, resume="must", journal_points=1 << 14) as again:
        assert again.recovered > 0
    points = run_files.sqlite_points(run)
    assert points == {("loss", step): step * 0.5 for step in range(10_000)}
    run_files.assert_same_points(run_files.parquet_points(run), points)


@pytest.mark.parametrize("leave", [0, BLOCK, 3 * BLOCK, 40 * BLOCK], ids="{} bytes left".format)
def test_alerts_on_a_full_disk_are_each_written_once_later(disk: Path, leave: int) -> None:
    run = disk / "run"
    logger = holter.Logger(run, journal_points=1 << 14, alerts=[alerts.NonFinite(stop=True)])
    logger.log(0, "loss", 0.0)
    logger.flush()
    fill(disk, leave)
    for step in range(1, 8_000):
        logger.log(step, "loss", math.nan if step % 2 else 0.5)
    wait_until(lambda: logger.should_stop, 60)
    wait_until(lambda: any(sink.state == "failing" for sink in logger.health.sinks), 120)
    file = run / "events.jsonl"
    complete_lines, _, _ = (file.read_text() if file.exists() else "").rpartition("\n")
    seen = [json.loads(line)["step"] for line in complete_lines.splitlines()]
    assert seen == list(range(1, 2 * len(seen), 2))
    assert [alert.step for alert in holter.open_run(run).events] == seen
    make_room(disk)
    logger.flush(60)
    logger.close()
    assert logger.health.dropped == 0
    expected = {("loss", step): math.nan if step % 2 else 0.5 for step in range(1, 8_000)} | {("loss", 0): 0.0}
    run_files.assert_same_points(run_files.sqlite_points(run), expected)
    run_files.assert_same_points(run_files.parquet_points(run), expected)
    assert [alert.step for alert in holter.open_run(run).events] == list(range(1, 8_000, 2))


def test_a_configuration_updated_on_a_full_disk_is_written_on_close(disk: Path) -> None:
    run = disk / "run"
    logger = holter.Logger(run, config={"lr": 1}, journal_points=1 << 14)
    logger.flush()
    fill(disk)
    with pytest.warns(holter.HolterWarning, match="could not be written yet"):
        logger.update_config({"seed": 7})
    assert run_files.manifest(run)["config"] == {"lr": 1}
    logger.log(0, "loss", 0.5)
    make_room(disk)
    logger.close()
    assert run_files.manifest(run)["config"] == {"lr": 1, "seed": 7}
    assert run_files.sqlite_points(run) == {("loss", 0): 0.5}


def test_opening_a_run_on_a_read_only_file_system_raises_one_clear_error(disk: Path) -> None:
    with holter.Logger(disk / "existing", journal_points=1 << 10) as logger:
        logger.log(0, "loss", 0.5)
    del logger  # unmaps its journal; a writable mapping prevents the remount
    before = json.dumps(run_files.manifest(disk / "existing"))
    mount("-o", "remount,ro", str(disk))
    for run in (disk / "new", disk / "existing"):
        with (
            pytest.raises(holter.StoreError, match=r"(?i)read-only|readonly"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", holter.HolterWarning)
            holter.Logger(run, resume="allow", journal_points=1 << 10)
    assert json.dumps(run_files.manifest(disk / "existing")) == before
    mount("-o", "remount,rw", str(disk))
    with holter.Logger(disk / "existing", resume="must", journal_points=1 << 10) as logger:
        logger.log(1, "loss", 0.25)
    assert run_files.sqlite_points(disk / "existing") == {("loss", 0): 0.5, ("loss", 1): 0.25}
