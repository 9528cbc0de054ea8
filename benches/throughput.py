"""Throughput of the writer on one core, and its CPU time per point.

The producer fills the journal with `log_array` on a separate core, faster than the writer empties it
(`Overflow.BLOCK`). The rate is measured until `flush()` has returned for the last point. The writer's CPU time is
measured as well, since other programs disturb it less. A third rate excludes the time that the writer was runnable
while its core was taken; waiting for the disk still counts. `close()`, which merges the Parquet files, is timed
separately.

    python benches/throughput.py [all|parquet|sqlite] [number of series] [number of points]
"""

import os
import sys
import time

from support import SINKS, WriterThread, names, report, scratch, values

import holter

CASES = [("all", 100, 5_000_000), ("all", 1000, 10_000_000), ("all", 5000, 10_000_000)]
CASES += [("parquet", 1000, 10_000_000), ("sqlite", 1000, 10_000_000)]


def measure(sinks: str, num_series: int, num_points: int) -> None:
    """Record one run and close it."""
    cores = sorted(os.sched_getaffinity(0))
    table = values(num_points // num_series, num_series)
    title = f"{num_series:,} series, {'all sinks' if sinks == 'all' else f'{sinks} only'}"
    key = f"throughput.{sinks}.{num_series}"
    with scratch() as directory:
        logger = holter.Logger(directory / "run", sinks=SINKS if sinks == "all" else (sinks,))
        metrics = logger.metrics(names(num_series))
        writer = WriterThread()
        writer.pin(cores[-1])
        os.sched_setaffinity(0, {cores[0]})
        began = time.perf_counter()
        for step, row in enumerate(table):
            logger.log_array(step, metrics, row)
        logger.flush()
        flushed = time.perf_counter() - began
        used, waited = writer.cpu_secs()
        used_by_all = time.process_time()
        logger.close()
        closed = time.perf_counter() - began
        closing = time.process_time() - used_by_all
        health = logger.health
    written = health.written
    if health.accepted != written or written + health.dropped != table.size:
        sys.exit(f"points were lost but not counted: {health}")
    os.sched_setaffinity(0, cores)
    report(f"{key}.rate", f"{title}: sustained", written / flushed / 1e3, "thousand points/s")
    rate = written / (flushed - waited) / 1e3
    report(
        f"{key}.own_rate",
        f"{title}: sustained, excluding time when its core was taken",
        rate,
        "thousand points/s",
    )
    report(f"{key}.cpu", f"{title}: CPU time of the writer", used / written * 1e6, "µs/point")
    report(f"{key}.cpu_rate", f"{title}: points per second of CPU time", written / used / 1e3, "thousand points/s")
    report(f"{key}.close", f"{title}: `close()` after `flush()`", closed - flushed, "s")
    report(f"{key}.close_cpu", f"{title}: CPU time of `close()`", closing / written * 1e6, "µs/point")
    report(f"{key}.dropped", f"{title}: dropped because the disk stalled", health.dropped / table.size * 100, "%")
    report(f"{key}.whole_rate", f"{title}: sustained, including `close()`", written / closed / 1e3, "thousand points/s")


def main() -> None:
    """Measure all cases, or the case given by the arguments."""
    cases = [(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))] if len(sys.argv) == 4 else CASES
    for sinks, num_series, num_points in cases:
        measure(sinks, num_series, num_points)


main()
