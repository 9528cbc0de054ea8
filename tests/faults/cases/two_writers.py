"""Several processes compete to write to one run, and some of them are killed.

Finds two concurrent writers, a writer blocked by the lock of a dead process, and points that the recovery by another
process loses.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import recording_child
from expected_points import Expectation
from recording_child import CLOSED, LOGGING, OPENING, Page, Workload
from tests.faults import stages
from tests.faults.case import Case, trials
from tests.faults.trial import Process, Trial

WRITERS = 4


@dataclass
class Writer:
    """One of the competing processes."""

    workload: Workload
    page: Page
    process: Process

    def is_writing(self) -> bool:
        """Whether it holds the run."""
        return LOGGING <= self.page.phase < CLOSED and not self.process.has_exited()


def cases() -> Iterator[Case]:
    """Yield one case. A trial is one run and four processes, two of which are killed."""
    yield Case(
        "two-writers/race",
        "four processes compete for one run; two of them are killed",
        _race,
        trials(full=60, quick=5, small=1),
    )


def _race(trial: Trial) -> None:
    run = trial.folder / "run"
    sinks = trial.random.choice(stages.SINKS)
    with ExitStack() as stack:
        writers = []
        for number in range(WRITERS):
            # These attempt numbers are so far apart that they have no steps in common.
            workload = Workload(
                number * 10, steps=trial.random.randint(50, 300), flush_every=30, sinks=sinks, tolerates_errors=True
            )
            path = trial.folder / f"page-{number}"
            page = stack.enter_context(closing(Page(path)))
            process = trial.spawn([recording_child.__file__, run, path, workload.dump()], stdout=-1)
            writers.append(Writer(workload, page, process))
        victims = trial.random.sample(writers, 2)
        for victim in victims:
            trial.pause(0.2)
            _assert_single_writer(writers)
            trial.outcome.faults += victim.process.kill()
        for writer in writers:
            if writer not in victims:
                while not writer.process.has_exited() and trial.random.random() < 0.9:
                    _assert_single_writer(writers)
                assert writer.process.wait() == 0
                assert writer.page.phase == CLOSED
        expectation = Expectation()
        for writer in writers:
            if writer.page.phase > OPENING:
                expectation.add(writer.workload, writer.page)
    # The race counts as a fault.
    trial.outcome.faults += 1
    trial.outcome.checked = expectation.acknowledged
    trial.check_after_crash(run, writers[0].workload, expectation)


def _assert_single_writer(writers: list[Writer]) -> None:
    # Checked twice in the same order: a process that writes both times wrote throughout.
    first = [writer for writer in writers if writer.is_writing()]
    both = [writer for writer in first if writer.is_writing()]
    assert len(both) < 2, f"processes {[writer.process.pid for writer in both]} write concurrently"
