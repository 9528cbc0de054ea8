"""A long run at a steady pace, with readers that come, go, and are killed: what should stay flat, drawn over time.

    python benches/soak.py [--minutes 60] [--rate 50000] [--picture FILE]

One process records 500 series, of which a fifth by `Metric.log`, each call timed by itself (clock included).
Every few seconds another process opens the run and reads: series, buckets, Parquet, or by SQL in a transaction that it
holds for long; every fourth is killed in the middle. Sampled every 10 seconds: the recorder's memory, its open files,
the write-ahead log, what waits in the journal, what a call costs. The first sixth of the time is taken as the start-up.
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
LONGEST_HOLD_SECS = 30.0
VISIT_SECS = 8.0
PICTURE = pathlib.Path(__file__).parent.parent / "docs" / "images" / "soak.png"
Sample = dict[str, float]


# --- The recorder, a process of its own ---


def record(path: pathlib.Path, rate: int, secs: float, sample_secs: float) -> None:
    """Record at a steady pace, and print a sample as JSON every `sample_secs`."""
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
    """What the recorder is like now, and what the calls since the last sample cost."""
    fields = dict(
        line.split(":\t") for line in pathlib.Path("/proc/self/status").read_text("utf-8").splitlines() if ":\t" in line
    )
    health = logger.health
    log = logger.path / "metrics.sqlite-wal"
    median, most, rare = np.percentile(nanos, [50, 99, 99.9])
    return {
        "secs": elapsed_secs,
        "memory": int(fields["VmRSS"].split()[0]) * 1024 / 1e6,
        "private": int(fields["RssAnon"].split()[0]) * 1024 / 1e6,
        "files": sum(1 for _ in pathlib.Path("/proc/self/fd").iterdir()),
        "log": log.stat().st_size / 1e6 if log.exists() else 0.0,
        "waiting": health.accepted - health.written,
        "accepted": health.accepted,
        "dropped": health.dropped,
        "median": float(median),
        "p99": float(most),
        "p999": float(rare),
    }


# --- A reader, a process of its own ---


def visit(path: pathlib.Path, seed: int, hold_secs: float) -> None:
    """Read the run in one of the ways in which it is read."""
    chance = random.Random(seed)
    run = holter.open_run(path)
    name = chance.choice(run.names())
    way = chance.randrange(4)
    if way == 0:
        assert len(run.series(name).steps) > 0
    elif way == 1:
        assert len(run.buckets(run.names()[:100], max_buckets=500)) == 100
    elif way == 2:
        import pyarrow.dataset

        parts = pyarrow.dataset.dataset(sorted(map(str, path.rglob("*.parquet"))))
        assert parts.count_rows() >= 0
    else:
        with sqlite3.connect(f"file:{path / 'metrics.sqlite'}?mode=ro", uri=True) as database:
            database.execute("BEGIN")
            assert database.execute("SELECT count(*) FROM series").fetchone()[0] == SERIES
            time.sleep(chance.uniform(0, hold_secs))


class Visitors:
    """Starts readers now and then, kills some, and counts those that failed by themselves."""

    def __init__(self, path: pathlib.Path, hold_secs: float) -> None:
        self._path = path
        self._hold_secs = hold_secs
        self._chance = random.Random(0)
        self._running: list[subprocess.Popen] = []
        self._next = 0.0
        self.came = self.killed = self.failed = 0

    def tend(self, now: float) -> None:
        """Do what is due by now."""
        for process in [process for process in self._running if process.poll() is not None]:
            self._running.remove(process)
            self.failed += process.returncode not in {0, -signal.SIGKILL}
        if now < self._next:
            return
        self._next = now + self._chance.uniform(0.2, 1.8) * VISIT_SECS
        if self._running and self.came % 4 == 3:
            self._running[0].kill()
            self.killed += 1
        command = [sys.executable, __file__, "--visit", str(self._path), "--seed", str(self.came)]
        self._running.append(subprocess.Popen([*command, "--hold-secs", str(self._hold_secs)]))
        self.came += 1

    def end(self) -> None:
        """Wait for those that are still there."""
        for process in self._running:
            self.failed += process.wait(self._hold_secs + 60) not in {0, -signal.SIGKILL}


# --- Both, and what came of it ---


def soak(path: pathlib.Path, rate: int, secs: float) -> tuple[list[Sample], Visitors]:
    """Record with visitors for so long; the samples, and the visitors."""
    sample_secs = min(10.0, secs / 12)
    command = [sys.executable, __file__, "--record", str(path), "--rate", str(rate), "--minutes", str(secs / 60)]
    samples: list[Sample] = []
    visitors = Visitors(path, min(LONGEST_HOLD_SECS, secs / 6))
    with subprocess.Popen([*command, "--sample-secs", str(sample_secs)], stdout=subprocess.PIPE, text=True) as recorder:
        assert recorder.stdout is not None
        os.set_blocking(recorder.stdout.fileno(), False)
        for line in arriving(recorder):
            if line:
                samples.append(json.loads(line))
                print(f"{samples[-1]['secs']:.0f} s: {line.strip()}", file=sys.stderr, flush=True)
            if samples:
                visitors.tend(time.monotonic())
    visitors.end()
    if recorder.returncode:
        raise RuntimeError(f"the recorder ended with {recorder.returncode}")
    return samples, visitors


def arriving(recorder: subprocess.Popen) -> Iterator[str]:
    """The lines that a process prints, and empty ones while it prints nothing, until it ends."""
    while recorder.poll() is None:
        line = recorder.stdout.readline()
        yield line
        if not line:
            time.sleep(0.2)
    yield from recorder.stdout


def summarize(samples: list[Sample], visitors: Visitors, rate: int) -> None:
    """Print the rows: how flat everything stayed."""
    settled = samples[len(samples) // 6 :]
    early, late = settled[: len(settled) // 5], settled[-(len(settled) // 5) :]

    def change(key: str) -> float:
        return statistics.median(s[key] for s in late) - statistics.median(s[key] for s in early)

    what = f"{samples[-1]['secs'] / 60:.1f} minutes at {rate:,} points/s"
    report("soak.points", f"{what}: points taken", samples[-1]["accepted"], "points")
    report("soak.dropped", f"{what}: points dropped", samples[-1]["dropped"], "points")
    report("soak.memory", f"{what}: resident memory, journal included", [s["memory"] for s in settled], "MB")
    report("soak.memory_change", f"{what}: change of private memory from early to late", change("private"), "MB")
    report("soak.files", f"{what}: open files", [s["files"] for s in settled], "files")
    report("soak.files_change", f"{what}: change of open files from early to late", change("files"), "files")
    report("soak.log", f"{what}: largest write-ahead log", max(s["log"] for s in samples), "MB")
    report("soak.waiting", f"{what}: most points waiting in the journal", max(s["waiting"] for s in samples), "points")
    report("soak.median", f"{what}: a call of `Metric.log`, median", [s["median"] for s in settled], "ns")
    report("soak.median_change", f"{what}: change of that from early to late", change("median"), "ns")
    report("soak.p99", f"{what}: a call of `Metric.log`, 99 of 100 within", [s["p99"] for s in settled], "ns")
    report("soak.visits", f"{what}: readers that came", visitors.came, "readers")
    report("soak.killed", f"{what}: readers that were killed", visitors.killed, "readers")
    report("soak.failed", f"{what}: readers that failed", visitors.failed, "readers")


def draw(samples: list[Sample], rate: int, picture: pathlib.Path) -> None:
    """Draw what was sampled over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    minutes = [s["secs"] / 60 for s in samples]
    panels = (
        ("memory (MB)", [("resident, journal included", "memory"), ("private", "private")], False),
        ("open files", [("open files", "files")], False),
        ("on their way", [("write-ahead log (MB)", "log"), ("points waiting (1,000)", "waiting")], True),
        ("a call of Metric.log (ns)", [("99.9 %", "p999"), ("99 %", "p99"), ("median", "median")], True),
    )
    figure, axes = plt.subplots(2, 2, figsize=(11, 6.5), sharex=True, layout="constrained")
    for axis, (title, lines, is_log) in zip(axes.flat, panels, strict=True):
        for label, key in lines:
            scale = 1e-3 if key == "waiting" else 1.0
            axis.plot(minutes, [s[key] * scale for s in samples], label=label, linewidth=1.2)
        axis.set_title(title, loc="left", fontsize=10)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, frameon=False)
        if is_log:
            axis.set_yscale("symlog" if title == "on their way" else "log")
        else:
            axis.set_ylim(0, None)
    for axis in axes[1]:
        axis.set_xlabel("minutes")
    where = machine()
    figure.suptitle(f"{rate:,} points/s into SQLite and Parquet, with readers coming and going ({where['cpu']})")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110, metadata={"Software": None})


def main() -> None:
    """Soak, or be one of the processes that it needs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=50_000, help="points a second")
    parser.add_argument("--picture", type=pathlib.Path, default=PICTURE, help="where to draw what was sampled")
    parser.add_argument("--samples", type=pathlib.Path, help="where to keep the samples, as JSON")
    for internal in ("--record", "--visit"):
        parser.add_argument(internal, type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--hold-secs", type=float, default=LONGEST_HOLD_SECS, help=argparse.SUPPRESS)
    parser.add_argument("--sample-secs", type=float, default=10.0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.record:
        record(arguments.record, arguments.rate, arguments.minutes * 60, arguments.sample_secs)
    elif arguments.visit:
        visit(arguments.visit, arguments.seed, arguments.hold_secs)
    else:
        with scratch() as scratched:
            samples, visitors = soak(scratched / "run", arguments.rate, arguments.minutes * 60)
        if arguments.samples:
            arguments.samples.write_text(json.dumps(samples), "utf-8")
        summarize(samples, visitors, arguments.rate)
        draw(samples, arguments.rate, arguments.picture)


main()
