"""The clock jumps: by seconds to centuries, ahead and back, while a run is opened, recorded and closed.

Catches a wait or a deadline that is measured with the clock on the wall, a time that does not fit where it is kept, and
an order of attempts or parts that is taken from times. A process's own clock is moved, by the shim.
"""

from collections.abc import Iterator
from dataclasses import replace

from expected_points import Expectation
from recording_child import CLOSED, LOGGING, Orders
from tests.faults import shim, stages
from tests.faults.case import Case, tries
from tests.faults.shim import shimmed
from tests.faults.trial import Try

HOUR_SECS = 3600.0
YEAR_SECS = 365.25 * 24 * HOUR_SECS
JUMPS_SECS = (1.0, HOUR_SECS, 24 * HOUR_SECS, YEAR_SECS, 60 * YEAR_SECS, 200 * YEAR_SECS)


def cases() -> Iterator[Case]:
    """One case: a try is one run of three attempts, of which some are killed."""
    yield Case(
        "clock/jumps",
        "the clock jumps, by a second to two centuries and either way",
        _jump,
        tries(full=60, quick=5, small=1),
        can_be_made=shim.clock_can_be_moved,
    )


def _jump(trial: Try) -> None:
    run = trial.folder / "run"
    expectation = Expectation()
    base = Orders(0, steps=300, flush_every=40, pause_every=10, sinks=trial.random.choice(stages.SINKS))
    for attempt in range(3):
        orders = replace(base, attempt=attempt)
        with shimmed(trial.folder, run) as page:
            page.move_clock(_somewhere(trial))
            child = trial.record(run, orders, env=page.environment(moves_clock=True))

            def jump(page: shim.Shim = page) -> None:
                if trial.random.random() < 0.004:
                    page.move_clock(_somewhere(trial))
                    trial.outcome.faults += 1

            if is_killed := trial.random.random() < 0.5:
                trial.await_phase(child, LOGGING, jump)
                trial.pause(0.1)
                child.kill()
            else:
                trial.await_phase(child, CLOSED, jump)
                assert child.wait() == 0
        expectation.add(orders, trial.page)
        trial.judge_as_it_is(run, expectation)
        if not is_killed:
            trial.judge_in_order(run, orders, expectation)
    trial.outcome.checked = expectation.acknowledged
    trial.judge_after_a_crash(run, base, expectation)


def _somewhere(trial: Try) -> float:
    return trial.random.choice((-1, 1)) * trial.random.choice(JUMPS_SECS) * trial.random.uniform(0.5, 1.2)
