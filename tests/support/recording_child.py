"""A process that records a run until it is killed, and the shared page that counts what it has logged.

Run as a program: `recording_child.py RUN PAGE WORKLOAD`, where WORKLOAD is a JSON object with the fields of `Workload`.
The workload determines what it logs, so a test can compute every point that the killed process may have logged.
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

STARTING, OPENING, LOGGING, LOGGED, CLOSING, CLOSED = range(6)
"""Phases of the process, in the page."""


class Page:
    """Shared words of eight bytes, which survive the death of the process."""

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
        """Return the number of points of a thread whose calls have returned."""
        return self._words[1 + thread]

    def acknowledge(self, thread: int, count: int) -> None:
        self._words[1 + thread] = count

    @property
    def flushed(self) -> int:
        """The number of points of the first thread logged before a flush that has returned."""
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
class Workload:
    """The work of a child process."""

    attempt: int
    """Determines the first step, and is part of every value."""
    threads: int = 1
    steps: int = 200
    """Steps per thread."""
    sinks: tuple[str, ...] = ("sqlite", "parquet", "summary")
    journal_points: int = 1024
    flush_every: int = 0
    """Flush every so many steps; 0 for never."""
    pause_every: int = 0
    """Pause every so many steps, so that the writer goes idle; 0 for never."""
    summary_every: int = 10
    marks: str = ""
    """A file that receives the number of logged points after opening and after each flush; empty for none."""
    drops: str = ""
    """A file that receives the indices of dropped points, for one thread only; empty for none."""
    leak_bytes: int = 0
    """Bytes of memory to leak per step."""
    waits_for_kill: bool = False
    """Wait to be killed after logging, instead of closing the run."""
    tolerates_errors: bool = False
    """Collect the errors of opening, flushing and closing and print them at the end, instead of failing."""

    @classmethod
    def parse(cls, text: str) -> "Workload":
        fields = json.loads(text)
        return cls(**{**fields, "sinks": tuple(fields["sinks"])})

    def dump(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    def mark(self, count: int) -> None:
        """Write the number of flushed points to `marks`."""
        if self.marks:
            with Path(self.marks).open("a", encoding="ascii") as file:
                file.write(f"{self.attempt} {count}\n")

    def names(self, thread: int) -> list[str]:
        return [f"thread-{thread}/metric-{index}" for index in range(SERIES)]

    def dropped(self) -> set[int]:
        """Return the indices of the points that the process recorded as dropped."""
        if not self.drops or not Path(self.drops).exists():
            return set()
        return {int(number) for number in Path(self.drops).read_text("ascii").split()}

    def first_step(self) -> int:
        # Attempts overlap: logging a step again replaces the value of the previous attempt.
        return self.attempt * 50

    def value(self, thread: int, step: int, series: int) -> float:
        """Return a unique value, except for a few special ones."""
        if step % 17 == 3:
            return (math.nan, math.inf, -math.inf, -0.0)[series]
        return (((series * MAX_THREADS + thread) << 16 | self.attempt) << 27 | step) / 1024.0

    def points(self, thread: int) -> Iterator[tuple[str, int, float]]:
        """Yield all points of a thread in the order of logging."""
        names = self.names(thread)
        for step in range(self.first_step(), self.first_step() + self.steps):
            for series, name in enumerate(names):
                yield name, step, self.value(thread, step, series)


class ErrorLog:
    """Errors by the call that raised them. Raises them instead unless `tolerates_errors`."""

    def __init__(self, *, tolerates_errors: bool) -> None:
        self.tolerates_errors = tolerates_errors
        self.errors: dict[str, list[str]] = {"open": [], "flush": [], "close": []}

    def guard(self, call: str, action: Callable[..., object], *arguments: object) -> bool:
        """Run an action; return whether it succeeded."""
        from holter import HolterError

        try:
            action(*arguments)
        except HolterError as error:
            if not self.tolerates_errors:
                raise
            self.errors[call].append(f"{type(error).__name__}: {error}")
            return False
        return True

    def report(self, logger) -> None:
        """Print the errors and the logger's counts."""
        health = logger.health
        counts = {"accepted": health.accepted, "dropped": health.dropped, "written": health.written}
        print(json.dumps({**self.errors, **counts}), flush=True)


