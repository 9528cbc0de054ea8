"""The process is killed at each call that changes a file: just before it, and halfway through it.

Finds calls in the wrong order: a file removed before its points are stored elsewhere, a cursor that moves without its
points, a name that is visible before its content, and half a write accepted as a whole one.
"""

import signal
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from expected_points import Expectation
from tests.faults import shim, stages
from tests.faults.case import Case, Setting, trials
from tests.faults.shim import Action, Kind, shimmed
from tests.faults.trial import Trial

ACTIONS = (Action.DIE_BEFORE, Action.DIE_HALFWAY)
ALL = 10_000
"""More than the number of calls."""


def cases() -> Iterator[Case]:
    """Yield one case per stage of a run."""
    for name, description in stages.DESCRIPTIONS.items():
        yield Case(
            f"kill-points/{name}",
            f"SIGKILL before and within each call that changes a file, while {description}",
            _die,
            trials(full=ALL, quick=40, small=2),
            plan=partial(_plan, name),
            check_available=shim.check_available,
        )


def _plan(name: str, _setting: Setting) -> Sequence[Any]:
    return stages.sweep(stages.STAGES[name], Kind.CHANGE, ACTIONS)


def _die(trial: Trial) -> None:
    stage, action, number = trial.parameter
    run = trial.folder / "run"
    expectation = Expectation()
    stage.prepare(trial, run, expectation)
    with shimmed(trial.folder, run) as page:
        page.inject(Kind.CHANGE, action, first=number)
        code, output, _ = stage.start(trial, run, page).output()
        trial.outcome.faults = page.injected
    assert code == (-signal.SIGKILL if trial.outcome.faults else 0), f"the process exited with {code}: {output}"
    stages.assert_no_panic(trial)
    stage.add_points(trial, expectation)
    trial.outcome.checked = expectation.acknowledged
    trial.check_after_crash(run, stage.workload, expectation)
