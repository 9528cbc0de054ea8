"""The design note's SQL, in a plain sqlite3 shell, while a run goes on and after it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import holter

NAME = "grad_norm/blocks.0.M_init"
QUERY = f"SELECT step, value FROM metrics WHERE name='{NAME}'"

pytestmark = pytest.mark.skipif(shutil.which("sqlite3") is None, reason="there is no sqlite3 shell on the PATH")


def shell(run: Path, sql: str, *, mode: str = "-json") -> str:
    """What Debian's shell prints, in a process of its own."""
    command = ["sqlite3", "-readonly", mode, str(run / "metrics.sqlite"), sql]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def record(logger: holter.Logger, steps: range) -> None:
    for step in steps:
        logger.log(step, NAME, step / 4)
        logger.log(step, "train/loss", 1.0)


def test_the_query_answers_while_the_run_goes_on_and_after_it(run_dir: Path) -> None:
    """Catches a database that another process cannot read beside the writer, or that a close leaves incomplete."""
    with holter.Logger(run_dir) as logger:
        record(logger, range(100))
        logger.flush()
        assert json.loads(shell(run_dir, QUERY)) == [{"step": step, "value": step / 4} for step in range(100)]
        record(logger, range(100, 150))
    assert json.loads(shell(run_dir, QUERY)) == [{"step": step, "value": step / 4} for step in range(150)]


def test_its_plan_is_a_search_of_an_index(run_dir: Path) -> None:
    """Catches a view that makes SQLite scan all points for one series, or for one step."""
    with holter.Logger(run_dir) as logger:
        record(logger, range(10))
    for sql in (QUERY, f"{QUERY} AND step BETWEEN 3 AND 5"):
        plan = shell(run_dir, f"EXPLAIN QUERY PLAN {sql}", mode="-list")
        assert "SCAN" not in plan
        assert re.search(r"SEARCH points USING (PRIMARY KEY|INDEX)", plan), plan
    at_one_step = shell(run_dir, "EXPLAIN QUERY PLAN SELECT name, value FROM metrics WHERE step = 3", mode="-list")
    assert "SCAN points" not in at_one_step


def test_the_columns_are_the_notes_four(run_dir: Path) -> None:
    """Catches another name or order of the columns, and timestamps that are not ISO 8601 in UTC."""
    with holter.Logger(run_dir) as logger:
        record(logger, range(1))
    (row,) = json.loads(shell(run_dir, f"SELECT * FROM metrics WHERE name='{NAME}'"))
    assert list(row) == ["step", "name", "value", "timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["timestamp"])
    recorded = holter.open_run(run_dir).series(NAME).timestamps[0]
    assert str(recorded.astype("datetime64[ms]")) == row["timestamp"].removesuffix("Z")