def _open(run: str, workload: Workload, errors: ErrorLog):
    """Open the logger, retrying if errors are tolerated."""
    import holter

    opened = []

    def attempt() -> None:
        opened.append(
            holter.Logger(
                run,
                resume="allow",
                sinks=workload.sinks,
                summary_every=workload.summary_every,
                journal_points=workload.journal_points,
            )
        )

    deadline = time.monotonic() + 20
    while not errors.guard("open", attempt):
        assert time.monotonic() < deadline, f"the run cannot be opened: {errors.errors['open']}"
        time.sleep(0.01)
    return opened[0]


class _Thread:
    """Logs the points of one thread, alternating between the four functions, and counts each call that returned."""

    def __init__(self, logger, workload: Workload, page: Page, number: int, errors: ErrorLog) -> None:
        self.logger, self.workload, self.page, self.number, self.errors = logger, workload, page, number, errors
        self.names = workload.names(number)
        self.metrics = [logger.metric(name) for name in self.names]
        self.prepared = logger.metrics(self.names)
        self.count = 0
        self.known_drops = 0

    def run(self) -> None:
        workload = self.workload
        leaked = []
        for index in range(workload.steps):
            leaked.append(b"x" * workload.leak_bytes)
            self.log_step(workload.first_step() + index, index % 4)
            if workload.flush_every and index % workload.flush_every == 0:
                self.flush()
            if workload.pause_every and index % workload.pause_every == 0:
                threading.Event().wait(0.002)

    def log_step(self, step: int, function: int) -> None:
        values = [self.workload.value(self.number, step, series) for series in range(SERIES)]
        if function == 0:
            for name, value in zip(self.names, values, strict=True):
                self.logger.log(step, name, value)
                self.acknowledge(1)
        elif function == 1:
            for metric, value in zip(self.metrics, values, strict=True):
                metric.log(step, value)
                self.acknowledge(1)
        else:
            if function == 2:
                self.logger.log_many(step, dict(zip(self.names, values, strict=True)))
            else:
                self.logger.log_array(step, self.prepared, array.array("d", values))
            self.acknowledge(SERIES)

    def acknowledge(self, more: int) -> None:
        """Record dropped points, then count the points of a call that returned."""
        if self.workload.drops and (drops := self.logger.health.dropped) > self.known_drops:
            self.known_drops = drops
            with Path(self.workload.drops).open("a", encoding="ascii") as file:
                file.write("".join(f"{number}\n" for number in range(self.count, self.count + more)))
        self.count += more
        self.page.acknowledge(self.number, self.count)

    def flush(self) -> None:
        if self.errors.guard("flush", self.logger.flush, 10) and self.number == 0:
            self.page.flushed = self.count
            self.workload.mark(self.count)


def main(run: str, page_path: str, workload_text: str) -> None:
    workload = Workload.parse(workload_text)
    page = Page(Path(page_path))
    errors = ErrorLog(tolerates_errors=workload.tolerates_errors)
    page.phase = OPENING
    logger = _open(run, workload, errors)
    workload.mark(0)
    page.phase = LOGGING
    first, *others = (_Thread(logger, workload, page, number, errors) for number in range(workload.threads))
    threads = [threading.Thread(target=other.run) for other in others]
    for thread in threads:
        thread.start()
    first.run()
    for thread in threads:
        thread.join()
    page.phase = LOGGED
    if workload.waits_for_kill:
        threading.Event().wait()
    page.phase = CLOSING
    errors.guard("close", logger.close)
    page.phase = CLOSED
    if workload.tolerates_errors:
        errors.report(logger)


if __name__ == "__main__":
    main(*sys.argv[1:])
