"""Several processes want to write to one run, again and again, and some of them are killed.

Catches two that write at once, one that is kept out by the lock of a dead one, and points of one that another's
recovery loses.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import recording_child
from expected_points import Expectation
from recording_child import CLOSED, LOGGING, OPENING, Orders, Page
from tests.faults import stages
from tests.faults.case import Case, tries
from tests.faults.trial import Process, Try

WRITERS = 4


@dataclass
class Writer:
    """One of the processes."""

    orders: Orders
    page: Page
    process: Process

    def is_writing(self) -> bool:
        """Whether it has the run."""
        return LOGGING <= self.page.phase < CLOSED and not self.process.is_over()


def cases() -> Iterator[Case]:
    """One case: a try is one run and four processes, two of which are killed."""
    yield Case(
        "two-writers/race",
        "four processes race for one run; two of them are killed",
        _race,
        tries(full=60, quick=5, small=1),
    )


def _race(trial: Try) -> None:
    run = trial.folder / "run"
    sinks = trial.random.choice(stages.SINKS)
    with ExitStack() as stack:
        writers = []
        for number in range(WRITERS):
            # Attempts that lie so far apart have no step in common.
            orders = Orders(number * 10, steps=trial.random.randint(50, 300), flush_every=30, sinks=sinks, goes_on=True)
            path = trial.folder / f"page-{number}"
            page = stack.enter_context(closing(Page(path)))
            process = trial.spawn([recording_child.__file__, run, path, orders.dump()], stdout=-1)
            writers.append(Writer(orders, page, process))
        victims = trial.random.sample(writers, 2)
        for victim in victims:
            trial.pause(0.2)
            _assert_one_at_a_time(writers)
            trial.outcome.faults += victim.process.kill()
        for writer in writers:
            if writer not in victims:
                while not writer.process.is_over() and trial.random.random() < 0.9:
                    _assert_one_at_a_time(writers)
                assert writer.process.wait() == 0
                assert writer.page.phase == CLOSED
        expectation = Expectation()
        for writer in writers:
            if writer.page.phase > OPENING:
                expectation.add(writer.orders, writer.page)
    # A race is a fault of its own.
    trial.outcome.faults += 1
    trial.outcome.checked = expectation.acknowledged
    trial.judge_after_a_crash(run, writers[0].orders, expectation)


def _assert_one_at_a_time(writers: list[Writer]) -> None:
    # Looked at twice in the same order: who writes both times wrote all the time between.
    first = [writer for writer in writers if writer.is_writing()]
    both = [writer for writer in first if writer.is_writing()]
    assert len(both) < 2, f"processes {[writer.process.pid for writer in both]} write at once"
