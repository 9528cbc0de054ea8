"""Each system call fails in turn: the disk is full, the device has an error, a sync fails.

Finds errors that reach the training, points lost because their write failed, a failed sync treated as done, half a
write that remains, a recorder that does not resume, and a run that cannot be recovered.
"""

import errno
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from expected_points import Expectation
from tests.faults import shim, stages
from tests.faults.case import Case, Hang, Setting, trials
from tests.faults.reading import Reader, Rejected
from tests.faults.shim import UNLIMITED, Action, Kind, Shim, shimmed
from tests.faults.trial import DEADLINE_SECS, Process, Trial

WRITES = Kind.WRITE | Kind.TRUNCATE | Kind.CREATE | Kind.RENAME | Kind.MKDIR | Kind.MAP
ALL = 10_000
SMALL = (("enospc", "record"), ("short", "resume"), ("sync", "record"), ("sync", "recover"))
LASTING_SECS = 0.5
"""The duration of a lasting fault."""


@dataclass(frozen=True)
class Fault:
    """The calls that fail, their error, and how many in a row."""

    what: str
    kinds: Kind
    error: int
    action: Action = Action.FAIL
    times: int = 1


FAULTS = {
    "enospc": Fault("ENOSPC from one call that allocates space", WRITES, errno.ENOSPC),
    "enospc-lasting": Fault("ENOSPC from all such calls for half a second", WRITES, errno.ENOSPC, times=UNLIMITED),
    "eio": Fault("EIO from one call that changes a file", Kind.CHANGE | Kind.MAP, errno.EIO),
    "short": Fault("half a write, then ENOSPC twice", Kind.WRITE, errno.ENOSPC, Action.SHORTEN, times=3),
    "sync": Fault("EIO from one fsync", Kind.SYNC, errno.EIO),
    "read": Fault("EIO from one read", Kind.READ, errno.EIO),
    "short-read": Fault("one short read, then EIO", Kind.READ, errno.EIO, Action.SHORTEN, times=2),
}
MESSAGE = re.compile(
    r"No space left|database or disk is full|Input/output error|disk I/O error|"
    r"unable to open database|malformed|readonly"
)
"""Error messages. SQLite reports a file as malformed if it cannot read it, and as readonly if it cannot open it."""


def cases() -> Iterator[Case]:
    """Yield one case per fault and stage of a run, and per fault while reading a crashed run."""
    for name, fault in FAULTS.items():
        for stage in stages.DESCRIPTIONS:
            yield Case(
                f"failing-calls/{name}-{stage}",
                f"{fault.what}, for each call, while recording, resuming and recovering a run",
                partial(_fail, fault=fault),
                trials(full=ALL, quick=12, small=1 if (name, stage) in SMALL else 0),
                plan=partial(_plan, stage, fault),
                check_available=shim.check_available,
            )
    for name in ("read", "short-read"):
        fault = FAULTS[name]
        yield Case(
            f"failing-calls/{name}-open-run",
            f"{fault.what}, for each call, in open_run on a crashed run",
            partial(_fail_to_read, fault=fault),
            trials(full=60, quick=12, small=1 if name == "read" else 0),
            plan=_plan_reads,
            check_available=shim.check_available,
        )


def _plan(stage: str, fault: Fault, _setting: Setting) -> Sequence[Any]:
    return stages.sweep(stages.STAGES[stage], fault.kinds, [None])


def _fail(trial: Trial, fault: Fault) -> None:
    stage, _, number = trial.parameter
    run = trial.folder / "run"
    expectation = Expectation()
    stage.prepare(trial, run, expectation)
    with shimmed(trial.folder, run) as page:
        last = UNLIMITED if fault.times == UNLIMITED else number + fault.times - 1
        page.inject(fault.kinds, fault.action, first=number, last=last, error=fault.error)
        process = stage.start(trial, run, page)
        if fault.times == UNLIMITED:
            _end_after_a_while(process, page)
        code, output, _ = process.output()
        trial.outcome.faults = min(1, page.injected)
    assert code == 0, f"the process exited with {code}: {output}\n{(trial.folder / 'stderr').read_text()}"
    stages.assert_no_panic(trial)
    if stage.name == "recover":
        assert not output or MESSAGE.search(output), output
    else:
        _check_report(trial, stage, output)
    stage.add_points(trial, expectation)
    trial.outcome.checked = expectation.acknowledged
    trial.check_after_crash(run, stage.workload, expectation)


def _end_after_a_while(process: Process, page: Shim) -> None:
    """Wait until the fault has occurred, let it last for a while, and end it."""
    deadline = time.monotonic() + DEADLINE_SECS
    while not page.injected and not process.has_exited():
        if time.monotonic() > deadline:
            raise Hang("the fault has not occurred")
        time.sleep(0.001)
    time.sleep(LASTING_SECS)
    page.clear()


def _check_report(trial: Trial, stage: stages.Stage, output: str) -> None:
    """Check that only opening, flushing and closing raised errors, which name the cause; `log` raised none."""
    report = stages.report(output)
    for message in (*report["open"], *report["flush"], *report["close"]):
        assert MESSAGE.search(message), message
    logged = sum(1 for _ in stage.workload.points(0))
    assert (report["accepted"], report["dropped"]) == (logged, 0), report
    assert trial.page.acknowledged(0) == logged


def _plan_reads(_setting: Setting) -> Sequence[Any]:
    return [(sinks, number) for number in range(1, 31) for sinks in stages.SINKS]


def _fail_to_read(trial: Trial, fault: Fault) -> None:
    sinks, number = trial.parameter
    run = trial.folder / "run"
    expectation = Expectation()
    stages.Stage("recover", sinks).prepare(trial, run, expectation)
    with shimmed(trial.folder, run) as page:
        reader = Reader(page.environment())
        try:
            page.inject(fault.kinds, fault.action, first=number, last=number + fault.times - 1, error=fault.error)
            try:
                trial.check(reader.points(run), expectation, "read by open_run")
            except Rejected as error:
                assert MESSAGE.search(error.message), error
            trial.outcome.faults = min(1, page.injected)
        finally:
            reader.close()
    trial.outcome.checked = expectation.acknowledged
    trial.check_as_is(run, expectation)
