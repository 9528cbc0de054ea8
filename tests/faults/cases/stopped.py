"""The process is stopped at random moments, as by Ctrl-Z or a debugger, and continued.

Finds a reader that waits for the stopped writer, a second writer that is allowed to open the run, and a writer that
mistakes the stop for a stalled disk.
"""

import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import run_files
from expected_points import Expectation
from recording_child import LOGGED, LOGGING, Workload
from tests.faults import stages
from tests.faults.case import Case, trials
from tests.faults.trial import Process, Trial

STOPS = 4


def cases() -> Iterator[Case]:
    """Yield one case. A trial is one run, stopped several times."""
    yield Case(
        "stopped/sigstop",
        "SIGSTOP and SIGCONT, with readers and a second writer in between",
        _stop,
        trials(full=100, quick=6, small=1),
    )


def _stop(trial: Trial) -> None:
    run = trial.folder / "run"
    workload = Workload(
        0, steps=400, flush_every=9, pause_every=1, journal_points=1 << 14, sinks=trial.random.choice(stages.SINKS)
    )
    child = trial.record(run, workload)
    trial.await_phase(child, LOGGING)
    while trial.page.phase < LOGGED and trial.outcome.faults < STOPS:
        trial.pause(0.1)
        _check_while_stopped(trial, child, run, workload)
        trial.outcome.faults += 1
    if is_killed := trial.random.random() < 0.5:
        child.kill()
    else:
        assert child.wait() == 0
    expectation = Expectation()
    expectation.add(workload, trial.page)
    trial.outcome.checked = expectation.acknowledged
    if not is_killed:
        trial.check_recovered(run, workload, expectation)
    trial.check_after_crash(run, workload, expectation)


def _check_while_stopped(trial: Trial, child: Process, run: Path, workload: Workload) -> None:
    child.popen.send_signal(signal.SIGSTOP)
    if child.has_exited():
        return
    try:
        expectation = Expectation()
        expectation.add(workload, trial.page)
        trial.check_as_is(run, expectation)
        if "sqlite" in workload.sinks:
            run_files.sqlite_points(run)
        run_files.assert_parts_are_readable(run)
        program = "import sys, holter; holter.Logger(sys.argv[1], journal_points=1024)"
        other = trial.spawn(["-c", program, run], stderr=-1, stdout=-1)
        code, _, stderr = other.output()
        assert code == 1, f"a second writer opened the run, and exited with {code}"
        assert f"process {child.pid} on " in stderr, stderr
    except sqlite3.OperationalError as error:
        raise AssertionError(f"a plain reader was blocked: {error}") from error
    finally:
        child.popen.send_signal(signal.SIGCONT)
