"""A small part of the fault suite: every `log` that returned survives, nothing is invented, nothing hangs.

`make faults` makes thousands of faults; here each case has a few. HOLTER_TEST_SEED repeats what failed.
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
from tests.faults.trial import Try

OPEN_EACH = """
import sys, holter
for run in map(str.strip, sys.stdin):
    try:
        logger = holter.Logger(run, sinks=sys.argv[1].split(","), journal_points=1024)
    except holter.HolterError as error:
        print("refused", flush=True)
    else:
        print("opened", flush=True)
        sys.stdin.readline()
        logger.close()
        print("closed", flush=True)
"""
"""Opens the run of each line; one that was opened is closed at the next line."""

SMALL = [case for case in all_cases() if case.tries[Setting.SMALL]]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_nothing_is_lost_invented_or_hangs(case: Case, tmp_path: Path, record_property) -> None:
    """Catches what the modules in tests/faults/cases say that they catch."""
    seed = int(os.environ.get("HOLTER_TEST_SEED") or random.SystemRandom().getrandbits(31))
    print(f"HOLTER_TEST_SEED={seed}")
    try:
        case.can_be_made()
    except Unavailable as error:
        pytest.skip(str(error))
    tally = Runner(tmp_path, Setting.SMALL, seed, jobs=1).run(case)
    record_property("faults", tally.total.faults)
    for failure in tally.failures:
        pytest.fail(f"--only {case.name} --seed {seed}:{failure.index}, kept in {failure.folder}\n{failure.message}")
    assert tally.tries
    assert (tally.total.lost, tally.total.invented, tally.total.hangs) == (0, 0, 0)


def test_a_recorder_that_is_left_alone_ends_in_order(tmp_path: Path) -> None:
    """Shows that the oracle is right where nothing is done to the recorder, and that it finds what is missing."""
    orders = replace(BASE, threads=2, flush_every=50)
    trial = Try(tmp_path, "alone")
    run = tmp_path / "run"
    assert trial.record(run, orders).wait() == 0
    assert trial.page.phase == CLOSED
    expectation = Expectation()
    expectation.add(orders, trial.page)
    assert expectation.acknowledged == 2 * orders.steps * SERIES
    trial.judge_in_order(run, orders, expectation)
    assert run_files.manifest(run)["status"] == "finished"

    # Were a point gone, and another one there, both would be found.
    connection = run_files.database(run)
    name = "thread-0/metric-0"
    moved = "UPDATE points SET step = 100000 WHERE step = 7 AND series_id = (SELECT id FROM series WHERE name = ?)"
    connection.execute(moved, [name])
    connection.close()
    difference = expectation.compare(run_files.sqlite_points(run))
    assert difference.lost == [(name, 7)]
    assert difference.invented == [(name, 100_000)]
    with pytest.raises(AssertionError, match="1 points are lost"):
        trial.judge_as_it_is(run, expectation)
    trial.close()


def test_a_disk_that_is_full_from_any_call_on_costs_nothing(tmp_path: Path) -> None:
    """Catches a connection that could not be opened and takes the log, and all that was committed to it, with it."""
    try:
        shim.can_be_made()
    except Unavailable as error:
        pytest.skip(str(error))
    trial = Try(tmp_path, "full")
    stage = stages.STAGES["resume"][0]
    crashed, runs, expectation = tmp_path / "crashed", tmp_path / "runs", Expectation()
    stage.prepare(trial, crashed, expectation)
    refused = []
    with shimmed(tmp_path, runs) as page:
        child = trial.spawn(
            ["-c", OPEN_EACH, ",".join(stage.sinks)],
            env=page.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ).popen
        assert child.stdin
        assert child.stdout

        def say(line: Path | str) -> str:
            child.stdin.write(f"{line}\n".encode())
            child.stdin.flush()
            return child.stdout.readline().decode().strip()

        for number in range(1, 1_000):
            run = runs / str(number)
            shutil.copytree(crashed, run)
            page.meddle(WRITES, Action.FAIL, first=number, error=errno.ENOSPC)
            answer = say(run)
            meddled = page.meddled
            page.leave_alone()
            if answer == "refused":
                refused.append(number)
                answer = say(run)
            assert answer == "opened"
            assert say("") == "closed"
            trial.judge(run_files.sqlite_points(run), expectation, f"where the disk was full from call {number} on")
            shutil.rmtree(run)
            if not meddled:
                break
    trial.close()
    assert len(refused) > 40, refused


def test_a_loss_of_power_finds_a_sync_that_was_left_out(tmp_path: Path) -> None:
    """Shows that the model of the disk loses what nobody synced, and that this is seen."""
    try:
        shim.can_be_made()
    except Unavailable as error:
        pytest.skip(str(error))
    trial = Try(tmp_path, "sync")
    recording = power.record(trial, stages.SINKS[0])
    unsynced = [change for change in recording.changes if not (change.kind == Kind.SYNC and "-wal" in change.path)]
    without = replace(recording, changes=unsynced)

    def lose_power() -> None:
        for number, moment in enumerate(without.marks()[:-1]):
            power.crash(trial, without, moment, Names.ORDERED, tmp_path / f"crash-{number}")

    with pytest.raises(AssertionError, match="points are lost"):
        lose_power()
    trial.close()


def test_the_table(tmp_path: Path) -> None:
    """Catches stages that are not added up, and a page that is written over beside its marks."""
    case = {"what": "fault", "skipped": None, "remark": "", **dict.fromkeys(table.NUMBERS, 1)}
    skipped = {**case, "what": "other", "skipped": "no compiler", "remark": "not made here: no compiler"}
    about = {"date": "today", "setting": "quick", "seed": 1, "minutes": 2.0, "jobs": 2, "machine": {"python": "3"}}
    text = table.as_markdown({**about, "cases": [case, {**case, "tried": 1_999}, skipped]})
    assert "| fault | 2,000 | 2 | 2 | 2 | 2 | 2 |  |" in text
    assert "| other | – | – | – | – | – | – | not made here: no compiler |" in text
    assert "| **all** | **2,000** | **2** |" in text
    page = tmp_path / "page.md"
    page.write_text(f"before {table.BEGIN} old {table.END} after")
    table.write(text, page)
    assert page.read_text() == f"before {table.BEGIN}\n{text}\n{table.END} after"
    assert table.BEGIN in table.PAGE.read_text("utf-8")
