"""Runs the tries of a case, several at once, and adds up what came of them."""

import faulthandler
import os
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
from tests.faults.trial import Try

TRY_DEADLINE_SECS = 600
"""Each wait within a try has a deadline of its own; this is for what none was thought of."""


@dataclass
class Failure:
    """A try that did not end well."""

    index: int
    message: str
    folder: Path


@dataclass
class Tally:
    """What came of all tries of a case."""

    case: Case
    seed: int
    tries: int = 0
    total: Outcome = field(default_factory=Outcome)
    failures: list[Failure] = field(default_factory=list)
    skipped: str | None = None
    secs: float = 0.0

    def add(self, index: int, folder: Path, outcome: Outcome) -> None:
        """Take in one try."""
        self.tries += 1
        for name in ("faults", "checked", "lost", "invented", "hangs"):
            setattr(self.total, name, getattr(self.total, name) + getattr(outcome, name))
        for what, values in outcome.measured.items():
            self.total.measured.setdefault(what, []).extend(values)
        if outcome.failure is not None:
            self.failures.append(Failure(index, outcome.failure, folder))

    @property
    def survived(self) -> int:
        """How many of the faults did no harm; a try that failed is counted as one that did."""
        return max(0, self.total.faults - len(self.failures))


def make_try(case: Case, seed: int, index: int, parameter: Any, folder: Path) -> Outcome:
    """Make one try in a folder of its own, which is removed if all is well."""
    folder.mkdir(parents=True)
    trial = Try(folder, f"{case.name}:{seed}:{index}", parameter)
    outcome = trial.outcome
    try:
        case.attempt(trial)
    except Unavailable as error:
        outcome.failure = f"the fault could not be made after all: {error}"
    except Hang:
        outcome.hangs += 1
        outcome.failure = traceback.format_exc()
    except Exception:  # noqa: BLE001 - whatever it is, it belongs to this try
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
    """Runs cases in as many processes as there are jobs."""

    def __init__(self, folder: Path, setting: Setting, seed: int, jobs: int) -> None:
        self.folder = folder
        self.setting = setting
        self.seed = seed
        self.jobs = jobs
        # Spawned, for pyarrow's threads do not survive a fork.
        self._pool = ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_begin_worker) if jobs > 1 else None

    def run(self, case: Case, only_try: int | None = None, progress: Callable[[Tally], None] = lambda _: None) -> Tally:
        """Run a case, or one try of it."""
        tally = Tally(case, self.seed)
        began = time.monotonic()
        try:
            case.can_be_made()
            planned = self._planned(case) if only_try is None else [(only_try, self._parameter(case, only_try))]
        except Unavailable as error:
            tally.skipped = str(error)
            return tally
        for index, folder, outcome in self._outcomes(case, planned):
            tally.add(index, folder, outcome)
            progress(tally)
        tally.secs = time.monotonic() - began
        return tally

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _planned(self, case: Case) -> Sequence[tuple[int, Any]]:
        count = case.tries[self.setting]
        plan = case.plan(self.setting)
        if plan is None:
            return [(index, None) for index in range(count)]
        if len(plan) <= count:
            return list(enumerate(plan))
        # Spread over the plan, and another selection for another seed.
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
                yield index, folders[index], make_try(case, self.seed, index, parameter, folders[index])
            return
        futures = {
            self._pool.submit(_try_by_name, case.name, self.seed, index, parameter, folders[index]): index
            for index, parameter in planned
        }
        for future in as_completed(futures):
            index = futures[future]
            try:
                outcome = future.result()
            except Exception:  # noqa: BLE001 - a broken pool is a failure of the try that broke it
                outcome = Outcome(faults=1, hangs=1, failure=traceback.format_exc())
            yield index, folders[index], outcome


def _begin_worker() -> None:
    faulthandler.enable()
    os.nice(0)


def _try_by_name(name: str, seed: int, index: int, parameter: Any, folder: Path) -> Outcome:
    from tests.faults.cases import all_cases

    faulthandler.dump_traceback_later(TRY_DEADLINE_SECS, exit=True)
    try:
        (case,) = (case for case in all_cases() if case.name == name)
        return make_try(case, seed, index, parameter, folder)
    finally:
        faulthandler.cancel_dump_traceback_later()
