"""A process that records a run until it is killed, and the shared page on which it notes what it has done.

Run as a program: `recording_child.py RUN PAGE ORDERS`, where ORDERS is a JSON object with the fields of `Orders`.
What it logs follows from its orders alone, so whoever killed it knows every point that it may have logged.
"""

import array
import dataclasses
import json
import math
import mmap
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_THREADS = 8
SERIES = 4
"""Series of each thread. A call of `log_many` or `log_array` logs one point of each."""

BORN, OPENING, LOGGING, LOGGED, CLOSING, CLOSED = range(6)
"""What the process is doing: each moment begins when the page says so."""


class Page:
    """Words of eight bytes that outlive the process which wrote them."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(mmap.PAGESIZE)
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._words = memoryview(self._map).cast("Q")

    @property
    def phase(self) -> int:
        return self._words[0]

    @phase.setter
    def phase(self, phase: int) -> None:
        self._words[0] = phase

    def acknowledged(self, thread: int) -> int:
        """How many points of a thread were logged by calls that had returned."""
        return self._words[1 + thread]

    def acknowledge(self, thread: int, count: int) -> None:
        self._words[1 + thread] = count

    @property
    def flushed(self) -> int:
        """How many points of the first thread had been logged before a flush that has returned."""
        return self._words[1 + MAX_THREADS]

    @flushed.setter
    def flushed(self, count: int) -> None:
        self._words[1 + MAX_THREADS] = count

    def clear(self) -> None:
        self._map[:] = bytes(mmap.PAGESIZE)

    def close(self) -> None:
        self._words.release()
        self._map.close()


@dataclasses.dataclass(frozen=True)
class Orders:
    """What a child is to do."""

    attempt: int
    """Says where the steps begin, and is a part of every value."""
    threads: int = 1
    steps: int = 200
    """How many steps each thread logs before the run is closed."""
    sinks: tuple[str, ...] = ("sqlite", "parquet", "summary")
    journal_points: int = 1024
    flush_every: int = 0
    """Flush after so many steps; never if 0."""
    pause_every: int = 0
    """Wait for a moment after so many steps, so that the writer goes idle; never if 0."""
    summary_every: int = 10
    marks: str = ""
    """A file to which the number of points is written when the run was opened and after each flush that returned; none
    if empty."""
    drops: str = ""
    """A file to which the numbers of points that were dropped are written; only with one thread. None if empty."""
    hoard_bytes: int = 0
    """Keep so much more memory at each step."""
    stays: bool = False
    """When all is logged, wait to be killed."""
    goes_on: bool = False
    """Note what opening, flushing and closing raise, and print it in the end, instead of dying of it."""

    @classmethod
    def parse(cls, text: str) -> "Orders":
        fields = json.loads(text)
        return cls(**{**fields, "sinks": tuple(fields["sinks"])})

    def dump(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    def mark(self, count: int) -> None:
        """Note that so many points are flushed, if the orders say where."""
        if self.marks:
            with Path(self.marks).open("a", encoding="ascii") as file:
                file.write(f"{self.attempt} {count}\n")

    def names(self, thread: int) -> list[str]:
        return [f"thread-{thread}/metric-{index}" for index in range(SERIES)]

    def dropped(self) -> set[int]:
        """The numbers of the points that a recorder, dead or alive, has noted as dropped."""
        if not self.drops or not Path(self.drops).exists():
            return set()
        return {int(number) for number in Path(self.drops).read_text("ascii").split()}

    def first_step(self) -> int:
        # Attempts overlap: a step that is logged again replaces the value of the attempt before.
        return self.attempt * 50

    def value(self, thread: int, step: int, series: int) -> float:
        """A value that no other point has, but for the few that are not finite."""
        if step % 17 == 3:
            return (math.nan, math.inf, -math.inf, -0.0)[series]
        return (((series * MAX_THREADS + thread) << 16 | self.attempt) << 27 | step) / 1024.0

    def points(self, thread: int) -> Iterator[tuple[str, int, float]]:
        """All points of a thread, in the order in which they are logged."""
        names = self.names(thread)
        for step in range(self.first_step(), self.first_step() + self.steps):
            for series, name in enumerate(names):
                yield name, step, self.value(thread, step, series)


class Troubles:
    """What was raised, by the call that raised it, if the orders are to go on; else it is raised."""

    def __init__(self, *, goes_on: bool) -> None:
        self.goes_on = goes_on
        self.noted: dict[str, list[str]] = {"open": [], "flush": [], "close": []}

    def guard(self, call: str, action: Callable[..., object], *arguments: object) -> bool:
        """Whether the action went well."""
        from holter import HolterError

        try:
            action(*arguments)
        except HolterError as error:
            if not self.goes_on:
                raise
            self.noted[call].append(f"{type(error).__name__}: {error}")
            return False
        return True

    def report(self, logger) -> None:
        """Print what was noted, and what the logger counted."""
        health = logger.health
        counts = {"accepted": health.accepted, "dropped": health.dropped, "written": health.written}
        print(json.dumps({**self.noted, **counts}), flush=True)


def _open(run: str, orders: Orders, troubles: Troubles):
    """The logger; if opening fails and is to be tried again, the first that can be opened."""
    import holter

    opened = []

    def attempt() -> None:
        opened.append(
            holter.Logger(
                run, sinks=orders.sinks, summary_every=orders.summary_every, journal_points=orders.journal_points
            )
        )

    deadline = time.monotonic() + 20
    while not troubles.guard("open", attempt):
        assert time.monotonic() < deadline, f"the run cannot be opened: {troubles.noted['open']}"
        time.sleep(0.01)
    return opened[0]


class _Thread:
    """Logs what one thread is to log, each step in another of the four ways, and notes each call that returned."""

    def __init__(self, logger, orders: Orders, page: Page, number: int, troubles: Troubles) -> None:
        self.logger, self.orders, self.page, self.number, self.troubles = logger, orders, page, number, troubles
        self.names = orders.names(number)
        self.metrics = [logger.metric(name) for name in self.names]
        self.prepared = logger.metrics(self.names)
        self.count = 0
        self.known_drops = 0

    def run(self) -> None:
        orders = self.orders
        hoard = []
        for index in range(orders.steps):
            hoard.append(b"x" * orders.hoard_bytes)
            self.log_step(orders.first_step() + index, index % 4)
            if orders.flush_every and index % orders.flush_every == 0:
                self.flush()
            if orders.pause_every and index % orders.pause_every == 0:
                threading.Event().wait(0.002)

    def log_step(self, step: int, way: int) -> None:
        values = [self.orders.value(self.number, step, series) for series in range(SERIES)]
        if way == 0:
            for name, value in zip(self.names, values, strict=True):
                self.logger.log(step, name, value)
                self.acknowledge(1)
        elif way == 1:
            for metric, value in zip(self.metrics, values, strict=True):
                metric.log(step, value)
                self.acknowledge(1)
        else:
            if way == 2:
                self.logger.log_many(step, dict(zip(self.names, values, strict=True)))
            else:
                self.logger.log_array(step, self.prepared, array.array("d", values))
            self.acknowledge(SERIES)

    def acknowledge(self, more: int) -> None:
        """Note that a call with so many points has returned, and before that whether it dropped them."""
        if self.orders.drops and (drops := self.logger.health.dropped) > self.known_drops:
            self.known_drops = drops
            with Path(self.orders.drops).open("a", encoding="ascii") as file:
                file.write("".join(f"{number}\n" for number in range(self.count, self.count + more)))
        self.count += more
        self.page.acknowledge(self.number, self.count)

    def flush(self) -> None:
        if self.troubles.guard("flush", self.logger.flush, 10) and self.number == 0:
            self.page.flushed = self.count
            self.orders.mark(self.count)


def main(run: str, page_path: str, orders_text: str) -> None:
    orders = Orders.parse(orders_text)
    page = Page(Path(page_path))
    troubles = Troubles(goes_on=orders.goes_on)
    page.phase = OPENING
    logger = _open(run, orders, troubles)
    orders.mark(0)
    page.phase = LOGGING
    first, *others = (_Thread(logger, orders, page, number, troubles) for number in range(orders.threads))
    threads = [threading.Thread(target=other.run) for other in others]
    for thread in threads:
        thread.start()
    first.run()
    for thread in threads:
        thread.join()
    page.phase = LOGGED
    if orders.stays:
        threading.Event().wait()
    page.phase = CLOSING
    troubles.guard("close", logger.close)
    page.phase = CLOSED
    if orders.goes_on:
        troubles.report(logger)


if __name__ == "__main__":
    main(*sys.argv[1:])
