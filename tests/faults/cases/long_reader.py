"""A reader keeps one transaction on the database open during the whole run.

Finds a writer that waits for the reader, a write-ahead log that is never emptied again, and a log that grows without
an explanation in `health`. While the transaction is open, SQLite cannot empty the log: it grows with every write.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing

import run_files
from tests.faults.case import Case, trials
from tests.faults.trial import Trial

SERIES = 300
STEPS = 300
LOG_BYTES = 256 << 20
"""From this size on, `health` must report it."""

# Each flush writes a page for each series, the worst case per point.
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
    """Yield one case. A trial is one run with one reader."""
    yield Case(
        "long-reader/transaction",
        "a read transaction that is open during the whole run",
        _read_long,
        trials(full=6, quick=1),
        remark=_remark,
    )


def _read_long(trial: Trial) -> None:
    run = trial.folder / "run"
    child = trial.spawn(
        ["-c", PROGRAM, run, SERIES, STEPS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    stdin, stdout = child.popen.stdin, child.popen.stdout
    assert stdin is not None
    assert stdout is not None
    assert stdout.readline() == "flushed\n"
    log = run / "metrics.sqlite-wal"
    outlives_run = trial.random.random() < 0.5
    with closing(run_files.database(run)) as reader:
        reader.execute("BEGIN")
        seen = reader.execute("SELECT count(*) FROM points").fetchone()
        stdin.write("go\n")
        report = json.loads(stdout.readline())
        grown = log.stat().st_size
        assert reader.execute("SELECT count(*) FROM points").fetchone() == seen, "the reader's snapshot has changed"
        if outlives_run:
            stdin.write("close\n")
            assert child.wait() == 0
    if not outlives_run:
        stdin.write("close\n")
        assert child.wait() == 0
        assert not log.exists() or not log.stat().st_size, (
            "the log was not emptied after the reader had closed its transaction"
        )
    trial.outcome.faults = 1
    trial.outcome.measure("log", grown)
    assert (report["waits"], report["dropped"]) == (0, 0), report
    if grown > LOG_BYTES:
        assert "reading the database in one transaction" in (report["error"] or ""), report
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
    bytes_per_point = max(measured["log"]) / (SERIES * STEPS)
    return (
        f"the log grew to {max(measured['log']) / 1e6:.0f} MB, {bytes_per_point:.0f} bytes per point with a flush "
        "after each step; `health` reports the cause; the log is emptied after the reader has ended"
    )
