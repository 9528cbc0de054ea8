"""The stages of a run in which a fault can be injected at each system call."""

import functools
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from expected_points import Expectation
from recording_child import LOGGED, Workload
from tests.faults.shim import Kind, Shim, shimmed
from tests.faults.trial import Process, Trial

SINKS = (("sqlite", "parquet", "summary"), ("parquet",))

_RECOVER = """
import sys, holter
try:
    holter.recover(sys.argv[1])
except holter.HolterError as error:
    print(f"{type(error).__name__}: {error}")
"""


@dataclass(frozen=True)
class Stage:
    """A process that opens, records and closes a run, that resumes a crashed run, or that recovers it."""

    name: str
    sinks: tuple[str, ...]

    @property
    def workload(self) -> Workload:
        """The workload of the attempt in this stage, or of the attempt that the stage recovers."""
        attempt = 1 if self.name == "resume" else 0
        return Workload(attempt, steps=60, flush_every=20, sinks=self.sinks, tolerates_errors=True)

    def prepare(self, trial: Trial, run: Path, expectation: Expectation) -> None:
        """Create the run in which the stage starts: a crashed one, with points in all sinks and the journal."""
        if self.name == "record":
            return
        workload = replace(self.workload, attempt=0, waits_for_kill=True)
        child = trial.record(run, workload)
        trial.await_phase(child, LOGGED)
        assert child.kill()
        expectation.add(workload, trial.page)

    def start(self, trial: Trial, run: Path, shim: Shim, **environment: Any) -> Process:
        """Start the stage with the shim loaded."""
        options = {
            "env": shim.environment(**environment),
            "stdout": subprocess.PIPE,
            "stderr": trial.folder / "stderr",
        }
        if self.name == "recover":
            return trial.spawn(["-c", _RECOVER, run], **options)
        return trial.record(run, self.workload, **options)

    def add_points(self, trial: Trial, expectation: Expectation) -> None:
        """Add the points that the stage logged."""
        if self.name != "recover":
            expectation.add(self.workload, trial.page)


STAGES = {name: [Stage(name, sinks) for sinks in SINKS] for name in ("record", "resume", "recover")}
DESCRIPTIONS = {
    "record": "opening, logging, flushing and closing",
    "resume": "resuming a crashed run",
    "recover": "recovering a crashed run",
}


@functools.cache
def count_calls(stage: Stage, kinds: Kind) -> int:
    """Count the calls of these kinds in the stage without faults."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder), "count")
        try:
            run = trial.folder / "run"
            stage.prepare(trial, run, Expectation())
            with shimmed(trial.folder, run) as shim:
                shim.count(kinds)
                code, _, _ = stage.start(trial, run, shim).output()
                assert code == 0, (trial.folder / "stderr").read_text()
                return shim.calls
        finally:
            trial.close()


def report(output: str) -> dict[str, Any]:
    """Parse the report of a recorder that tolerates errors."""
    parsed = json.loads(output)
    assert isinstance(parsed, dict)
    return parsed


def assert_no_panic(trial: Trial) -> None:
    """Check that no process printed a panic or a traceback."""
    for path in trial.folder.glob("stderr*"):
        text = path.read_text("utf-8", "replace")
        for sign in ("panicked", "Traceback", "Fatal Python error"):
            assert sign not in text, text


def sweep(stages: Sequence[Stage], kinds: Kind, variants: Sequence[Any]) -> list[tuple[Stage, Any, int]]:
    """Return each combination of a stage, the number of a call, and a variant of the fault."""
    return [
        (stage, variant, number)
        for stage in stages
        for number in range(1, count_calls(stage, kinds) + 1)
        for variant in variants
    ]
