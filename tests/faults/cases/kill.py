"""The process is killed at a random moment while opening, logging, closing or recovering.

Finds points that exist only in memory, torn or stale slots read as points, a commit that is not atomic with its
cursor, a part that is visible before it is complete, and a recovery that cannot be repeated.
"""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import run_files
from expected_points import Expectation
from recording_child import CLOSING, LOGGING, OPENING, Workload
from tests.faults.case import Case, trials
from tests.faults.trial import Trial

BASE = Workload(attempt=0)
PARQUET_ONLY = ("parquet",)
DEADLY = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True)
class Scenario:
    """What the process does, and when it is killed: up to `delay_secs` after the start of a phase."""

    what: str
    workload: Workload
    phase: int
    delay_secs: float
    kills_recovery: bool = False
    signals: tuple[int, ...] = (signal.SIGKILL,)


SCENARIOS = {
    "logging": Scenario("SIGKILL while logging", replace(BASE, steps=3_000), LOGGING, 0.03),
    "threads": Scenario("SIGKILL while four threads log", replace(BASE, steps=1_000, threads=4), LOGGING, 0.05),
    "flushes": Scenario(
        "SIGKILL while logging, flushing and idling",
        replace(BASE, steps=1_000, flush_every=20, pause_every=7),
        LOGGING,
        0.1,
    ),
    "large-journal": Scenario(
        "SIGKILL while logging into a journal that never wraps", replace(BASE, journal_points=1 << 16), LOGGING, 0.02
    ),
    "parquet": Scenario(
        "SIGKILL while logging into Parquet only",
        replace(BASE, steps=3_000, sinks=PARQUET_ONLY, pause_every=50),
        LOGGING,
        0.1,
    ),
    "opening": Scenario("SIGKILL while opening or resuming a run", BASE, OPENING, 0.06),
    "closing": Scenario("SIGKILL while closing and compacting", replace(BASE, steps=500), CLOSING, 0.04),
    "closing-parquet": Scenario(
        "SIGKILL while closing and compacting Parquet only",
        replace(BASE, steps=1_500, sinks=PARQUET_ONLY),
        CLOSING,
        0.04,
    ),
    "recovering": Scenario(
        "SIGKILL while recovering, repeatedly",
        replace(BASE, steps=1_000, journal_points=1 << 14),
        LOGGING,
        0.05,
        kills_recovery=True,
    ),
    "recovering-parquet": Scenario(
        "SIGKILL while recovering Parquet only, repeatedly",
        replace(BASE, steps=1_500, sinks=PARQUET_ONLY, journal_points=1 << 12),
        LOGGING,
        0.05,
        kills_recovery=True,
    ),
    "signals": Scenario(
        "SIGSEGV, SIGABRT, SIGBUS, SIGTERM, SIGHUP or SIGQUIT while logging",
        replace(BASE, steps=3_000),
        LOGGING,
        0.03,
        signals=DEADLY,
    ),
}


def cases() -> Iterator[Case]:
    """Yield one case per scenario. A trial is one run with several attempts, most of which are killed."""
    for name, scenario in SCENARIOS.items():
        yield Case(
            f"kill/{name}",
            scenario.what,
            partial(_kill_attempts, scenario=scenario),
            trials(full=30 if scenario.kills_recovery else 60, quick=6, small=1),
        )


def _kill_attempts(trial: Trial, scenario: Scenario) -> None:
    run = trial.folder / "run"
    expectation = Expectation()
    for attempt in range(trial.random.randint(2, 6)):
        workload = replace(scenario.workload, attempt=attempt)
        child = trial.record(run, workload)
        trial.await_phase(child, scenario.phase, partial(_sometimes_read_parts, trial, run))
        trial.pause(scenario.delay_secs)
        trial.outcome.faults += child.kill(trial.random.choice(scenario.signals))
        expectation.add(workload, trial.page)
        run_files.assert_parts_are_readable(run)
        if not (run / "run.json").exists():
            assert trial.page.phase <= OPENING, "a run with logged points has no manifest"
            continue
        trial.check_as_is(run, expectation)
        # A user may open the database before the recovery, which can change its files.
        if "sqlite" in workload.sinks and trial.random.random() < 0.3 and (run / "metrics.sqlite").exists():
            run_files.assert_sqlite_finds_no_damage(run)
        # If neither recovers the run, the next attempt does.
        if scenario.kills_recovery:
            _kill_recoveries(trial, run, trial.random.randint(1, 3))
            trial.check_recovered(run, workload, expectation)
        elif trial.random.random() < 0.3:
            trial.recover(run)
            trial.check_recovered(run, workload, expectation)
    trial.outcome.checked = expectation.acknowledged
    if (run / "run.json").exists():
        trial.recover(run)
        trial.recover(run)
        trial.check_recovered(run, scenario.workload, expectation)


def _kill_recoveries(trial: Trial, run: Path, kills: int) -> None:
    """Kill several recoveries of the run, then recover it."""
    program = "import sys, holter._core as core; print('go', flush=True); core.recover(sys.argv[1])"
    for _ in range(kills):
        child = trial.spawn(["-c", program, run], stdout=-1)
        assert child.popen.stdout is not None
        assert child.popen.stdout.readline() == b"go\n"
        time.sleep(trial.random.uniform(0, 0.03))
        trial.outcome.faults += child.kill()
        run_files.assert_parts_are_readable(run)
    trial.recover(run)


def _sometimes_read_parts(trial: Trial, run: Path) -> None:
    if trial.page.phase >= LOGGING and trial.random.random() < 0.02:
        run_files.assert_parts_are_readable(run)
