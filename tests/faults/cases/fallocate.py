"""fallocate fails.

Finds a journal without allocated blocks, whose first store would raise SIGBUS in the training; a journal that is moved
elsewhere without a warning; and points that are lost because of it.
"""

import errno
import subprocess
from collections.abc import Iterator
from functools import partial

from expected_points import Expectation
from recording_child import LOGGING, Workload
from tests.faults import shim, stages
from tests.faults.case import Case, trials
from tests.faults.shim import shimmed
from tests.faults.trial import Trial

ERRORS = {
    "unsupported": (errno.EOPNOTSUPP, "a file system without fallocate"),
    "no-space": (errno.ENOSPC, "a file system without space for a journal"),
    "broken": (errno.EIO, "a file system on which fallocate returns EIO"),
}


def cases() -> Iterator[Case]:
    """Yield one case per error."""
    for name, (error, what) in ERRORS.items():
        yield Case(
            f"fallocate/{name}",
            what,
            partial(_fail_fallocate, error=error),
            trials(full=30, quick=3, small=1 if name == "unsupported" else 0),
            check_available=shim.check_fallocate_available,
        )


def _fail_fallocate(trial: Trial, error: int) -> None:
    run = trial.folder / "run"
    workload = Workload(0, steps=400, flush_every=50, pause_every=20, sinks=trial.random.choice(stages.SINKS))
    # Only a journal in a file survives a kill. Without one the process must exit normally.
    has_file = error == errno.EOPNOTSUPP
    with shimmed(trial.folder, run) as page:
        child = trial.record(run, workload, env=page.environment(fallocate_error=error), stderr=subprocess.PIPE)
        if has_file:
            trial.await_phase(child, LOGGING)
            trial.pause(0.1)
            child.kill()
        code, _, stderr = child.output()
    trial.outcome.faults = 1
    assert code in (0, -9)
    if not has_file:
        assert code == 0
        assert "the journal is in memory: a killed process loses what is not committed" in stderr, stderr
    expectation = Expectation()
    expectation.add(workload, trial.page)
    trial.outcome.checked = expectation.acknowledged
    trial.check_after_crash(run, workload, expectation)
