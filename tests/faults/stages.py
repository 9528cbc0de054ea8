"""The stretches of a run's life that a fault can be put into at each of its calls to the system, one by one."""

import functools
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from expected_points import Expectation
from recording_child import LOGGED, Orders
from tests.faults.shim import Kind, Shim, shimmed
from tests.faults.trial import Process, Try

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
    """A process that opens, records and closes a run, that goes on with a crashed one, or that recovers it."""

    name: str
    sinks: tuple[str, ...]

    @property
    def orders(self) -> Orders:
        """Of the attempt that the stage consists of, or of the attempt that it recovers."""
        attempt = 1 if self.name == "resume" else 0
        return Orders(attempt, steps=60, flush_every=20, sinks=self.sinks, goes_on=True)

    def prepare(self, trial: Try, run: Path, expectation: Expectation) -> None:
        """Bring the run to where the stage begins: a crashed one has points in all sinks and in the journal."""
        if self.name == "record":
            return
        orders = replace(self.orders, attempt=0, stays=True)
        child = trial.record(run, orders)
        trial.await_phase(child, LOGGED)
        assert child.kill()
        expectation.add(orders, trial.page)

    def start(self, trial: Try, run: Path, shim: Shim, **environment: Any) -> Process:
        """Begin the stage with the shim loaded."""
        options = {
            "env": shim.environment(**environment),
            "stdout": subprocess.PIPE,
            "stderr": trial.folder / "stderr",
        }
        if self.name == "recover":
            return trial.spawn(["-c", _RECOVER, run], **options)
        return trial.record(run, self.orders, **options)

    def account(self, trial: Try, expectation: Expectation) -> None:
        """Take in what the stage logged."""
        if self.name != "recover":
            expectation.add(self.orders, trial.page)


STAGES = {name: [Stage(name, sinks) for sinks in SINKS] for name in ("record", "resume", "recover")}
WORDS = {
    "record": "opening, logging, flushing and closing",
    "resume": "going on with a crashed run",
    "recover": "recovering a crashed run",
}


@functools.cache
def count_calls(stage: Stage, kinds: Kind) -> int:
    """How many calls of these kinds the stage makes when nothing is done to it."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Try(Path(folder), "count")
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
    """What a recorder that was to go on printed in the end."""
    parsed = json.loads(output)
    assert isinstance(parsed, dict)
    return parsed


def assert_no_panic(trial: Try) -> None:
    """Nothing that a process wrote to its standard error tells of a bug."""
    for path in trial.folder.glob("stderr*"):
        text = path.read_text("utf-8", "replace")
        for word in ("panicked", "Traceback", "Fatal Python error"):
            assert word not in text, text


def sweep(stages: Sequence[Stage], kinds: Kind, variants: Sequence[Any]) -> list[tuple[Stage, Any, int]]:
    """Each stage, variant of the fault and number of a call."""
    return [
        (stage, variant, number)
        for stage in stages
        for number in range(1, count_calls(stage, kinds) + 1)
        for variant in variants
    ]
