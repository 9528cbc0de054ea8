"""What is measured of a recorder, each in a fresh process of its own environment.

Every job gets the recorder, the work and its limits, and returns figures. Where the parent has to act in between, to
watch the memory or to count what can be read, the job tells it by `Link.mark` and waits.
"""

import dataclasses
import gc
import itertools
import json
import os
import pathlib
import signal
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from peers.recorder import Recorder, Way
from peers.work import BLOCK_STEPS, inputs, series_names

__all__ = ["JOBS", "PACED_POINTS_PER_SEC", "Link", "Task"]

WARM_UP_STEPS = 20
PACED_POINTS_PER_SEC = 4000
MOST_READS = 9


@dataclasses.dataclass(frozen=True)
class Task:
    """One job for one recorder, as the parent hands it over."""

    job: str
    recorder: str
    way: str
    path: str
    values: str
    num_series: int
    num_points: int
    limit_secs: float

    @property
    def directory(self) -> pathlib.Path:
        """Where the store is."""
        return pathlib.Path(self.path)

    @property
    def num_steps(self) -> int:
        """The steps of all points."""
        return self.num_points // self.num_series

    @property
    def names(self) -> list[str]:
        """The series."""
        return series_names(self.num_series)


class Link:
    """The pipes to the parent: figures go there, one JSON object a line; words to go on come back."""

    def __init__(self, out: int, back: int) -> None:
        self._out, self._back = out, back

    def mark(self, name: str, **figures: object) -> None:
        """Tell the parent how far the job is."""
        os.write(self._out, json.dumps({"mark": name, **figures}).encode() + b"\n")

    def wait(self) -> None:
        """Wait until the parent says to go on."""
        os.read(self._back, 1)


def _opened(recorder: Recorder, task: Task) -> tuple[Way, Sequence[Any], Callable[[int, Any], None]]:
    """Open the recorder and make the input of a way, none of which the collector looks at again."""
    way = recorder.way(task.way)
    recorder.open(task.directory, task.names)
    given = inputs(pathlib.Path(task.values), task.names, task.num_steps, way.takes, recorder.handle)
    gc.collect()
    gc.freeze()
    return way, given, getattr(recorder, task.way)


def _empty(_step: int, pairs: Sequence[tuple[Any, float]]) -> None:
    for _name, _value in pairs:
        pass


def _at_percent(ordered: Sequence[int], percent: float) -> int | None:
    """The smallest sample that `percent` of all are not above, if there are enough samples to say so."""
    if len(ordered) * (1 - percent / 100) < 2:
        return None
    return ordered[int(len(ordered) * percent / 100)]


def calls(recorder: Recorder, task: Task, _link: Link) -> dict[str, Any]:
    """Nanoseconds of a call: batch by batch and, for single points, call by call."""
    way, given, log = _opened(recorder, task)
    points = task.num_series * (1 if way.is_live else BLOCK_STEPS)
    steps = iter(range(len(given)))
    for step in itertools.islice(steps, WARM_UP_STEPS if way.is_live else 1):
        log(step, given[step])
    num_batches = len(given) // 2 if way.is_scalar else None
    batches = _timed(log, ((step, given[step]) for step in itertools.islice(steps, num_batches)), task.limit_secs)
    loop = 0.0
    if way.is_scalar:
        empty = _timed(_empty, enumerate(given[:200]), task.limit_secs)
        loop = statistics.median(empty)
        singles = ((step, [pair]) for step in steps for pair in given[step])
        each = sorted(_timed(log, singles, task.limit_secs))
        timer = sorted(_timed(_empty, ((0, [pair]) for pair in given[0] * 20), task.limit_secs))
    else:
        each, timer = sorted(batches), [0]
    recorder.close()
    return {
        "batch_ns": (statistics.median(batches) - loop) / points,
        "mean_ns": (statistics.fmean(batches) - loop) / points,
        "p50_ns": _at_percent(each, 50),
        "p99_ns": _at_percent(each, 99),
        "p99.9_ns": _at_percent(each, 99.9),
        "timer_ns": statistics.median(timer),
        "points": len(batches) * points,
        "singles": len(each),
    }


def _timed(log: Callable[[int, Any], None], work: Iterable[tuple[int, Any]], limit_secs: float) -> list[int]:
    """Nanoseconds of each call of `log`, for all of the work or until the time is over."""
    clock, found = time.perf_counter_ns, []
    end = clock() + limit_secs * 1e9
    for step, given in work:
        began = clock()
        log(step, given)
        ended = clock()
        found.append(ended - began)
        if ended > end:
            break
    return found


