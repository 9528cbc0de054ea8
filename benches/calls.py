"""What a call costs the training thread, compared with a call that does nothing, in the same loop and process.

The no-op is `sys.audit(step, name, value)`: a builtin with the cheapest calling convention, which returns at once if
there are no audit hooks. All kinds of calls take turns, 1,000 calls each, while the writer commits what they logged;
the cost of the empty loop is subtracted from all of them. The tails come from a second pass that times single calls.
"""

import array
import itertools
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterable

import numpy as np
from support import at_percent, names, report, scratch, wait_for_room

import holter

CALLS = 1000
ROUNDS = 600
SINGLES = 100_000
PACED_STEPS = 500
MAX_IN_JOURNAL = 700_000  # of a million; with so many series the writer commits half a million at a time
Loop = Callable[[Iterable[int]], None]
Kinds = dict[str, tuple[str, int, Loop]]
"""Loops by key, each with its title and the number of points per call."""


def fixed_name_loops(logger: holter.Logger) -> Kinds:  # noqa: C901, a list of loops
    """Loops over one series, and the calls they are compared with."""
    name, handle, appended = "train/loss", logger.metric("handle/loss"), []

    def empty(steps):
        for _step in steps:
            pass

    def noop(steps):
        value = 0.5
        for step in steps:
            sys.audit(step, name, value)

    def append(steps):
        value = 0.5
        appended.clear()
        for step in steps:
            appended.append((step, name, value))  # noqa: PERF401, the append is measured

    def log(steps):
        value = 0.5
        for step in steps:
            logger.log(step, name, value)

    def metric_log(steps):
        value = 0.5
        for step in steps:
            handle.log(step, value)

    return {
        "empty": ("empty loop", 0, empty),
        "noop": ("no-op builtin call, three arguments", 0, noop),
        "append": ("`list.append((step, name, value))`", 0, append),
        "log": ("`logger.log`, one name", 1, log),
        "metric": ("`Metric.log`", 1, metric_log),
    }


def changing_name_loops(logger: holter.Logger) -> Kinds:  # noqa: C901, a list of loops
    """Loops over many series."""
    shuffled = np.random.default_rng(0).permutation([f"many/{i}.weight" for i in range(5000)]).tolist()
    next_of_200, next_of_5000 = itertools.cycle(names(200)), itertools.cycle(shuffled)
    next_layer = itertools.cycle(range(200))

    def empty_turn(steps):
        for _step in steps:
            next(next_of_200)

    def log_200(steps):
        value = 0.5
        for step in steps:
            logger.log(step, next(next_of_200), value)

    def log_5000(steps):
        value = 0.5
        for step in steps:
            logger.log(step, next(next_of_5000), value)

    def noop_built(steps):
        value = 0.5
        for step in steps:
            sys.audit(step, f"built/layer_{next(next_layer)}.weight", value)

    def log_built(steps):
        value = 0.5
        for step in steps:
            logger.log(step, f"built/layer_{next(next_layer)}.weight", value)  # noqa: G004, not a `logging` logger

    return {
        "empty_turn": ("loop that takes the next name", 0, empty_turn),
        "log_200": ("`logger.log`, 200 names in turn", 1, log_200),
        "log_5000": ("`logger.log`, 5,000 names in random order", 1, log_5000),
        "noop_built": ("no-op call, name built for each call", 0, noop_built),
        "log_built": ("`logger.log`, name built for each call", 1, log_built),
    }


def bulk_loops(logger: holter.Logger, count: int) -> Kinds:
    """Loops whose calls log `count` points each."""
    by_name = {f"dict/{i}": float(i) for i in range(count)}
    metrics, buffer = logger.metrics([f"array/{i}" for i in range(count)]), np.arange(count, dtype=np.float32)

    def log_many(steps):
        for step in steps:
            logger.log_many(step, by_name)

    def log_array(steps):
        for step in steps:
            logger.log_array(step, metrics, buffer)

    return {
        "log_many": (f"`log_many` of {count:,} names", count, log_many),
        "log_array": (f"`log_array` of {count:,} float32", count, log_array),
    }


