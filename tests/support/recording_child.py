"""A process that records a run until it is killed, and the shared page on which it notes what it has done.

Run as a program: `recording_child.py RUN PAGE ORDERS`, where ORDERS is a JSON object with the fields of `Orders`.
What it logs follows from its orders alone, so whoever killed it knows every point that it may have logged.
"""

import dataclasses
import json
import math
import mmap
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

MAX_THREADS = 8
SERIES = 4
"""Series of each thread. A call of `log_many` or `log_array` logs one point of each."""

BORN, OPENING, LOGGING, CLOSING, CLOSED = range(5)
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

    @classmethod
    def parse(cls, text: str) -> "Orders":
        fields = json.loads(text)
        return cls(**{**fields, "sinks": tuple(fields["sinks"])})

    def dump(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    def names(self, thread: int) -> list[str]:
        return [f"thread-{thread}/metric-{index}" for index in range(SERIES)]

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


def _log(logger, orders: Orders, page: Page, thread: int) -> None:
    import array

    names = orders.names(thread)
    metrics = [logger.metric(name) for name in names]
    prepared = logger.metrics(names)
    count = 0
    for index in range(orders.steps):
        step = orders.first_step() + index
        values = [orders.value(thread, step, series) for series in range(SERIES)]
        way = index % 4
        if way == 0:
            for name, value in zip(names, values, strict=True):
                logger.log(step, name, value)
                count += 1
                page.acknowledge(thread, count)
        elif way == 1:
            for metric, value in zip(metrics, values, strict=True):
                metric.log(step, value)
                count += 1
                page.acknowledge(thread, count)
        else:
            if way == 2:
                logger.log_many(step, dict(zip(names, values, strict=True)))
            else:
                logger.log_array(step, prepared, array.array("d", values))
            count += SERIES
            page.acknowledge(thread, count)
        if orders.flush_every and index % orders.flush_every == 0:
            logger.flush()
        if orders.pause_every and index % orders.pause_every == 0:
            threading.Event().wait(0.002)


def main(run: str, page_path: str, orders_text: str) -> None:
    import holter

    orders = Orders.parse(orders_text)
    page = Page(Path(page_path))
    page.phase = OPENING
    logger = holter.Logger(
        run, sinks=orders.sinks, summary_every=orders.summary_every, journal_points=orders.journal_points
    )
    page.phase = LOGGING
    threads = [threading.Thread(target=_log, args=(logger, orders, page, thread)) for thread in range(orders.threads)]
    for thread in threads[1:]:
        thread.start()
    _log(logger, orders, page, 0)
    for thread in threads[1:]:
        thread.join()
    page.phase = CLOSING
    logger.close()
    page.phase = CLOSED


if __name__ == "__main__":
    main(*sys.argv[1:])
