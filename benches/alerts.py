"""The cost of alerts, on the training thread and on the writer thread, for each point and rule.

The same points go in turns to loggers that differ only in their rules: 1,000 calls of the hot path at a time, and
complete runs for the writer, with only the Parquet sink, where the relative cost of rules is highest. The result is the
median of the ratios, or of the differences, between adjacent turns with and without rules.

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
    "same": [],  # a second time, to measure the noise
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
"""Rules by key. `storm` fires at one point in five, which is a million alerts for a run."""


def time_calls(rounds: int) -> None:
    """Time `logger.log` with one name."""
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
                start = time.perf_counter_ns()
                for step in steps:
                    logger.log(step, name, value)
                times[kind].append((time.perf_counter_ns() - start) / CALLS)
    report("alerts.calls.none", "`logger.log` without rules, including the loop", times["none"], "ns")
    for kind in kinds[1:]:
        report(f"alerts.calls.{kind}", f"`logger.log`, rules: {kind}", _ratios(times[kind], times["none"]), "×")


def time_writer(rounds: int) -> None:
    """Measure the writer's CPU time for runs of 1,000 series."""
    table = values(NUM_POINTS // NUM_SERIES, NUM_SERIES)
    times: dict[str, list[float]] = {kind: [] for kind in RULES}
    for turn in range(rounds):
        kinds = list(RULES)
        for kind in kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]:
            times[kind].append(_record(table, kind))
    report("alerts.writer.none", "writer without rules", times["none"], "ns per point")
    for kind in list(RULES)[1:]:
        added = [with_rules - without for with_rules, without in zip(times[kind], times["none"], strict=True)]
        report(f"alerts.writer.{kind}", f"writer, rules: {kind}, added cost", added, "ns per point")


def _record(table: np.ndarray, kind: str) -> float:
    """Record a run with the writer on its own core; return the writer's nanoseconds per point."""
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


def _ratios(numerators: list[float], denominators: list[float]) -> list[float]:
    return [numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)]


def main() -> None:
    """Run the benchmarks that the arguments name; all by default."""
    selection = sys.argv[1] if len(sys.argv) > 1 else "all"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if selection in ("all", "calls"):
        time_calls(rounds or 400)
    if selection in ("all", "writer"):
        time_writer(rounds or 6)


main()
