"""Somebody reads the database in one transaction for as long as the run goes on, and beyond.

Catches a writer that waits for the reader, a write-ahead log that is never emptied again, and a log that grows without
anybody being told why. While the transaction is open SQLite can empty no part of the log: it grows by what is written.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing

import run_files
from tests.faults.case import Case, tries
from tests.faults.trial import Try

SERIES = 300
STEPS = 300
LOG_BYTES = 256 << 20
"""From this size on it has to be said."""

# Each flush writes a page for each series: the most that a point can cost.
PROGRAM = """
import json, sys
import holter

run, series, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
logger = holter.Logger(run, journal_points=1 << 16)
names = [f"metric/{index}" for index in range(series)]
logger.log_many(0, dict.fromkeys(names, 0.0))
logger.flush()
print("flushed", flush=True)
sys.stdin.readline()
for step in range(1, steps):
    logger.log_many(step, {name: step + index / 1024 for index, name in enumerate(names)})
    logger.flush()
health = logger.health
print(json.dumps({"error": health.last_error, "waits": health.waits, "dropped": health.dropped}), flush=True)
sys.stdin.readline()
logger.close()
"""


def cases() -> Iterator[Case]:
    """One case: a try is one run with one reader."""
    yield Case(
        "long-reader/transaction",
        "a read transaction that is open from the first point on",
        _read_long,
        tries(full=6, quick=1),
        remark=_remark,
    )


def _read_long(trial: Try) -> None:
    run = trial.folder / "run"
    child = trial.spawn(
        ["-c", PROGRAM, run, SERIES, STEPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    stdin, stdout = child.popen.stdin, child.popen.stdout
    assert stdin is not None
    assert stdout is not None
    assert stdout.readline() == "flushed\n"
    log = run / "metrics.sqlite-wal"
    stays_to_the_end = trial.random.random() < 0.5
    with closing(run_files.database(run)) as reader:
        reader.execute("BEGIN")
        seen = reader.execute("SELECT count(*) FROM points").fetchone()
        stdin.write("go\n")
        said = json.loads(stdout.readline())
        grown = log.stat().st_size
        assert reader.execute("SELECT count(*) FROM points").fetchone() == seen, "the reader's view has changed"
        if stays_to_the_end:
            stdin.write("close\n")
            assert child.wait() == 0
    if not stays_to_the_end:
        stdin.write("close\n")
        assert child.wait() == 0
        assert not log.exists() or not log.stat().st_size, "the log was not emptied when nobody read any more"
    trial.outcome.faults = 1
    trial.outcome.measure("log", grown)
    assert (said["waits"], said["dropped"]) == (0, 0), said
    if grown > LOG_BYTES:
        assert "reading the database in one transaction" in (said["error"] or ""), said
    expected = {
        (f"metric/{index}", step): step + index / 1024 if step else 0.0
        for index in range(SERIES)
        for step in range(STEPS)
    }
    trial.outcome.checked = len(expected)
    trial.recover(run)
    found = run_files.sqlite_points(run)
    trial.outcome.lost = sum(key not in found for key in expected)
    trial.outcome.invented = sum(found[key] != expected.get(key) for key in found)
    run_files.assert_same_points(found, expected)
    run_files.assert_same_points(run_files.parquet_points(run), expected)


def _remark(measured: dict[str, list[float]]) -> str:
    bytes_a_point = max(measured["log"]) / (SERIES * STEPS)
    return (
        f"the log grew to {max(measured['log']) / 1e6:.0f} MB, {bytes_a_point:.0f} bytes a point with a flush after "
        "each step; `health` says why; it is emptied when the reader has ended"
    )
