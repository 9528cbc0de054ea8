"""One call to the system fails, for each that there is: the disk is full, the device has an error, a sync is in vain.

Catches an error that reaches the training, a point that is lost because its write failed, a sync that is believed after
it failed, half a write that stays, a recorder that does not come back, and a run that cannot be recovered.
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
from tests.faults.case import Case, Hang, Setting, tries
from tests.faults.reading import Reader, Refused
from tests.faults.shim import FOR_EVER, Action, Kind, Shim, shimmed
from tests.faults.trial import DEADLINE_SECS, Process, Try

WRITES = Kind.WRITE | Kind.TRUNCATE | Kind.CREATE | Kind.RENAME | Kind.MKDIR | Kind.MAP
ALL = 10_000
SMALL = (("enospc", "record"), ("short", "resume"), ("sync", "record"), ("sync", "recover"))
LONG_SECS = 0.5
"""How long a fault that lasts does."""


@dataclass(frozen=True)
class Fault:
    """What fails, with what, and how many times on end."""

    what: str
    kinds: Kind
    error: int
    action: Action = Action.FAIL
    times: int = 1


FAULTS = {
    "enospc": Fault("ENOSPC from one call that takes up room", WRITES, errno.ENOSPC),
    "enospc-lasting": Fault("ENOSPC from all such calls for half a second", WRITES, errno.ENOSPC, times=FOR_EVER),
    "eio": Fault("EIO from one call that changes a file", Kind.CHANGE | Kind.MAP, errno.EIO),
    "short": Fault("half a write, then ENOSPC twice", Kind.WRITE, errno.ENOSPC, Action.SHORTEN, times=3),
    "sync": Fault("EIO from one fsync", Kind.SYNC, errno.EIO),
    "read": Fault("EIO from one read", Kind.READ, errno.EIO),
    "short-read": Fault("one read that comes up short, then EIO", Kind.READ, errno.EIO, Action.SHORTEN, times=2),
}
MESSAGE = re.compile(
    r"No space left|database or disk is full|Input/output error|disk I/O error|"
    r"unable to open database|malformed|readonly"
)
"""What a message says of them. SQLite calls a file malformed that it cannot read, and readonly that it cannot open."""


def cases() -> Iterator[Case]:
    """One case for each fault and stage of a run's life, and for reading a crashed run."""
    for name, fault in FAULTS.items():
        for stage in stages.WORDS:
            yield Case(
                f"failing-calls/{name}-{stage}",
                f"{fault.what}, for each, while a run is recorded, gone on with and recovered",
                partial(_fail, fault=fault),
                tries(full=ALL, quick=12, small=1 if (name, stage) in SMALL else 0),
                plan=partial(_plan, stage, fault),
                can_be_made=shim.can_be_made,
            )
    for name in ("read", "short-read"):
        fault = FAULTS[name]
        yield Case(
            f"failing-calls/{name}-open-run",
            f"{fault.what}, for each, in open_run on a crashed run",
            partial(_fail_to_read, fault=fault),
            tries(full=60, quick=12, small=1 if name == "read" else 0),
            plan=_plan_reads,
            can_be_made=shim.can_be_made,
        )


def _plan(stage: str, fault: Fault, _setting: Setting) -> Sequence[Any]:
    return stages.sweep(stages.STAGES[stage], fault.kinds, [None])


def _fail(trial: Try, fault: Fault) -> None:
    stage, _, number = trial.parameter
    run = trial.folder / "run"
    expectation = Expectation()
    stage.prepare(trial, run, expectation)
    with shimmed(trial.folder, run) as page:
        last = FOR_EVER if fault.times == FOR_EVER else number + fault.times - 1
        page.meddle(fault.kinds, fault.action, first=number, last=last, error=fault.error)
        process = stage.start(trial, run, page)
        if fault.times == FOR_EVER:
            _let_last(process, page)
        code, output, _ = process.output()
        trial.outcome.faults = min(1, page.meddled)
    assert code == 0, f"the process ended with {code}: {output}\n{(trial.folder / 'stderr').read_text()}"
    stages.assert_no_panic(trial)
    if stage.name == "recover":
        assert not output or MESSAGE.search(output), output
    else:
        _assert_said(trial, stage, output)
    stage.account(trial, expectation)
    trial.outcome.checked = expectation.acknowledged
    trial.judge_after_a_crash(run, stage.orders, expectation)


def _let_last(process: Process, page: Shim) -> None:
    """Wait for the fault to be met, let it go on for a while, and end it."""
    deadline = time.monotonic() + DEADLINE_SECS
    while not page.meddled and not process.is_over():
        if time.monotonic() > deadline:
            raise Hang("the fault has not been met")
        time.sleep(0.001)
    time.sleep(LONG_SECS)
    page.leave_alone()


def _assert_said(trial: Try, stage: stages.Stage, output: str) -> None:
    """Whatever failed was raised by opening, flushing or closing, in words that say why; `log` raised nothing."""
    said = stages.report(output)
    for message in (*said["open"], *said["flush"], *said["close"]):
        assert MESSAGE.search(message), message
    logged = sum(1 for _ in stage.orders.points(0))
    assert (said["accepted"], said["dropped"]) == (logged, 0), said
    assert trial.page.acknowledged(0) == logged


def _plan_reads(_setting: Setting) -> Sequence[Any]:
    return [(sinks, number) for number in range(1, 31) for sinks in stages.SINKS]


def _fail_to_read(trial: Try, fault: Fault) -> None:
    sinks, number = trial.parameter
    run = trial.folder / "run"
    expectation = Expectation()
    stages.Stage("recover", sinks).prepare(trial, run, expectation)
    with shimmed(trial.folder, run) as page:
        reader = Reader(page.environment())
        try:
            page.meddle(fault.kinds, fault.action, first=number, last=number + fault.times - 1, error=fault.error)
            try:
                trial.judge(reader.points(run), expectation, "as open_run reads it")
            except Refused as error:
                assert MESSAGE.search(error.message), error
            trial.outcome.faults = min(1, page.meddled)
        finally:
            reader.close()
    trial.outcome.checked = expectation.acknowledged
    trial.judge_as_it_is(run, expectation)
