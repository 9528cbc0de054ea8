"""Runs the trials of a case in parallel and sums their outcomes."""

import faulthandler
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.faults.case import Case, Hang, Outcome, Setting, Unavailable
from tests.faults.trial import Trial

TRIAL_DEADLINE_SECS = 600
"""A backstop: each wait within a trial has its own deadline."""


@dataclass
class Failure:
    """A failed trial."""

    index: int
    message: str
    folder: Path


@dataclass
class Tally:
    """The sum of the outcomes of a case's trials."""

    case: Case
    seed: int
    trials: int = 0
    total: Outcome = field(default_factory=Outcome)
    failures: list[Failure] = field(default_factory=list)
    skipped: str | None = None
    secs: float = 0.0

    def add(self, index: int, folder: Path, outcome: Outcome) -> None:
        """Add the outcome of one trial."""
        self.trials += 1
        for name in ("faults", "checked", "lost", "invented", "hangs"):
            setattr(self.total, name, getattr(self.total, name) + getattr(outcome, name))
        for what, values in outcome.measured.items():
            self.total.measured.setdefault(what, []).extend(values)
        if outcome.failure is not None:
            self.failures.append(Failure(index, outcome.failure, folder))

    @property
    def survived(self) -> int:
        """The number of faults that caused no failure; a failed trial counts as one fault."""
        return max(0, self.total.faults - len(self.failures))


def run_trial(case: Case, seed: int, index: int, parameter: Any, folder: Path) -> Outcome:
    """Run one trial in a new folder, which is removed if it succeeds."""
    folder.mkdir(parents=True)
    trial = Trial(folder, f"{case.name}:{seed}:{index}", parameter)
    outcome = trial.outcome
    try:
        case.attempt(trial)
    except Unavailable as error:
        outcome.failure = f"the fault turned out to be unavailable: {error}"
    except Hang:
        outcome.hangs += 1
        outcome.failure = traceback.format_exc()
    except Exception:  # noqa: BLE001 - any error is a failure of this trial
        outcome.failure = traceback.format_exc()
    finally:
        trial.close()
    if outcome.failure is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        (folder / "failure.txt").write_text(outcome.failure, "utf-8")
        outcome.faults = max(outcome.faults, 1)
    return outcome


class Runner:
    """Runs cases in `jobs` processes."""

    def __init__(self, folder: Path, setting: Setting, seed: int, jobs: int) -> None:
        self.folder = folder
        self.setting = setting
        self.seed = seed
        self.jobs = jobs
        # Spawned, because pyarrow's threads do not survive a fork.
        self._pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_begin_worker) if jobs > 1 else None

    def run(
        self, case: Case, only_trial: int | None = None, progress: Callable[[Tally], None] = lambda _: None
    ) -> Tally:
        """Run a case, or one of its trials."""
        tally = Tally(case, self.seed)
        began = time.monotonic()
        try:
            case.check_available()
            planned = self._planned(case) if only_trial is None else [(only_trial, self._parameter(case, only_trial))]
        except Unavailable as error:
            tally.skipped = str(error)
            return tally
        for index, folder, outcome in self._outcomes(case, planned):
            tally.add(index, folder, outcome)
            progress(tally)
        tally.secs = time.monotonic() - began
        return tally

    def close(self) -> None:
        """Stop the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _planned(self, case: Case) -> Sequence[tuple[int, Any]]:
        count = case.trials[self.setting]
        plan = case.plan(self.setting)
        if plan is None:
            return [(index, None) for index in range(count)]
        if len(plan) <= count:
            return list(enumerate(plan))
        # Spread over the plan; the seed determines the selection.
        offset = self.seed % len(plan)
        indices = sorted({(offset + number * len(plan) // count) % len(plan) for number in range(count)})
        return [(index, plan[index]) for index in indices]

    def _parameter(self, case: Case, index: int) -> Any:
        plan = case.plan(self.setting)
        return None if plan is None else plan[index % len(plan)]

    def _outcomes(self, case: Case, planned: Sequence[tuple[int, Any]]) -> Iterator[tuple[int, Path, Outcome]]:
        folders = {index: self.folder / f"{case.name.replace('/', '-')}-{self.seed}-{index}" for index, _ in planned}
        if self._pool is None or case.is_exclusive or len(planned) == 1:
            for index, parameter in planned:
                yield index, folders[index], run_trial(case, self.seed, index, parameter, folders[index])
            return
        futures = {
            self._pool.submit(_run_by_name, case.name, self.seed, index, parameter, folders[index]): index
            for index, parameter in planned
        }
        for future in as_completed(futures):
            index = futures[future]
            try:
                outcome = future.result()
            except Exception:  # noqa: BLE001 - a broken pool is a failure of the trial that broke it
                outcome = Outcome(faults=1, hangs=1, failure=traceback.format_exc())
            yield index, folders[index], outcome


def _begin_worker() -> None:
    faulthandler.enable()


def _run_by_name(name: str, seed: int, index: int, parameter: Any, folder: Path) -> Outcome:
    from tests.faults.cases import all_cases

    faulthandler.dump_traceback_later(TRIAL_DEADLINE_SECS, exit=True)
    try:
        (case,) = (case for case in all_cases() if case.name == name)
        return run_trial(case, seed, index, parameter, folder)
    finally:
        faulthandler.cancel_dump_traceback_later()
