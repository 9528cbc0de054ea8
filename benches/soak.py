"""A long run at a steady rate, with readers that come, go, and are killed: memory, files and latency over time.

    python benches/soak.py [--minutes 60] [--rate 50000] [--picture FILE]

One process records 500 series, a fifth of them with `Metric.log`, timing each call (including the clock's cost).
Every few seconds another process opens the run and reads series, buckets, Parquet files, or SQL in a long transaction;
every fourth is killed while it reads. Samples every 10 seconds: the recorder's memory, its open files, the size of the
write-ahead log, the points in the journal, the time of a call. The first sixth of the time is treated as warm-up.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
from support import machine, names, report, scratch

import holter

SERIES, SINGLES, BURSTS_PER_SEC = 500, 100, 100
MAX_HOLD_SECS = 30.0
READER_INTERVAL_SECS = 8.0
PICTURE = pathlib.Path(__file__).parent.parent / "docs" / "images" / "soak.png"
Sample = dict[str, float]


# --- The recorder process ---


def record(path: pathlib.Path, rate: int, secs: float, sample_secs: float) -> None:
    """Record at a steady rate, and print a sample as JSON every `sample_secs`."""
    bursts = round(BURSTS_PER_SEC * rate / (SERIES * BURSTS_PER_SEC))
    nanos = np.zeros(int(sample_secs * bursts * SINGLES), np.int64)
    with holter.Logger(path) as logger:
        metrics = logger.metrics(names(SERIES - SINGLES))
        singles = [logger.metric(f"single/{i}") for i in range(SINGLES)]
        rows = np.random.default_rng(0).standard_normal((1000, SERIES - SINGLES))
        began = time.monotonic()
        due = began + sample_secs
        step = timed = 0
        while (now := time.monotonic()) < began + secs:
            logger.log_array(step, metrics, rows[step % 1000])
            for metric in singles:
                start = time.perf_counter_ns()
                metric.log(step, 0.5)
                nanos[timed % len(nanos)] = time.perf_counter_ns() - start
                timed += 1
            step += 1
            if now >= due:
                print(json.dumps(sample(logger, now - began, nanos[:timed])), flush=True)
                timed, due = 0, due + sample_secs
            time.sleep(max(0.0, began + step / bursts - time.monotonic()))


def sample(logger: holter.Logger, elapsed_secs: float, nanos: np.ndarray) -> Sample:
    """Measure the recorder now, and the calls since the last sample."""
    fields = dict(
        line.split(":\t") for line in pathlib.Path("/proc/self/status").read_text("utf-8").splitlines() if ":\t" in line
    )
    health = logger.health
    wal = logger.path / "metrics.sqlite-wal"
    median, p99, p999 = np.percentile(nanos, [50, 99, 99.9])
    return {
        "secs": elapsed_secs,
        "memory": int(fields["VmRSS"].split()[0]) * 1024 / 1e6,
        "private": int(fields["RssAnon"].split()[0]) * 1024 / 1e6,
        "files": sum(1 for _ in pathlib.Path("/proc/self/fd").iterdir()),
        "wal": wal.stat().st_size / 1e6 if wal.exists() else 0.0,
        "pending": health.accepted - health.written,
        "accepted": health.accepted,
        "dropped": health.dropped,
        "median": float(median),
        "p99": float(p99),
        "p999": float(p999),
    }


# --- A reader process ---


def read(path: pathlib.Path, seed: int, hold_secs: float) -> None:
    """Read the run in a random way: series, buckets, Parquet, or a long SQL transaction."""
    rng = random.Random(seed)
    run = holter.open_run(path)
    name = rng.choice(run.names())
    kind = rng.randrange(4)
    if kind == 0:
        assert len(run.series(name).steps) > 0
    elif kind == 1:
        assert len(run.buckets(run.names()[:100], max_buckets=500)) == 100
    elif kind == 2:
        import pyarrow.dataset

        parts = pyarrow.dataset.dataset(sorted(map(str, path.rglob("*.parquet"))))
        assert parts.count_rows() >= 0
    else:
        with sqlite3.connect(f"file:{path / 'metrics.sqlite'}?mode=ro", uri=True) as database:
            database.execute("BEGIN")
            assert database.execute("SELECT count(*) FROM series").fetchone()[0] == SERIES
            time.sleep(rng.uniform(0, hold_secs))


class Readers:
    """Starts readers at random intervals, kills some, and counts those that fail without being killed."""

    def __init__(self, path: pathlib.Path, hold_secs: float) -> None:
        self._path = path
        self._hold_secs = hold_secs
        self._rng = random.Random(0)
        self._running: list[subprocess.Popen] = []
        self._next = 0.0
        self.started = self.killed = self.failed = 0

    def poll(self, now: float) -> None:
        """Collect finished readers; start and kill readers when due."""
        for process in [process for process in self._running if process.poll() is not None]:
            self._running.remove(process)
            self.failed += process.returncode not in {0, -signal.SIGKILL}
        if now < self._next:
            return
        self._next = now + self._rng.uniform(0.2, 1.8) * READER_INTERVAL_SECS
        if self._running and self.started % 4 == 3:
            self._running[0].kill()
            self.killed += 1
        command = [sys.executable, __file__, "--read", str(self._path), "--seed", str(self.started)]
        self._running.append(subprocess.Popen([*command, "--hold-secs", str(self._hold_secs)]))
        self.started += 1

    def wait(self) -> None:
        """Wait for the readers that are still running."""
        for process in self._running:
            self.failed += process.wait(self._hold_secs + 60) not in {0, -signal.SIGKILL}


# --- Both, and the results ---


def soak(path: pathlib.Path, rate: int, secs: float) -> tuple[list[Sample], Readers]:
    """Record for `secs` with readers; return the samples and the readers."""
    sample_secs = min(10.0, secs / 12)
    command = [sys.executable, __file__, "--record", str(path), "--rate", str(rate), "--minutes", str(secs / 60)]
    samples: list[Sample] = []
    readers = Readers(path, min(MAX_HOLD_SECS, secs / 6))
    with subprocess.Popen([*command, "--sample-secs", str(sample_secs)], stdout=subprocess.PIPE, text=True) as recorder:
        assert recorder.stdout is not None
        os.set_blocking(recorder.stdout.fileno(), False)
        for line in arriving(recorder):
            if line:
                samples.append(json.loads(line))
                print(f"{samples[-1]['secs']:.0f} s: {line.strip()}", file=sys.stderr, flush=True)
            if samples:
                readers.poll(time.monotonic())
    readers.wait()
    if recorder.returncode:
        raise RuntimeError(f"the recorder exited with status {recorder.returncode}")
    return samples, readers


def arriving(recorder: subprocess.Popen) -> Iterator[str]:
    """Yield the lines that a process prints, and empty strings while it prints nothing, until it exits."""
    while recorder.poll() is None:
        line = recorder.stdout.readline()
        yield line
        if not line:
            time.sleep(0.2)
    yield from recorder.stdout


def summarize(samples: list[Sample], readers: Readers, rate: int) -> None:
    """Report medians over the run and changes from its early to its late part."""
    settled = samples[len(samples) // 6 :]
    early, late = settled[: len(settled) // 5], settled[-(len(settled) // 5) :]

    def change(key: str) -> float:
        return statistics.median(s[key] for s in late) - statistics.median(s[key] for s in early)

    what = f"{samples[-1]['secs'] / 60:.1f} minutes at {rate:,} points/s"
    report("soak.points", f"{what}: points accepted", samples[-1]["accepted"], "points")
    report("soak.dropped", f"{what}: points dropped", samples[-1]["dropped"], "points")
    report("soak.memory", f"{what}: resident memory, including the journal", [s["memory"] for s in settled], "MB")
    report("soak.memory_change", f"{what}: change of private memory from early to late", change("private"), "MB")
    report("soak.files", f"{what}: open files", [s["files"] for s in settled], "files")
    report("soak.files_change", f"{what}: change of open files from early to late", change("files"), "files")
    report("soak.wal", f"{what}: largest write-ahead log", max(s["wal"] for s in samples), "MB")
    report("soak.pending", f"{what}: maximum of points in the journal", max(s["pending"] for s in samples), "points")
    report("soak.median", f"{what}: `Metric.log`, median", [s["median"] for s in settled], "ns")
    report("soak.median_change", f"{what}: change of the median from early to late", change("median"), "ns")
    report("soak.p99", f"{what}: `Metric.log`, p99", [s["p99"] for s in settled], "ns")
    report("soak.started", f"{what}: readers started", readers.started, "readers")
    report("soak.killed", f"{what}: readers killed", readers.killed, "readers")
    report("soak.failed", f"{what}: readers failed", readers.failed, "readers")


def draw(samples: list[Sample], rate: int, picture: pathlib.Path) -> None:
    """Draw the samples over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    minutes = [s["secs"] / 60 for s in samples]
    panels = (
        ("memory (MB)", [("resident, including the journal", "memory"), ("private", "private")], False),
        ("open files", [("open files", "files")], False),
        ("pending", [("write-ahead log (MB)", "wal"), ("points in the journal (1,000)", "pending")], True),
        ("Metric.log (ns)", [("p99.9", "p999"), ("p99", "p99"), ("median", "median")], True),
    )
    figure, axes = plt.subplots(2, 2, figsize=(11, 6.5), sharex=True, layout="constrained")
    for axis, (title, lines, is_log) in zip(axes.flat, panels, strict=True):
        for label, key in lines:
            scale = 1e-3 if key == "pending" else 1.0
            axis.plot(minutes, [s[key] * scale for s in samples], label=label, linewidth=1.2)
        axis.set_title(title, loc="left", fontsize=10)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, frameon=False)
        if is_log:
            axis.set_yscale("symlog" if title == "pending" else "log")
        else:
            axis.set_ylim(0, None)
    for axis in axes[1]:
        axis.set_xlabel("minutes")
    where = machine()
    figure.suptitle(f"{rate:,} points/s into SQLite and Parquet, with readers coming and going ({where['cpu']})")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110, metadata={"Software": None})


def main() -> None:
    """Run the soak test, or one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=50_000, help="points per second")
    parser.add_argument("--picture", type=pathlib.Path, default=PICTURE, help="where to write the chart")
    parser.add_argument("--samples", type=pathlib.Path, help="where to write the samples, as JSON")
    for internal in ("--record", "--read"):
        parser.add_argument(internal, type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--hold-secs", type=float, default=MAX_HOLD_SECS, help=argparse.SUPPRESS)
    parser.add_argument("--sample-secs", type=float, default=10.0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.record, arguments.rate, arguments.minutes * 60, arguments.sample_secs)
    elif arguments.read:
        read(arguments.read, arguments.seed, arguments.hold_secs)
    else:
        with scratch() as scratched:
            samples, readers = soak(scratched / "run", arguments.rate, arguments.minutes * 60)
        if arguments.samples:
            arguments.samples.write_text(json.dumps(samples), "utf-8")
        summarize(samples, readers, arguments.rate)
        draw(samples, arguments.rate, arguments.picture)


main()
