"""The disk stalls: each write and sync takes seconds, while the training goes on.

Catches a `log` that waits for the disk, points that are dropped without being counted, a full journal that is waited
for longer than is said, and a recorder that does not come back.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import run_files
from tests.faults import shim
from tests.faults.case import Case, Hang, tries
from tests.faults.shim import Action, Kind, Shim, shimmed
from tests.faults.trial import DEADLINE_SECS, Process, Try

CALM, STALLED, OVER = 1, 2, 3
STALL_SECS = 4.0
WAIT_LIMIT_SECS = 5.0
"""How long a full journal is waited for without progress, by default."""

# What takes the loop's time is not log: a training step of some 20 microseconds.
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
    "calm": summary(latencies[1]), "stalled": summary(latencies[2]), "logged": step, "waits": health.waits,
    "dropped": after.dropped, "accepted": after.accepted, "written": after.written,
}))
"""


@dataclass(frozen=True)
class Scenario:
    """How much room there is, and what happens when there is none."""

    what: str
    overflow: str
    journal_points: int
    secs: float = STALL_SECS


SCENARIOS = {
    "room": Scenario("the journal has room", "block", 1 << 20),
    "drop": Scenario("the journal is full, and points are to be dropped", "drop", 1 << 12),
    "block": Scenario("the journal is full, and waited for", "block", 1 << 12, secs=2 * WAIT_LIMIT_SECS),
}


def cases() -> Iterator[Case]:
    """One case for each of the three."""
    for name, scenario in SCENARIOS.items():
        yield Case(
            f"stalled/{name}",
            f"each write and sync takes {scenario.secs:.0f} s: {scenario.what}",
            partial(_stall, scenario=scenario),
            tries(full=5, quick=1),
            remark=_remark,
            is_exclusive=True,
            can_be_made=shim.can_be_made,
        )


def _stall(trial: Try, scenario: Scenario) -> None:
    run = trial.folder / "run"
    with shimmed(trial.folder, run) as page:
        child = trial.spawn(
            ["-c", PROGRAM, run, trial.page_path, scenario.overflow, scenario.journal_points],
            env={**page.environment(), "PYTHONPATH": _support_first()},
            stdout=subprocess.PIPE,
        )
        trial.await_phase(child, CALM)
        time.sleep(2.0)  # That long it is measured without the fault.
        page.meddle(Kind.WRITE | Kind.SYNC, Action.DELAY, delay_secs=scenario.secs)
        _await_delay(child, page)
        trial.page.phase = STALLED
        time.sleep(scenario.secs)
        trial.page.phase = OVER
        page.leave_alone()
        code, output, _ = child.output()
        trial.outcome.faults = page.meddled
    assert code == 0
    said = json.loads(output)
    _assert_undisturbed(said, scenario)
    assert said["accepted"] + said["dropped"] == said["logged"], said
    assert said["written"] == said["accepted"], said
    found = run_files.sqlite_points(run)
    trial.outcome.checked = said["accepted"]
    trial.outcome.lost = said["accepted"] - len(found)
    trial.outcome.invented = sum(value != step / 2 for (_, step), value in found.items())
    assert (trial.outcome.lost, trial.outcome.invented) == (0, 0)
    assert run_files.manifest(run)["dropped"] == said["dropped"]
    run_files.assert_same_points(run_files.parquet_points(run), found)
    for what in ("median", "p999", "max"):
        trial.outcome.measure(f"{what} calm", said["calm"][what])
        trial.outcome.measure(f"{what} stalled", said["stalled"][what])
    trial.outcome.measure("dropped", said["dropped"])


def _assert_undisturbed(said: dict[str, dict[str, float]], scenario: Scenario) -> None:
    """`log` is as quick as before, but for what the scheduler of a busy machine takes."""
    calm, stalled = said["calm"], said["stalled"]
    if scenario.overflow == "block" and scenario.journal_points < 1 << 20:
        assert said["dropped"] > 0, said
        assert stalled["max"] < (WAIT_LIMIT_SECS + 1) * 1e6, said
        return
    assert stalled["median"] < 2 * calm["median"] + 0.5, said
    assert stalled["p999"] < 10 * calm["p999"] + 200, said
    assert stalled["max"] < 0.5e6, said
    assert said["waits"] == 0, said
    assert (said["dropped"] > 0) == (scenario.overflow == "drop"), said


def _await_delay(child: Process, page: Shim) -> None:
    deadline = time.monotonic() + DEADLINE_SECS
    while not page.delayed:
        assert not child.is_over(), "the process has ended"
        if time.monotonic() > deadline:
            raise Hang("nothing was written that could be delayed")
        time.sleep(0.001)


def _support_first() -> str:
    import os

    from tests.faults import SUPPORT

    return os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _remark(measured: dict[str, list[float]]) -> str:
    def worst(what: str) -> str:
        return (
            f"{max(measured[f'{what} calm']):,.1f} µs before, {max(measured[f'{what} stalled']):,.1f} µs in the stall"
        )

    return (
        f"`log`: median {worst('median')}; 99.9 % {worst('p999')}; longest {worst('max')} (the worst of the tries); "
        f"{sum(measured['dropped']):,.0f} points dropped, and counted"
    )
