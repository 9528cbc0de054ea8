"""The process is stopped, as by Ctrl-Z or a debugger, and goes on: at any moment.

Catches a reader that waits for the stopped writer, a second writer that is let in meanwhile, and a writer that takes
the time that it slept for a disk that stalls.
"""

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import run_files
from expected_points import Expectation
from recording_child import LOGGED, LOGGING, Orders
from tests.faults import stages
from tests.faults.case import Case, tries
from tests.faults.trial import Process, Try

STOPS = 4


def cases() -> Iterator[Case]:
    """One case: a try is one run, stopped several times."""
    yield Case(
        "stopped/sigstop",
        "SIGSTOP and SIGCONT; readers come and a second writer tries meanwhile",
        _stop,
        tries(full=100, quick=6, small=1),
    )


def _stop(trial: Try) -> None:
    run = trial.folder / "run"
    orders = Orders(
        0, steps=400, flush_every=9, pause_every=1, journal_points=1 << 14, sinks=trial.random.choice(stages.SINKS)
    )
    child = trial.record(run, orders)
    trial.await_phase(child, LOGGING)
    while trial.page.phase < LOGGED and trial.outcome.faults < STOPS:
        trial.pause(0.1)
        _look_while_stopped(trial, child, run, orders)
        trial.outcome.faults += 1
    if is_killed := trial.random.random() < 0.5:
        child.kill()
    else:
        assert child.wait() == 0
    expectation = Expectation()
    expectation.add(orders, trial.page)
    trial.outcome.checked = expectation.acknowledged
    if not is_killed:
        trial.judge_in_order(run, orders, expectation)
    trial.judge_after_a_crash(run, orders, expectation)


def _look_while_stopped(trial: Try, child: Process, run: Path, orders: Orders) -> None:
    child.popen.send_signal(signal.SIGSTOP)
    if child.is_over():
        return
    try:
        expectation = Expectation()
        expectation.add(orders, trial.page)
        trial.judge_as_it_is(run, expectation)
        if "sqlite" in orders.sinks:
            run_files.sqlite_points(run)
        run_files.assert_parts_are_readable(run)
        program = "import sys, holter; holter.Logger(sys.argv[1], journal_points=1024)"
        other = trial.spawn(["-c", program, run], stderr=-1, stdout=-1)
        code, _, said = other.output()
        assert code == 1, f"a second writer was let in, and ended with {code}"
        assert f"process {child.pid} on " in said, said
    except sqlite3.OperationalError as error:
        raise AssertionError(f"a plain reader was kept out: {error}") from error
    finally:
        child.popen.send_signal(signal.SIGCONT)
