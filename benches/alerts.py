"""What alerts cost: the training thread nothing, and the writer so much a point and rule.

The same points go to loggers that are alike but for their rules, in turns: calls of the hot path 1,000 at a time, and
whole runs for the writer, into Parquet alone, beside which rules weigh most. Given is the median of the ratios, or of
the differences, of neighbouring turns: rules to no rules.

    python benches/alerts.py [calls|writer] [rounds]
"""

import contextlib
import os
import sys
import time

import numpy as np
from support import WriterThread, names, report, scratch, values, wait_for_room

import holter
from holter import alerts

CALLS = 1000
NUM_SERIES, NUM_POINTS = 1000, 5_000_000

RULES = {
    "none": [],
    "same": [],  # once more, for what two runs of one thing differ by
    "no_match": [alerts.NonFinite("other/*"), alerts.Spike("other/*")],
    "one": [alerts.NonFinite()],
    "five": [
        alerts.NonFinite(),
        alerts.Spike("*", sigmas=1000),
        alerts.Below("*", threshold=-1e9, steps=100),
        alerts.Above("*", threshold=1e9, steps=100),
        alerts.Plateau("*", steps=1000),
    ],
    "storm": [alerts.Above("*", threshold=0.0)],
}
"""Rules by key. `storm` speaks at one point in five: a million alerts a run."""


def time_calls(rounds: int) -> None:
    """`logger.log` of one name."""
    kinds = ("none", "same", "one", "five")
    with scratch() as directory, contextlib.ExitStack() as stack:
        loggers = {kind: stack.enter_context(holter.Logger(directory / kind, alerts=RULES[kind])) for kind in kinds}
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for turn in range(rounds):
            for kind in kinds[turn % 4 :] + kinds[: turn % 4]:
                logger, name, value = loggers[kind], "train/loss", 0.5
                if turn % 5 == 0:
                    wait_for_room(logger, 500_000)
                steps = range(turn * CALLS, (turn + 1) * CALLS)
                began = time.perf_counter_ns()
                for step in steps:
                    logger.log(step, name, value)
                times[kind].append((time.perf_counter_ns() - began) / CALLS)
    report("alerts.calls.none", "`logger.log` without rules, its loop included", times["none"], "ns")
    for kind in kinds[1:]:
        report(f"alerts.calls.{kind}", f"`logger.log`, rules: {kind}", _ratios(times[kind], times["none"]), "×")


def time_writer(rounds: int) -> None:
    """The writer's own processor time for runs of 1,000 series."""
    table = values(NUM_POINTS // NUM_SERIES, NUM_SERIES)
    times: dict[str, list[float]] = {kind: [] for kind in RULES}
    for turn in range(rounds):
        kinds = list(RULES)
        for kind in kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]:
            times[kind].append(_record(table, kind))
    report("alerts.writer.none", "the writer without rules", times["none"], "ns a point")
    for kind in list(RULES)[1:]:
        more = [these - those for these, those in zip(times[kind], times["none"], strict=True)]
        report(f"alerts.writer.{kind}", f"the writer, rules: {kind}, more than without", more, "ns a point")


def _record(table: np.ndarray, kind: str) -> float:
    """Nanoseconds of the writer for each point of a run, on a core of its own."""
    cores = sorted(os.sched_getaffinity(0))
    with scratch() as directory:
        logger = holter.Logger(directory / "run", sinks=("parquet",), alerts=RULES[kind])
        metrics = logger.metrics(names(NUM_SERIES))
        writer = WriterThread()
        writer.pin(cores[-1])
        os.sched_setaffinity(0, {cores[0]})
        for step, row in enumerate(table):
            logger.log_array(step, metrics, row)
        logger.flush()
        used, _ = writer.cpu_secs()
        logger.close()
        written = logger.health.written
    os.sched_setaffinity(0, cores)
    return used / written * 1e9


def _ratios(these: list[float], those: list[float]) -> list[float]:
    return [this / that for this, that in zip(these, those, strict=True)]


def main() -> None:
    """Measure what the arguments name, or both."""
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if what in ("all", "calls"):
        time_calls(rounds or 400)
    if what in ("all", "writer"):
        time_writer(rounds or 6)


main()
