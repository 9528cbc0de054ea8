"""The training thread makes no system call on the hot path, with and without alert rules.

`strace` traces the thread that logs; two marker calls delimit the logging loop.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LOGS = 100_000
MARK = 7_777

PROGRAM = f"""
import array, gc, os, sys, threading, time
import holter
from holter import alerts

pid = os.getpid()
def mark():
    # A system call that nothing else makes, and that fails at once.
    try:
        os.kill(pid, {MARK})
    except OSError:
        pass

rules = [alerts.Above("*", threshold=0.3, stop=True), alerts.Spike("*"), alerts.Plateau("*", steps=10)]
logger = holter.Logger(sys.argv[1], journal_points=1 << 20, alerts=rules if sys.argv[2] == "watched" else ())
print(threading.get_native_id(), flush=True)
sys.stdin.readline()
names = [f"metric/{{index}}" for index in range(100)]
metric = logger.metric("metric/0")
prepared = logger.metrics(names)
values = array.array("d", range(100))
row = {{name: 1.0 for name in names}}
def loop(count):
    for step in range(count):
        logger.log(step, names[step % 100], 0.5)
        metric.log(step, 0.25)
        logger.should_stop
        if step % 100 == 0:
            logger.log_many(step, row)
            logger.log_array(step, prepared, values)
loop(1_000)
gc.disable()
mark()
loop({LOGS})
mark()
gc.enable()
logger.close()
assert logger.should_stop == (sys.argv[2] == "watched")
assert logger.health.dropped == 0
assert logger.health.waits == 0
"""


@pytest.mark.parametrize("kind", ["plain", "watched"])
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_logging_makes_no_system_call(run_dir: Path, tmp_path: Path, kind: str) -> None:
    """Finds writes, contended locks, clock system calls and memory allocation, even if they happen rarely."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(run_dir), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        thread = child.stdout.readline().strip()
        # Only this thread: the writer thread makes system calls.
        log = tmp_path / "strace"
        tracer = subprocess.Popen(
            ["strace", "-p", thread, "-o", str(log)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        if "attached" not in attached:
            child.kill()
            tracer.communicate()
            pytest.skip(f"strace cannot attach: {attached.strip()}")
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.wait(240) == 0
        tracer.communicate(timeout=120)
    calls = log.read_text().splitlines()
    marks = [index for index, line in enumerate(calls) if re.match(rf"kill\(\d+, (SIGRT_\d+|{MARK})", line)]
    assert len(marks) == 2, calls[-20:]
    between = calls[marks[0] + 1 : marks[1]]
    assert between == []


FAULTS_PROGRAM = """
import gc, resource, sys
import holter

logger = holter.Logger(sys.argv[1], journal_points=1 << 18)
metric = logger.metric("loss")
steps = range(200_000)
def faults():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
for step in range(1_000):
    metric.log(step, 0.5)
gc.disable()
before = faults()
for step in steps:
    metric.log(step, 0.5)
print(faults() - before)
logger.close()
"""


def test_the_journals_pages_are_pre_faulted(run_dir: Path) -> None:
    """Otherwise the training thread has one page fault per 128 points."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS_PROGRAM, str(run_dir)], capture_output=True, text=True, check=True
    )
    # 200,000 points are 1,562 pages. The interpreter and write-back cause a few faults.
    assert int(done.stdout) < 150
