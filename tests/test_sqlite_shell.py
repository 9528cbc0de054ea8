"""A plain `sqlite3` shell, and any other program that uses SQLite, reads a run during and after its recording."""

import datetime
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest

import holter
import run_files
from waiting import wait_until

NAME = "grad_norm/blocks.0.M_init"
DEADLINE_SECS = 120
QUERY = f"SELECT step, value FROM metrics WHERE name='{NAME}'"

needs_shell = pytest.mark.skipif(shutil.which("sqlite3") is None, reason="the sqlite3 shell is not installed")


def shell(run: Path, *commands: str) -> str:
    done = subprocess.run(
        ["sqlite3", "-batch", str(run / "metrics.sqlite"), *commands], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), (done, commands)
    return done.stdout


@needs_shell
def test_per_metric_query_works_on_live_and_closed_runs(run_dir: Path) -> None:
    """Catches a schema that the per-metric query of the README does not work on, in Debian's shell."""
    expected = "".join(f"{step}|{step / 2}\n" for step in range(1_000))
    logger = holter.Logger(run_dir, journal_points=1 << 14)
    for step in range(1_000):
        logger.log_many(step, {NAME: step / 2, "train/loss": 1.0, "lr": 3e-4})
    logger.flush()
    assert shell(run_dir, QUERY) == expected
    logger.log(1_000, "train/loss", 0.5)
    logger.close()
    assert shell(run_dir, QUERY) == expected
    assert shell(run_dir, "SELECT count(*) FROM metrics") == "3001\n"
    # A closed run has a single file, which can be copied.
    assert not list(run_dir.glob("metrics.sqlite-*"))


@needs_shell
@pytest.mark.parametrize(
    ("condition", "points"),
    [
        (f"name = '{NAME}'", "series_id=?"),
        (f"name = '{NAME}' AND step = 7", "series_id=? AND step=?"),
        (f"name = '{NAME}' AND step BETWEEN 5 AND 10", r"series_id=? AND step>? AND step<?"),
        ("step = 7", "series_id=? AND step=?"),
        (f"name IN ('{NAME}', 'lr') AND step > 5", "series_id=? AND step>?"),
    ],
)
def test_query_plan_is_an_index_search(run_dir: Path, condition: str, points: str) -> None:
    """Catches a view whose plan reads all points to find a few."""
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        for step in range(20):
            logger.log_many(step, {NAME: 1.0, "lr": 2.0})
        logger.flush()
        plan = shell(run_dir, f"EXPLAIN QUERY PLAN SELECT step, value FROM metrics WHERE {condition}")
    assert "SCAN points" not in plan
    assert f"SEARCH points USING PRIMARY KEY ({points})" in plan
    if "name =" in condition:
        assert re.search(r"SEARCH series USING (COVERING )?INDEX .*\(name=\?\)", plan), plan


@needs_shell
def test_view_has_four_columns(run_dir: Path) -> None:
    """Catches a missing column, a wrong type, or a time that is not ISO 8601 in UTC."""
    before = datetime.datetime.now(datetime.timezone.utc)
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        logger.log(3, "loss", 0.5)
        logger.log(4, "loss", float("nan"))
        logger.log(5, "loss", float("inf"))
        logger.log(6, "loss", 2)
    after = datetime.datetime.now(datetime.timezone.utc)
    assert shell(run_dir, "SELECT name FROM pragma_table_info('metrics')").split() == [
        "step",
        "name",
        "value",
        "timestamp",
    ]
    # The shell prints infinity differently in each version.
    value = "CASE value WHEN 9e999 THEN 'infinite' ELSE quote(value) END"
    types = "typeof(step), typeof(name), typeof(value), typeof(timestamp)"
    rows = shell(run_dir, f"SELECT step, name, {value}, {types} FROM metrics")
    assert rows.splitlines() == [
        "3|loss|0.5|integer|text|real|text",
        "4|loss|NULL|integer|text|null|text",
        "5|loss|infinite|integer|text|real|text",
        "6|loss|2.0|integer|text|real|text",
    ]
    texts = shell(run_dir, "SELECT timestamp FROM metrics WHERE name = 'loss' ORDER BY step").split()
    timestamps = holter.open_run(run_dir).series("loss").timestamps
    for text, timestamp in zip(texts, timestamps, strict=True):
        assert numpy.datetime64(text.removesuffix("Z")) == timestamp
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
        moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
        # The clock has a resolution of 4 ms.
        assert before - datetime.timedelta(milliseconds=10) <= moment <= after
    assert shell(run_dir, ".tables").split() == ["meta", "metrics", "points", "rollups", "series"]


@needs_shell
def test_points_of_a_slow_run_appear_without_a_flush(run_dir: Path) -> None:
    """Catches a writer that waits for more points than a slow run has."""
    logger = holter.Logger(run_dir)
    for index in range(50):
        logger.log(0, f"metric/{index}", 1.0)
    wait_until(lambda: shell(run_dir, "SELECT count(*) FROM metrics") == "50\n", DEADLINE_SECS)
    logger.log(1, "metric/0", 1.0)
    wait_until(lambda: shell(run_dir, "SELECT count(*) FROM metrics") == "51\n", DEADLINE_SECS)
    logger.close()


READER = """
import sqlite3, sys, time
path, count, seen = sys.argv[1], 0, 0
print("reading", flush=True)
while True:
    connection = sqlite3.connect(path, timeout=120)
    rows = connection.execute("SELECT step FROM metrics WHERE name = 'loss' ORDER BY step").fetchall()
    connection.close()
    assert [row[0] for row in rows] == list(range(len(rows))), "the points are not a prefix of the logged ones"
    assert len(rows) >= seen, "points have vanished"
    seen = len(rows)
    if seen == int(sys.argv[2]):
        break
"""


