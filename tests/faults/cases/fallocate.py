"""The system cannot, or will not, allocate blocks ahead of their use.

Catches a journal whose blocks are not there when they are first written to, which would be SIGBUS in the training; one
that goes elsewhere without a word; and points that are lost because of it.
"""

import errno
import subprocess
from collections.abc import Iterator
from functools import partial

from expected_points import Expectation
from recording_child import LOGGING, Orders
from tests.faults import shim, stages
from tests.faults.case import Case, tries
from tests.faults.shim import shimmed
from tests.faults.trial import Try

ERRORS = {
    "unsupported": (errno.EOPNOTSUPP, "does not know fallocate"),
    "no-space": (errno.ENOSPC, "has no room for a journal"),
    "broken": (errno.EIO, "has an error on fallocate"),
}


def cases() -> Iterator[Case]:
    """One case for each answer of the system."""
    for name, (error, words) in ERRORS.items():
        yield Case(
            f"fallocate/{name}",
            f"a file system that {words}",
            partial(_refuse, error=error),
            tries(full=30, quick=3, small=1 if name == "unsupported" else 0),
            can_be_made=shim.fallocate_can_be_refused,
        )


def _refuse(trial: Try, error: int) -> None:
    run = trial.folder / "run"
    orders = Orders(0, steps=400, flush_every=50, pause_every=20, sinks=trial.random.choice(stages.SINKS))
    # Where there is a journal in a file the process may be killed; else it is only written what it has in memory.
    has_file = error == errno.EOPNOTSUPP
    with shimmed(trial.folder, run) as page:
        child = trial.record(run, orders, env=page.environment(fallocate_error=error), stderr=subprocess.PIPE)
        if has_file:
            trial.await_phase(child, LOGGING)
            trial.pause(0.1)
            child.kill()
        code, _, said = child.output()
    trial.outcome.faults = 1
    assert code in (0, -9)
    if not has_file:
        assert code == 0
        assert "the journal is in memory: a killed process loses what is not committed" in said, said
    expectation = Expectation()
    expectation.add(orders, trial.page)
    trial.outcome.checked = expectation.acknowledged
    trial.judge_after_a_crash(run, orders, expectation)
