"""The process is killed at each of its calls that change a file: just before it, and when half of it is done.

Catches an order of calls that is wrong: a file that is removed before its points are elsewhere, a cursor that moves on
its own, a name that appears before its content, half a write that is taken for a whole one.
"""

import signal
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from expected_points import Expectation
from tests.faults import shim, stages
from tests.faults.case import Case, Setting, tries
from tests.faults.shim import Action, Kind, shimmed
from tests.faults.trial import Try

ACTIONS = (Action.DIE_BEFORE, Action.DIE_HALFWAY)
ALL = 10_000
"""More than there are calls."""


def cases() -> Iterator[Case]:
    """One case for each stage of a run's life."""
    for name, words in stages.WORDS.items():
        yield Case(
            f"kill-points/{name}",
            f"SIGKILL before and within each call that changes a file, while {words}",
            _die,
            tries(full=ALL, quick=40, small=2),
            plan=partial(_plan, name),
            can_be_made=shim.can_be_made,
        )


def _plan(name: str, _setting: Setting) -> Sequence[Any]:
    return stages.sweep(stages.STAGES[name], Kind.CHANGE, ACTIONS)


def _die(trial: Try) -> None:
    stage, action, number = trial.parameter
    run = trial.folder / "run"
    expectation = Expectation()
    stage.prepare(trial, run, expectation)
    with shimmed(trial.folder, run) as page:
        page.meddle(Kind.CHANGE, action, first=number)
        code, output, _ = stage.start(trial, run, page).output()
        trial.outcome.faults = page.meddled
    assert code == (-signal.SIGKILL if trial.outcome.faults else 0), f"the process ended with {code}: {output}"
    stages.assert_no_panic(trial)
    stage.account(trial, expectation)
    trial.outcome.checked = expectation.acknowledged
    trial.judge_after_a_crash(run, stage.orders, expectation)
