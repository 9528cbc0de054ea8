"""A disk that fills up, or cannot be written at all, neither stops nor slows the training; what is lost is counted.

Each test has a small file system of its own in memory. Where mounting is not allowed they are skipped.
"""

import contextlib
import json
import math
import os
import statistics
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
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")


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
    """Fill the file system up but for `leave` bytes."""
    free = os.statvfs(disk)
    with (disk / "ballast").open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
        ballast.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
        while not leave:
            ballast.write(bytes(BLOCK))


def make_room(disk: Path) -> None:
    (disk / "ballast").unlink()


def rate(logger: holter.Logger, first_step: int, count: int) -> float:
    """Steps per second of a training loop that logs four series; a step takes some 20 microseconds."""
    began = time.perf_counter()
    for step in range(first_step, first_step + count):
        sum(range(2_000))
        logger.log(step, "loss", step * 0.5)
        logger.log(step, "a", 1.0)
        logger.log(step, "b", 2.0)
        logger.log(step, "c", 3.0)
    return count / (time.perf_counter() - began)


@pytest.mark.parametrize("overflow", holter.Overflow)
@pytest.mark.parametrize("sinks", [("sqlite", "parquet", "summary"), ("parquet",)], ids="+".join)
def test_the_training_goes_on_at_the_same_speed_while_the_disk_is_full(
    disk: Path, sinks: tuple[str, ...], overflow: holter.Overflow, record_property
) -> None:
    """Catches a `log` that waits for, or fails because of, a disk that refuses; points that are lost and not counted,
    or counted and not lost; more than one warning; and a recorder that does not come back when there is room."""
    run = disk / "run"
    logger = holter.Logger(run, sinks=sinks, summary_every=1000, overflow=overflow, journal_points=1 << 14)
    step = 0
    with_room = []
    for _ in range(11):
        with_room.append(rate(logger, step, 1_000))
        step += 1_000
        logger.flush()

    fill(disk)
    with_full_disk = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # The journal takes what the disk does not, until it is full too and the writer has met the full disk.
        deadline = time.monotonic() + 30
        while not logger.health.dropped or logger.health.retries < 3:
            assert time.monotonic() < deadline, logger.health
            chunk = rate(logger, step, 500)
            step += 500
            if logger.health.dropped:
                with_full_disk.append(chunk)
    health = logger.health
    assert health.accepted + health.dropped == 4 * step
    assert "No space left" in (health.last_error or "") or "full" in (health.last_error or ""), health
    assert any(sink.state == "failing" and sink.last_error for sink in health.sinks), health.sinks
    assert [warning.category for warning in caught] == [holter.HolterWarning]
    text = str(caught[0].message)
    assert "drops" in text
    assert "health.dropped" in text
    # A burst may fill the journal before the writer has met the full disk.
    assert any(reason in text for reason in ("full", "No space left", "too slow")), text
    ratio = statistics.median(with_full_disk) / statistics.median(with_room)
    record_property("speed with a full disk", ratio)
    print(f"the loop runs at {ratio:.2f} of its speed while the disk is full, {len(with_full_disk)} chunks")
    assert ratio > 0.5

    make_room(disk)
    wait_until(lambda: all(sink.state == "working" for sink in logger.health.sinks), 30)
    logger.flush(30)
    dropped = logger.health.dropped
    for _ in range(3):
        rate(logger, step, 500)
        step += 500
        logger.flush()
    logger.close()
    health = logger.health
    assert health.dropped == dropped, "points were dropped although there was room again"
    assert health.accepted + health.dropped == 4 * step
    assert health.written == health.accepted
    found = run_files.sqlite_points(run) if "sqlite" in sinks else run_files.parquet_points(run)
    run_files.assert_same_points(run_files.parquet_points(run), found)
    assert len(found) == health.accepted
    for known in (*range(5_500), *range(step - 1_500, step)):
        assert found["loss", known] == known * 0.5
    manifest = run_files.manifest(run)
    assert manifest["status"] == "finished"
    assert manifest["dropped"] == dropped
    if "sqlite" in sinks:
        run_files.assert_database_is_intact(run)
    assert not (run / "journal.holter").exists()


def test_a_new_name_finds_no_room(disk: Path) -> None:
    """Catches an exception, or an uncounted loss, where the journal cannot grow to hold a new series' name."""
    logger = holter.Logger(disk / "run", sinks=("sqlite",), journal_points=1 << 10)
    fill(disk)
    names = [f"{index:06}/{'x' * 60_000}" for index in range(30)]  # More than the area for names has room for.
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