def whole(recorder: Recorder, task: Task, link: Link) -> dict[str, Any]:
    """From the first call until all is durable and readable, and until it is closed."""
    way, given, log = _opened(recorder, task)
    link.mark("opened")
    link.wait()
    clock = time.perf_counter
    began = clock()
    end = began + task.limit_secs
    num_given = 0
    for step, of_step in enumerate(given):
        log(step, of_step)
        num_given += 1
        if clock() > end:
            break
    logged = clock()
    recorder.settle()
    settled = clock()
    num_points = min(num_given * task.num_series * (1 if way.is_live else BLOCK_STEPS), task.num_points)
    sizes = {} if recorder.settles else recorder.size(task.directory)  # a reader may add an index
    link.mark("settled")
    link.wait()
    again = clock()
    if recorder.settles:
        recorder.close()
    closed = clock()
    return {
        "bytes": sizes or recorder.size(task.directory),
        "points": num_points,
        "logging_secs": logged - began,
        "settled_secs": settled - began,
        "closed_secs": settled - began + closed - again,
    }


def store(recorder: Recorder, task: Task, link: Link) -> dict[str, Any]:
    """The same, into the store that is read back later."""
    return whole(recorder, task, link)


def read(recorder: Recorder, task: Task, _link: Link) -> dict[str, Any]:
    """Seconds to open the store and read one series, each time another one, and what the values were worth."""
    names, clock = task.names, time.perf_counter
    fresh, further = [], []
    end = clock() + task.limit_secs
    for turn in range(MOST_READS):
        name, another = (names[(turn * 30 + i) % len(names)] for i in (7, 18))  # 7: float64 that float32 cannot hold
        began = clock()
        recorder.open_reader(task.directory)
        steps, values = recorder.read_series(name)
        opened = clock()
        recorder.read_series(another)
        fresh.append(opened - began)
        further.append(clock() - opened)
        if clock() > end:
            break
    return {
        "secs": statistics.median(fresh[1:] or fresh),
        "further_secs": statistics.median(further[1:] or further),
        "first_secs": fresh[0],
        "reads": len(fresh),
        **_kept(task, names.index(name), steps, values),
    }


def _kept(task: Task, column: int, steps: Sequence[float], values: Sequence[float]) -> dict[str, Any]:
    """How many points came back, and how exactly."""
    given = inputs(pathlib.Path(task.values), task.names, task.num_steps, "columns", str)[column]
    worst = 0.0
    for step, value in zip(steps, values, strict=True):
        true = given[int(step)]
        worst = max(worst, abs(float(value) - true) / max(abs(true), 1e-30))
    exactness = "float64" if worst == 0 else "float32" if worst < 1e-6 else f"within {worst:.0e}"
    return {"length": len(steps), "exactness": exactness}


def count(recorder: Recorder, task: Task, _link: Link) -> dict[str, Any]:
    """How many points the peer's own reader finds."""
    recorder.open_reader(task.directory)
    return {"found": recorder.count(task.names)}


def killed(recorder: Recorder, task: Task, link: Link) -> dict[str, Any]:
    """Log at full speed, say how many calls have returned, and die at once, by SIGKILL."""
    _, given, log = _opened(recorder, task)
    end = time.perf_counter() + task.limit_secs
    num_given = 0
    for step, of_step in enumerate(given):
        log(step, of_step)
        num_given += 1
        if time.perf_counter() > end:
            break
    link.mark("logged", points=num_given * task.num_series)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a process outlived SIGKILL")


def killed_paced(recorder: Recorder, task: Task, link: Link) -> dict[str, Any]:
    """The same at the pace of a training, with the time of each call."""
    way, given, log = _opened(recorder, task)
    clock, times = time.perf_counter_ns, []
    interval_secs = task.num_series / PACED_POINTS_PER_SEC
    due = time.perf_counter()
    end = due + task.limit_secs
    num_given = 0
    for step, of_step in enumerate(given):
        parts = [[pair] for pair in of_step] if way.is_scalar else [of_step]
        for part in parts:
            began = clock()
            log(step, part)
            times.append(clock() - began)
        num_given += 1
        due += interval_secs
        if time.perf_counter() > end:
            break
        time.sleep(max(due - time.perf_counter(), 0))
    times = sorted(times[len(times) // 10 :])
    link.mark(
        "logged",
        points=num_given * task.num_series,
        p50_ns=_at_percent(times, 50),
        p99_ns=_at_percent(times, 99),
        secs_late=time.perf_counter() - due,
    )
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a process outlived SIGKILL")


JOBS: dict[str, Callable[[Recorder, Task, Link], dict[str, Any]]] = {
    job.__name__: job for job in (calls, whole, store, read, count, killed, killed_paced)
}
