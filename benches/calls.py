"""What a call costs the training thread, beside a call that does nothing, in the same loop and the same process.

The no-op is `sys.audit(step, name, value)`: a builtin of the cheapest calling convention that, without audit hooks,
returns at once. All kinds of calls take turns, 1,000 calls each, with the writer at work on what they logged; the cost
of the loop itself (an empty body) is taken off. The tails come from a second pass that times each call by itself.
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
MOST_IN_JOURNAL = 700_000  # of a million; with so many series the writer commits half a million at a time
Loop = Callable[[Iterable[int]], None]


def loops(logger: holter.Logger, distinct: int, count: int) -> dict[str, tuple[str, int, Loop]]:  # noqa: C901, a list of loops
    """Loops by key, each with its title and how many points a call logs."""
    name, handle, appended = "train/loss", logger.metric("handle/loss"), []
    of_200, of_many = [names(distinct)[i] for i in range(200)], [f"many/{i}.weight" for i in range(5000)]
    turn_200, turn_many = (
        itertools.cycle(of_200),
        itertools.cycle(np.random.default_rng(0).permutation(of_many).tolist()),
    )
    by_name = {f"dict/{i}": float(i) for i in range(count)}
    metrics, buffer = logger.metrics([f"array/{i}" for i in range(count)]), np.arange(count, dtype=np.float32)
    turn_built = itertools.cycle(range(200))

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
            appended.append((step, name, value))  # noqa: PERF401, it is what is measured

    def log(steps):
        value = 0.5
        for step in steps:
            logger.log(step, name, value)

    def metric_log(steps):
        value = 0.5
        for step in steps:
            handle.log(step, value)

    def empty_turn(steps):
        for _step in steps:
            next(turn_200)

    def log_200(steps):
        value = 0.5
        for step in steps:
            logger.log(step, next(turn_200), value)

    def log_many_names(steps):
        value = 0.5
        for step in steps:
            logger.log(step, next(turn_many), value)

    def noop_built(steps):
        value = 0.5
        for step in steps:
            sys.audit(step, f"built/layer_{next(turn_built)}.weight", value)

    def log_built(steps):
        value = 0.5
        for step in steps:
            logger.log(step, f"built/layer_{next(turn_built)}.weight", value)  # noqa: G004, no logger of `logging`

    def log_many(steps):
        for step in steps:
            logger.log_many(step, by_name)

    def log_array(steps):
        for step in steps:
            logger.log_array(step, metrics, buffer)

    return {
        "empty": ("the empty loop", 0, empty),
        "noop": ("no-op builtin call, three arguments", 0, noop),
        "append": ("`list.append((step, name, value))`", 0, append),
        "log": ("`logger.log`, one name", 1, log),
        "metric": ("`Metric.log`", 1, metric_log),
        "empty_turn": ("the loop that takes names in turn", 0, empty_turn),
        "log_200": ("`logger.log`, 200 names in turn", 1, log_200),
        "log_5000": ("`logger.log`, 5,000 names in a random order", 1, log_many_names),
        "noop_built": ("no-op call, name built at each call", 0, noop_built),
        "log_built": ("`logger.log`, name built at each call", 1, log_built),
        "log_many": (f"`log_many` of {count:,} names", count, log_many),
        "log_array": (f"`log_array` of {count:,} float32", count, log_array),
    }


def time_in_turns(logger: holter.Logger, kinds: dict[str, tuple[str, int, Loop]]) -> dict[str, list[float]]:
    """Nanoseconds a call, or a point of a call that logs many, for each kind and round."""
    times: dict[str, list[float]] = {key: [] for key in kinds}
    first_step = 0
    for turn in range(ROUNDS):
        if turn % 5 == 0:
            wait_for_room(logger, MOST_IN_JOURNAL)
        for key, (_, points, loop) in kinds.items():
            calls = CALLS if points <= 1 else 5
            steps = range(first_step, first_step + calls)
            began = time.perf_counter_ns()
            loop(steps)
            times[key].append((time.perf_counter_ns() - began) / (calls * max(points, 1)))
        first_step += CALLS
    return {key: samples[ROUNDS // 20 :] for key, samples in times.items()}


def time_singly(logger: holter.Logger, kinds: dict[str, tuple[str, int, Loop]]) -> dict[str, list[float]]:
    """Nanoseconds of each call by itself, the timer's own cost (the kind `empty`) included."""
    times = {}
    for key in ("empty", "noop", "log", "metric", "log_many", "log_array"):
        _, points, loop = kinds[key]
        found = array.array("q")
        wait_for_room(logger, MOST_IN_JOURNAL)
        for step in range(SINGLES if points <= 1 else SINGLES // 33):
            if step % 50 == 0 and points > 1:
                wait_for_room(logger, MOST_IN_JOURNAL)
            one = (1_000_000 + step,)
            began = time.perf_counter_ns()
            loop(one)
            found.append(time.perf_counter_ns() - began)
        times[key] = found.tolist()
    return times


def time_paced(logger: holter.Logger, journal: pathlib.Path) -> list[int]:
    """Nanoseconds of each call, 200 names every 10 ms, just after the system has written the journal to the disk.

    It does so every half a minute by itself; each page of it then has to be made writable again by somebody.
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


def main() -> None:
    """Measure and print."""
    with scratch() as directory, holter.Logger(directory / "run") as logger:
        kinds = loops(logger, distinct=200, count=1000)
        for _, _, loop in kinds.values():
            loop(range(200))
        turns = time_in_turns(logger, kinds)
        report("calls.empty", kinds["empty"][0], turns["empty"], "ns")
        without = {"log_200": "empty_turn", "log_5000": "empty_turn"}
        net = {}
        for key, (title, points, _) in kinds.items():
            if key.startswith("empty"):
                continue
            loop_cost = statistics.median(turns[without.get(key, "empty")]) if points <= 1 else 0.0
            net[key] = [sample - loop_cost for sample in turns[key]]
            report(f"calls.{key}", title, net[key], "ns a point" if points > 1 else "ns")
        for key, title in (("log", "`logger.log`"), ("metric", "`Metric.log`")):
            whole = [ours / noop for ours, noop in zip(turns[key], turns["noop"], strict=True)]
            report(f"calls.{key}_ratio_with_loop", f"{title} : no-op, the loop included in both", whole, "×")
            ratio = [ours / noop for ours, noop in zip(net[key], net["noop"], strict=True)]
            report(f"calls.{key}_ratio", f"{title} : no-op, the loop taken off both", ratio, "×")
        for key, samples in time_singly(logger, kinds).items():
            title = "timer, with a Python call around the loop" if key == "empty" else kinds[key][0]
            for percent in (50, 99, 99.9):
                report(f"calls.single.{key}.p{percent}", f"{title}: p{percent}", at_percent(samples, percent), "ns")
        paced = time_paced(logger, directory / "run" / "journal.holter")
        for percent in (50, 99, 99.9):
            title = "`logger.log`, 20,000 points/s, the journal just written to the disk"
            report(f"calls.paced.log.p{percent}", f"{title}: p{percent}", at_percent(paced, percent), "ns")
        if (health := logger.health).waits or health.dropped:
            print(f"the journal was full: {health}", file=sys.stderr)


main()