def test_a_disk_that_is_full_when_the_run_is_opened(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a logger that opens and records into nothing, and a failed opening that leaves the run locked or
    unusable, or files that take up the last room, here or where the journal goes instead."""
    local = tmp_path / "local"
    local.mkdir()
    monkeypatch.setenv("TMPDIR", str(local))
    fill(disk)
    with pytest.raises(holter.StoreError, match=r"(?i)no space|full"), warnings.catch_warnings():
        warnings.simplefilter("ignore", holter.HolterWarning)
        holter.Logger(disk / "run", journal_points=1 << 14)
    make_room(disk)
    left = [path.name for path in (disk / "run").iterdir() if path.stat().st_size] if (disk / "run").exists() else []
    assert not left, f"a run that could not be opened left {left}"
    assert not list(local.iterdir())
    with holter.Logger(disk / "run", journal_points=1 << 14) as logger:
        logger.log(1, "loss", 0.5)
    assert run_files.sqlite_points(disk / "run") == {("loss", 1): 0.5}


def test_a_disk_that_is_full_when_the_run_is_opened_again(disk: Path) -> None:
    """Catches a recovery that fails half-way and loses what it had read, or a lock that stays."""
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
                logger = holter.Logger(run, journal_points=1 << 14)
            except holter.StoreError as error:
                assert "full" in str(error) or "No space" in str(error), error
            else:
                # There was just enough room; then the logger works.
                logger.log(3_000, "loss", 1_500.0)
                with contextlib.suppress(holter.HolterError):
                    logger.close()
        make_room(disk)
    with holter.Logger(run, journal_points=1 << 14) as logger:
        logger.log(3_000, "loss", 1_500.0)
    points = run_files.sqlite_points(run)
    assert points == {("loss", step): step * 0.5 for step in range(3_001)}
    run_files.assert_same_points(run_files.parquet_points(run), points)
    run_files.assert_database_is_intact(run)


def test_a_disk_that_is_full_when_the_run_is_closed(disk: Path) -> None:
    """Catches a close that never ends, or that throws away what it could not write. Takes the 30 seconds that
    closing is given."""
    run = disk / "run"
    logger = holter.Logger(run, journal_points=1 << 14)
    logger.log(0, "loss", 0.0)
    logger.flush()
    fill(disk)
    for step in range(1, 10_000):
        logger.log(step, "loss", step * 0.5)
    began = time.monotonic()
    with pytest.raises(holter.FlushTimeoutError, match="points wait for the disk"):
        logger.close()
    assert time.monotonic() - began < 45
    with pytest.raises(holter.RunClosedError):
        logger.log(10_000, "loss", 1.0)
    logger.close()
    make_room(disk)
    with holter.Logger(run, journal_points=1 << 14) as again:
        assert again.recovered > 0
    points = run_files.sqlite_points(run)
    assert points == {("loss", step): step * 0.5 for step in range(10_000)}
    run_files.assert_same_points(run_files.parquet_points(run), points)


@pytest.mark.parametrize("leave", [0, BLOCK, 3 * BLOCK, 40 * BLOCK], ids="{} bytes left".format)
def test_alerts_on_a_full_disk_cost_no_point_and_are_all_there_later(disk: Path, leave: int) -> None:
    """Catches an events file that is an error in the training, that takes part of a line for a line, or that
    says an alert twice or never because the disk refused it for a while."""
    run = disk / "run"
    logger = holter.Logger(run, journal_points=1 << 14, alerts=[alerts.NonFinite(stop=True)])
    logger.log(0, "loss", 0.0)
    logger.flush()
    fill(disk, leave)
    for step in range(1, 8_000):
        logger.log(step, "loss", math.nan if step % 2 else 0.5)
    wait_until(lambda: logger.should_stop, 5)
    wait_until(lambda: any(sink.state == "failing" for sink in logger.health.sinks), 30)
    file = run / "events.jsonl"
    whole, _, _ = (file.read_text() if file.exists() else "").rpartition("\n")
    seen = [json.loads(line)["step"] for line in whole.splitlines()]
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


def test_a_configuration_that_finds_the_disk_full_is_written_at_the_end(disk: Path) -> None:
    run = disk / "run"
    logger = holter.Logger(run, config={"lr": 1}, journal_points=1 << 14)
    logger.flush()
    fill(disk)
    with pytest.warns(holter.HolterWarning, match="not on the disk yet"):
        logger.update_config({"seed": 7})
    assert run_files.manifest(run)["config"] == {"lr": 1}
    logger.log(0, "loss", 0.5)
    make_room(disk)
    logger.close()
    assert run_files.manifest(run)["config"] == {"lr": 1, "seed": 7}
    assert run_files.sqlite_points(run) == {("loss", 0): 0.5}


def test_a_folder_that_cannot_be_written(tmp_path: Path, disk: Path) -> None:
    """Catches anything but one clear error where a run is opened on a file system that is read-only."""
    with holter.Logger(disk / "there", journal_points=1 << 10) as logger:
        logger.log(0, "loss", 0.5)
    del logger  # Its journal is mapped to the end, and a file that can be written keeps the disk from being read-only.
    before = json.dumps(run_files.manifest(disk / "there"))
    mount("-o", "remount,ro", str(disk))
    for run in (disk / "new", disk / "there"):
        with (
            pytest.raises(holter.StoreError, match=r"(?i)read-only|readonly"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", holter.HolterWarning)
            holter.Logger(run, journal_points=1 << 10)
    assert json.dumps(run_files.manifest(disk / "there")) == before
    mount("-o", "remount,rw", str(disk))
    with holter.Logger(disk / "there", journal_points=1 << 10) as logger:
        logger.log(1, "loss", 0.25)
    assert run_files.sqlite_points(disk / "there") == {("loss", 0): 0.5, ("loss", 1): 0.25}
