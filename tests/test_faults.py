"""A small part of the fault suite: no acknowledged point is lost, no point is invented, no process hangs.

`make faults` injects thousands of faults; here each case runs a few trials. HOLTER_TEST_SEED reproduces a failure.
"""

import errno
import os
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import run_files
from expected_points import Expectation
from recording_child import CLOSED, SERIES
from tests.faults import shim, stages, table
from tests.faults.case import Case, Setting, Unavailable
from tests.faults.cases import all_cases, power
from tests.faults.cases.failing_calls import WRITES
from tests.faults.cases.kill import BASE
from tests.faults.disk_model import Names
from tests.faults.runner import Runner
from tests.faults.shim import Action, Kind, shimmed
from tests.faults.trial import Trial

OPEN_EACH = """
import sys, holter
for run in map(str.strip, sys.stdin):
    try:
        logger = holter.Logger(run, sinks=sys.argv[1].split(","), journal_points=1024)
    except holter.HolterError as error:
        print("rejected", flush=True)
    else:
        print("opened", flush=True)
        sys.stdin.readline()
        logger.close()
        print("closed", flush=True)
"""
"""Opens the run named by each line, and closes it at the next line."""

SMALL = [case for case in all_cases() if case.trials[Setting.SMALL]]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_no_point_is_lost_or_invented_and_nothing_hangs(case: Case, tmp_path: Path, record_property) -> None:
    """The modules in tests/faults/cases describe what each case finds."""
    seed = int(os.environ.get("HOLTER_TEST_SEED") or random.SystemRandom().getrandbits(31))
    print(f"HOLTER_TEST_SEED={seed}")
    try:
        case.check_available()
    except Unavailable as error:
        pytest.skip(str(error))
    tally = Runner(tmp_path, Setting.SMALL, seed, jobs=1).run(case)
    record_property("faults", tally.total.faults)
    for failure in tally.failures:
        pytest.fail(f"--only {case.name} --seed {seed}:{failure.index}, kept in {failure.folder}\n{failure.message}")
    assert tally.trials
    assert (tally.total.lost, tally.total.invented, tally.total.hangs) == (0, 0, 0)


def test_the_oracle_accepts_an_undisturbed_run_and_finds_missing_points(tmp_path: Path) -> None:
    workload = replace(BASE, threads=2, flush_every=50)
    trial = Trial(tmp_path, "undisturbed")
    run = tmp_path / "run"
    assert trial.record(run, workload).wait() == 0
    assert trial.page.phase == CLOSED
    expectation = Expectation()
    expectation.add(workload, trial.page)
    assert expectation.acknowledged == 2 * workload.steps * SERIES
    trial.check_recovered(run, workload, expectation)
    assert run_files.manifest(run)["status"] == "finished"

    # Move a point: it is both lost and invented.
    connection = run_files.database(run)
    name = "thread-0/metric-0"
    moved = "UPDATE points SET step = 100000 WHERE step = 7 AND series_id = (SELECT id FROM series WHERE name = ?)"
    connection.execute(moved, [name])
    connection.close()
    difference = expectation.compare(run_files.sqlite_points(run))
    assert difference.lost == [(name, 7)]
    assert difference.invented == [(name, 100_000)]
    with pytest.raises(AssertionError, match="1 points lost"):
        trial.check_as_is(run, expectation)
    trial.close()


def test_a_disk_that_becomes_full_at_any_call_loses_no_point(tmp_path: Path) -> None:
    """Finds a failed open that deletes the write-ahead log with committed points."""
    try:
        shim.check_available()
    except Unavailable as error:
        pytest.skip(str(error))
    trial = Trial(tmp_path, "full")
    stage = stages.STAGES["resume"][0]
    crashed, runs, expectation = tmp_path / "crashed", tmp_path / "runs", Expectation()
    stage.prepare(trial, crashed, expectation)
    rejected = []
    with shimmed(tmp_path, runs) as page:
        child = trial.spawn(
            ["-c", OPEN_EACH, ",".join(stage.sinks)],
            env=page.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ).popen
        assert child.stdin
        assert child.stdout

        def send(line: Path | str) -> str:
            child.stdin.write(f"{line}\n".encode())
            child.stdin.flush()
            return child.stdout.readline().decode().strip()

        for number in range(1, 1_000):
            run = runs / str(number)
            shutil.copytree(crashed, run)
            page.inject(WRITES, Action.FAIL, first=number, error=errno.ENOSPC)
            result = send(run)
            injected = page.injected
            page.clear()
            if result == "rejected":
                rejected.append(number)
                result = send(run)
            assert result == "opened"
            assert send("") == "closed"
            trial.check(run_files.sqlite_points(run), expectation, f"with the disk full from call {number} on")
            shutil.rmtree(run)
            if not injected:
                break
    trial.close()
    assert len(rejected) > 40, rejected


def test_a_simulated_power_loss_finds_a_missing_sync(tmp_path: Path) -> None:
    try:
        shim.check_available()
    except Unavailable as error:
        pytest.skip(str(error))
    trial = Trial(tmp_path, "sync")
    recording = power.record(trial, stages.SINKS[0])
    unsynced = [change for change in recording.changes if not (change.kind == Kind.SYNC and "-wal" in change.path)]
    without = replace(recording, changes=unsynced)

    def lose_power() -> None:
        for number, moment in enumerate(without.marks()[:-1]):
            power.crash(trial, without, moment, Names.ORDERED, tmp_path / f"crash-{number}")

    with pytest.raises(AssertionError, match="points lost"):
        lose_power()
    trial.close()


def test_the_table_sums_stages_and_is_written_between_the_markers(tmp_path: Path) -> None:
    case = {"what": "fault", "skipped": None, "remark": "", **dict.fromkeys(table.NUMBERS, 1)}
    skipped = {**case, "what": "other", "skipped": "no compiler", "remark": "skipped: no compiler"}
    conditions = {"date": "today", "setting": "quick", "seed": 1, "minutes": 2.0, "jobs": 2, "machine": {"python": "3"}}
    text = table.as_markdown({**conditions, "cases": [case, {**case, "injected": 1_999}, skipped]})
    assert "| fault | 2,000 | 2 | 2 | 2 | 2 | 2 |  |" in text
    assert "| other | – | – | – | – | – | – | skipped: no compiler |" in text
    assert "| **all** | **2,000** | **2** |" in text
    page = tmp_path / "page.md"
    page.write_text(f"before {table.BEGIN} old {table.END} after")
    table.write(text, page)
    assert page.read_text() == f"before {table.BEGIN}\n{text}\n{table.END} after"
    assert table.BEGIN in table.PAGE.read_text("utf-8")
