"""The disk stalls: each write and sync takes seconds, while the training continues.

Finds a `log` that waits for the disk, dropped points that are not counted, a wait for a full journal that exceeds its
limit, and a recorder that does not resume.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import run_files
from tests.faults import shim
from tests.faults.case import Case, Hang, trials
from tests.faults.shim import Action, Kind, Shim, shimmed
from tests.faults.trial import DEADLINE_SECS, Process, Trial

NORMAL, STALLED, DONE = 1, 2, 3
STALL_SECS = 4.0
WAIT_LIMIT_SECS = 5.0
"""The default limit of a wait for a full journal without progress."""

# The loop simulates a training step of about 20 microseconds.
PROGRAM = """
import array, gc, json, pathlib, sys, time
import holter
from recording_child import Page

run, page_path, overflow, journal_points = sys.argv[1:]
page = Page(pathlib.Path(page_path))
logger = holter.Logger(run, overflow=overflow, journal_points=int(journal_points))
metric = logger.metric("loss")
clock = time.perf_counter_ns
latencies = {1: array.array("q"), 2: array.array("q")}
for step in range(1000):
    metric.log(step, step / 2)
logger.flush()
gc.disable()
page.phase = 1
step = 1000
while (phase := page.phase) < 3:
    sum(range(2000))
    before = clock()
    metric.log(step, step / 2)
    latencies[phase].append(clock() - before)
    step += 1
health = logger.health
logger.close()
after = logger.health

def summary(nanos):
    ordered = sorted(nanos)
    at = lambda share: ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e3
    return {"median": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": ordered[-1] / 1e3, "count": len(ordered)}

print(json.dumps({
    "normal": summary(latencies[1]), "stalled": summary(latencies[2]), "logged": step, "waits": health.waits,
    "dropped": after.dropped, "accepted": after.accepted, "written": after.written,
}))
"""


@dataclass(frozen=True)
class Scenario:
    """The size of the journal, and what happens when it is full."""

    what: str
    overflow: str
    journal_points: int
    secs: float = STALL_SECS


SCENARIOS = {
    "room": Scenario("the journal has space", "block", 1 << 20),
    "drop": Scenario("the journal is full, points are dropped", "drop", 1 << 12),
    "block": Scenario("the journal is full, `log` waits", "block", 1 << 12, secs=2 * WAIT_LIMIT_SECS),
}


def cases() -> Iterator[Case]:
    """Yield one case per scenario."""
    for name, scenario in SCENARIOS.items():
        yield Case(
            f"stalled/{name}",
            f"each write and sync takes {scenario.secs:.0f} s: {scenario.what}",
            partial(_stall, scenario=scenario),
            trials(full=5, quick=1),
            remark=_remark,
            is_exclusive=True,
            check_available=shim.check_available,
        )


def _stall(trial: Trial, scenario: Scenario) -> None:
    run = trial.folder / "run"
    with shimmed(trial.folder, run) as page:
        child = trial.spawn(
            ["-c", PROGRAM, run, trial.page_path, scenario.overflow, scenario.journal_points],
            env={**page.environment(), "PYTHONPATH": _support_first()},
            stdout=subprocess.PIPE,
        )
        trial.await_phase(child, NORMAL)
        time.sleep(2.0)  # the measurement without the fault
        page.inject(Kind.WRITE | Kind.SYNC, Action.DELAY, delay_secs=scenario.secs)
        _await_delay(child, page)
        trial.page.phase = STALLED
        time.sleep(scenario.secs)
        trial.page.phase = DONE
        page.clear()
        code, output, _ = child.output()
        trial.outcome.faults = page.injected
    assert code == 0
    report = json.loads(output)
    _assert_log_is_not_slower(report, scenario)
    assert report["accepted"] + report["dropped"] == report["logged"], report
    assert report["written"] == report["accepted"], report
    found = run_files.sqlite_points(run)
    trial.outcome.checked = report["accepted"]
    trial.outcome.lost = report["accepted"] - len(found)
    trial.outcome.invented = sum(value != step / 2 for (_, step), value in found.items())
    assert (trial.outcome.lost, trial.outcome.invented) == (0, 0)
    assert run_files.manifest(run)["dropped"] == report["dropped"]
    run_files.assert_same_points(run_files.parquet_points(run), found)
    for what in ("median", "p999", "max"):
        trial.outcome.measure(f"{what} normal", report["normal"][what])
        trial.outcome.measure(f"{what} stalled", report["stalled"][what])
    trial.outcome.measure("dropped", report["dropped"])


def _assert_log_is_not_slower(report: dict[str, dict[str, float]], scenario: Scenario) -> None:
    """Check that `log` is as fast as before, with a margin for the scheduler of a busy machine."""
    normal, stalled = report["normal"], report["stalled"]
    if scenario.overflow == "block" and scenario.journal_points < 1 << 20:
        assert report["dropped"] > 0, report
        assert stalled["max"] < (WAIT_LIMIT_SECS + 1) * 1e6, report
        return
    assert stalled["median"] < 2 * normal["median"] + 0.5, report
    assert stalled["p999"] < 10 * normal["p999"] + 200, report
    assert stalled["max"] < 0.5e6, report
    assert report["waits"] == 0, report
    assert (report["dropped"] > 0) == (scenario.overflow == "drop"), report


def _await_delay(child: Process, page: Shim) -> None:
    deadline = time.monotonic() + DEADLINE_SECS
    while not page.delayed:
        assert not child.has_exited(), "the process has exited"
        if time.monotonic() > deadline:
            raise Hang("no write was delayed")
        time.sleep(0.001)


def _support_first() -> str:
    import os

    from tests.faults import SUPPORT

    return os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _remark(measured: dict[str, list[float]]) -> str:
    def worst(what: str) -> str:
        normal, stalled = max(measured[f"{what} normal"]), max(measured[f"{what} stalled"])
        return f"{normal:,.1f} µs before the stall, {stalled:,.1f} µs during it"

    return (
        f"`log`, worst of the trials: median {worst('median')}; p99.9 {worst('p999')}; maximum {worst('max')}; "
        f"{sum(measured['dropped']):,.0f} points dropped and counted"
    )