def test_readers_can_open_and_close_at_any_time(run_dir: Path) -> None:
    """Catches a reader that gets an error or loses points, and a writer that a reader blocks, also while the run is
    closed and opened again."""
    steps = 30_000
    holter.Logger(run_dir, journal_points=1 << 10).close()
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(run_dir / "metrics.sqlite"), str(steps)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
    for attempt in range(6):
        with holter.Logger(run_dir, journal_points=1 << 10, resume="allow") as logger:
            for step in range(attempt * steps // 6, (attempt + 1) * steps // 6):
                logger.log(step, "loss", 1.0)
        assert logger.health.dropped == 0
        assert logger.health.last_error is None
    for reader in readers:
        _, errors = reader.communicate(timeout=2 * DEADLINE_SECS)
        assert (reader.returncode, errors) == (0, "")
    run_files.assert_database_is_intact(run_dir)


def test_open_read_transaction_does_not_block_the_writer(run_dir: Path) -> None:
    """Catches a reader that keeps the writer from committing, or from closing in bounded time."""
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN'); \
print(c.execute('SELECT count(*) FROM metrics').fetchone(), flush=True); sys.stdin.read()"
    logger = holter.Logger(run_dir, journal_points=1 << 10)
    logger.log(0, "loss", 1.0)
    logger.flush()
    with subprocess.Popen(
        [sys.executable, "-c", program, str(run_dir / "metrics.sqlite")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdin is not None
        assert reader.stdout.readline() == b"(1,)\n"
        for step in range(1, 5_000):
            logger.log(step, "loss", 1.0)
        logger.flush(DEADLINE_SECS)
        assert logger.health.dropped == 0
        logger.close()
        assert reader.poll() is None, "the reader's transaction was not open until close returned"
        reader.stdin.close()
    assert len(run_files.sqlite_points(run_dir)) == 5_000


def test_locked_database_neither_blocks_nor_fails_the_training(run_dir: Path) -> None:
    """Catches a training that waits for, or fails because of, a program that holds the database's write lock."""
    logger = holter.Logger(run_dir, journal_points=1 << 10, overflow=holter.Overflow.DROP)
    logger.log(0, "loss", 1.0)
    logger.flush()
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE'); \
print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(run_dir / "metrics.sqlite")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as locker:
        assert locker.stdout is not None
        assert locker.stdin is not None
        assert locker.stdout.readline() == b"locked\n"
        for step in range(1, 500):
            logger.log(step, "loss", 1.0)
        wait_until(lambda: logger.health.sinks[0].state == "failing", DEADLINE_SECS)
        with pytest.raises(holter.FlushTimeoutError, match="locked"):
            logger.flush(0.5)
        locker.stdin.close()
    logger.flush(DEADLINE_SECS)
    assert logger.health.sinks[0].state == "working"
    logger.close()
    assert logger.health.dropped == 0
    assert len(run_files.sqlite_points(run_dir)) == 500


@pytest.mark.parametrize("mode", ["rwc", "ro"])
def test_reading_with_sqlite3_in_the_same_process_loses_nothing(run_dir: Path, mode: str) -> None:
    """Catches the deletion of the write-ahead log under the writer when the training process reads the database with
    Python's `sqlite3`: closing that connection releases all locks of the process. Points that are logged and flushed
    afterwards would be lost with the process."""
    program = f"""
import os, signal, sqlite3, sys, holter
run = sys.argv[1]
logger = holter.Logger(run, journal_points=1024)

def count(path):
    connection = sqlite3.connect(path, uri=True)
    rows = connection.execute("SELECT count(*) FROM metrics").fetchall()
    connection.close()
    return rows[0][0]

for step in range(4000):
    logger.log(step, "loss", 1.0)
    if step % 1000 == 10:
        logger.flush()
        assert count(f"file:{{run}}/metrics.sqlite?mode={mode}") == step + 1
        print("flushed", flush=True)
        sys.stdin.readline()
logger.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(run_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        for flushes in range(4):
            assert child.stdout.readline() == "flushed\n"
            # A reader in another process, for which no other connection appears to exist now.
            assert len(run_files.sqlite_points(run_dir)) == flushes * 1000 + 11
            child.stdin.write("\n")
            child.stdin.flush()
        assert child.wait(DEADLINE_SECS) == -signal.SIGKILL
    # Without a recovery, since the points were flushed.
    assert len(run_files.sqlite_points(run_dir)) == 4_000
    assert holter._core.recover(str(run_dir)) == 0
    assert len(run_files.sqlite_points(run_dir)) == 4_000
    run_files.assert_database_is_intact(run_dir)


def test_constant_reading_in_the_same_process_loses_nothing(run_dir: Path) -> None:
    """As above, with a thread that reads all the time, until the run is closed."""
    logger = holter.Logger(run_dir, journal_points=1 << 10)
    stop = threading.Event()
    failures: list[BaseException] = []
    counts = []

    def read() -> None:
        try:
            while not stop.is_set():
                connection = sqlite3.connect(run_dir / "metrics.sqlite", timeout=DEADLINE_SECS)
                counts.append(connection.execute("SELECT count(*), max(step) FROM metrics").fetchone())
                connection.close()
        except BaseException as error:  # noqa: BLE001 - checked in the main thread
            failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(20_000):
        logger.log(step, "loss", 1.0)
        if step % 2_000 == 0:
            logger.flush()
    logger.flush()
    stop.set()
    reader.join()
    logger.close()
    assert not failures, failures
    assert all(count == (last + 1 if last is not None else 0) for count, last in counts)
    assert len(run_files.sqlite_points(run_dir)) == 20_000
    run_files.assert_database_is_intact(run_dir)
