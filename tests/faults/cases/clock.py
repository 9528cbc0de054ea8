"""The clock jumps forward and back, by seconds to centuries, while a run is opened, recorded and closed.

Finds waits and deadlines measured with the wall clock, times that overflow their fields, and an order of attempts or
parts derived from times. The shim moves the clock of one process.
"""

from collections.abc import Iterator
from dataclasses import replace

from expected_points import Expectation
from recording_child import CLOSED, LOGGING, Workload
from tests.faults import shim, stages
from tests.faults.case import Case, trials
from tests.faults.shim import shimmed
from tests.faults.trial import Trial

HOUR_SECS = 3600.0
YEAR_SECS = 365.25 * 24 * HOUR_SECS
JUMPS_SECS = (1.0, HOUR_SECS, 24 * HOUR_SECS, YEAR_SECS, 60 * YEAR_SECS, 200 * YEAR_SECS)


def cases() -> Iterator[Case]:
    """Yield one case. A trial is one run with three attempts, some of which are killed."""
    yield Case(
        "clock/jumps",
        "clock jumps of a second to two centuries, forward and back",
        _jump,
        trials(full=60, quick=5, small=1),
        check_available=shim.check_clock_available,
    )


def _jump(trial: Trial) -> None:
    run = trial.folder / "run"
    expectation = Expectation()
    base = Workload(0, steps=300, flush_every=40, pause_every=10, sinks=trial.random.choice(stages.SINKS))
    for attempt in range(3):
        workload = replace(base, attempt=attempt)
        with shimmed(trial.folder, run) as page:
            page.move_clock(_random_offset(trial))
            child = trial.record(run, workload, env=page.environment(moves_clock=True))

            def jump(page: shim.Shim = page) -> None:
                if trial.random.random() < 0.004:
                    page.move_clock(_random_offset(trial))
                    trial.outcome.faults += 1

            if is_killed := trial.random.random() < 0.5:
                trial.await_phase(child, LOGGING, jump)
                trial.pause(0.1)
                child.kill()
            else:
                trial.await_phase(child, CLOSED, jump)
                assert child.wait() == 0
        expectation.add(workload, trial.page)
        trial.check_as_is(run, expectation)
        if not is_killed:
            trial.check_recovered(run, workload, expectation)
    trial.outcome.checked = expectation.acknowledged
    trial.check_after_crash(run, base, expectation)


def _random_offset(trial: Trial) -> float:
    return trial.random.choice((-1, 1)) * trial.random.choice(JUMPS_SECS) * trial.random.uniform(0.5, 1.2)
