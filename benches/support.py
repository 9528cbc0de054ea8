"""Helpers for all benches: rows of results, the machine's description, test data, the writer thread.

A bench is a program that prints its rows as JSON, one object per line. `run.py` starts each in fresh processes.
"""

import contextlib
import json
import os
import pathlib
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import holter

SINKS = ("sqlite", "parquet", "summary")


def report(key: str, what: str, samples: float | Sequence[float], unit: str) -> None:
    """Print one row: the median of the samples, and their quartiles if there are several."""
    samples = [samples] if isinstance(samples, (int, float)) else sorted(samples)
    low, middle, high = (samples[0],) * 3 if len(samples) == 1 else statistics.quantiles(samples, n=4)
    row = {"key": key, "what": what, "value": middle, "low": low, "high": high, "unit": unit}
    print(json.dumps(row), flush=True)


def at_percent(samples: Sequence[float], percent: float) -> float:
    """Return a percentile of the samples."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def machine() -> dict[str, Any]:
    """Describe the machine and the versions."""
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text("utf-8")
    model = next((line.split(":")[1] for line in cpuinfo.splitlines() if line.startswith("model name")), "")
    kind = "virtual cores" if " hypervisor" in cpuinfo else "cores"
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": f"{os.cpu_count()} {kind}, {' '.join(model.split()) or platform.machine()}",
        "memory": f"{memory_bytes / 1e9:.0f} GB",
        "file system": _file_system(pathlib.Path(tempfile.gettempdir())),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
    }


def _file_system(path: pathlib.Path) -> str:
    mounts = [line.split() for line in pathlib.Path("/proc/mounts").read_text("utf-8").splitlines()]
    above = [mount for mount in mounts if path.resolve().is_relative_to(mount[1])]
    return max(above, key=lambda mount: len(mount[1]))[2] if above else "unknown"


@contextlib.contextmanager
def scratch() -> Iterator[pathlib.Path]:
    """Create a temporary directory for runs, on the file system of `TMPDIR`."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="holter-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def names(count: int) -> list[str]:
    """Return names of about 30 characters, like those of a model's parameters."""
    return [f"grad_norm/blocks.{i // 10:03}.linear_{i % 10}.weight" for i in range(count)]


def values(num_steps: int, num_series: int, seed: int = 0) -> np.ndarray:
    """Return step-major values; by series: 60 % float32 noise, 20 % float64 noise, 10 % a schedule, 10 % integers."""
    random = np.random.default_rng(seed)
    table = random.standard_normal((num_steps, num_series))
    series = np.arange(num_series)
    step = np.arange(num_steps)[:, None]
    of_float32 = series % 10 < 6
    table[:, of_float32] = table[:, of_float32].astype(np.float32)
    table[:, series % 10 == 8] = 3e-4 * 0.5 * (1 + np.cos(np.pi * step / num_steps))
    integers = series % 10 == 9
    table[:, integers] = random.integers(0, 1000, (num_steps, int(integers.sum())))
    return table


def record(path: pathlib.Path, num_series: int, num_steps: int, *, flush_each_step: bool = False) -> None:
    """Record a run of `values` as fast as possible without drops, or with a commit per step."""
    with holter.Logger(path, resume="allow") as logger:
        metrics = logger.metrics(names(num_series))
        for step, row in enumerate(values(num_steps, num_series)):
            if flush_each_step:
                logger.flush()
            elif step * num_series % 100_000 < num_series:
                wait_for_room(logger, 500_000)
            logger.log_array(step, metrics, row)


class WriterThread:
    """The logger's writer thread in /proc."""

    def __init__(self) -> None:
        deadline = time.monotonic() + 5
        while not (tasks := [task for task in pathlib.Path("/proc/self/task").iterdir() if _is_writer(task)]):
            if time.monotonic() > deadline:  # a thread sets its own name after it starts
                raise LookupError("no thread is named holter-writer")
        self._task = tasks[0]

    def pin(self, core: int) -> None:
        """Pin the thread to a core."""
        os.sched_setaffinity(int(self._task.name), {core})

    def cpu_secs(self) -> tuple[float, float]:
        """Return the seconds that it has run, and the seconds that it was runnable but its core was taken."""
        ran, waited, _ = (self._task / "schedstat").read_text().split()
        return int(ran) / 1e9, int(waited) / 1e9


def _is_writer(task: pathlib.Path) -> bool:
    return (task / "comm").read_text().strip() == "holter-writer"


def wait_for_room(logger: holter.Logger, max_points: int) -> None:
    """Wait until the journal holds at most `max_points` points."""
    while (health := logger.health).accepted - health.written > max_points:
        time.sleep(0.002)