def time_in_turns(logger: holter.Logger, kinds: Kinds) -> dict[str, list[float]]:
    """Time each kind in every round, in nanoseconds per call, or per point if a call logs many."""
    times: dict[str, list[float]] = {key: [] for key in kinds}
    first_step = 0
    for turn in range(ROUNDS):
        if turn % 5 == 0:
            wait_for_room(logger, MAX_IN_JOURNAL)
        for key, (_, points, loop) in kinds.items():
            calls = CALLS if points <= 1 else 5
            steps = range(first_step, first_step + calls)
            began = time.perf_counter_ns()
            loop(steps)
            times[key].append((time.perf_counter_ns() - began) / (calls * max(points, 1)))
        first_step += CALLS
    return {key: samples[ROUNDS // 20 :] for key, samples in times.items()}


def time_singly(logger: holter.Logger, kinds: Kinds) -> dict[str, list[float]]:
    """Time single calls in nanoseconds, including the timer's own cost (the kind `empty`)."""
    times = {}
    for key in ("empty", "noop", "log", "metric", "log_many", "log_array"):
        _, points, loop = kinds[key]
        found = array.array("q")
        wait_for_room(logger, MAX_IN_JOURNAL)
        for step in range(SINGLES if points <= 1 else SINGLES // 33):
            if step % 50 == 0 and points > 1:
                wait_for_room(logger, MAX_IN_JOURNAL)
            single = (1_000_000 + step,)
            began = time.perf_counter_ns()
            loop(single)
            found.append(time.perf_counter_ns() - began)
        times[key] = found.tolist()
    return times


def time_paced(logger: holter.Logger, journal: pathlib.Path) -> list[int]:
    """Time single calls in nanoseconds, 200 names every 10 ms, right after write-back of the journal.

    The kernel writes dirty pages back every 30 seconds and makes them read-only, so that the next store to each faults.
    """
    found, of_step = [], [f"paced/{i}.weight" for i in range(200)]
    for step in range(PACED_STEPS):
        if step == 20:
            found.clear()
            descriptor = os.open(journal, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        for name in of_step:
            began = time.perf_counter_ns()
            logger.log(step, name, 0.5)
            found.append(time.perf_counter_ns() - began)
        time.sleep(0.01)
    return found


def report_turns(turns: dict[str, list[float]], kinds: Kinds) -> None:
    """Report each kind net of its loop."""
    report("calls.empty", kinds["empty"][0], turns["empty"], "ns")
    loop_of = {"log_200": "empty_turn", "log_5000": "empty_turn"}
    for key, (title, points, _) in kinds.items():
        if not key.startswith("empty"):
            loop_nanos = statistics.median(turns[loop_of.get(key, "empty")]) if points <= 1 else 0.0
            net = [sample - loop_nanos for sample in turns[key]]
            report(f"calls.{key}", title, net, "ns/point" if points > 1 else "ns")


def main() -> None:
    """Measure and report."""
    with scratch() as directory, holter.Logger(directory / "run") as logger:
        kinds = fixed_name_loops(logger) | changing_name_loops(logger) | bulk_loops(logger, count=1000)
        for _, _, loop in kinds.values():
            loop(range(200))
        report_turns(time_in_turns(logger, kinds), kinds)
        for key, samples in time_singly(logger, kinds).items():
            title = "timer, including a Python call around the loop" if key == "empty" else kinds[key][0]
            for percent in (50, 99, 99.9):
                report(f"calls.single.{key}.p{percent}", f"{title}: p{percent}", at_percent(samples, percent), "ns")
        paced = time_paced(logger, directory / "run" / "journal.holter")
        for percent in (50, 99, 99.9):
            title = "`logger.log`, 20,000 points/s, after write-back of the journal"
            report(f"calls.paced.log.p{percent}", f"{title}: p{percent}", at_percent(paced, percent), "ns")
        if (health := logger.health).waits or health.dropped:
            print(f"the journal was full: {health}", file=sys.stderr)


main()
