"""The training thread makes no system call on the hot path, whether rules watch the run or not.

`strace` follows the thread that logs; two calls that the loop makes itself mark where its logs begin and end.
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
    # A system call that nothing else makes: it fails at once.
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
@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
def test_no_system_call_among_the_logs(run_dir: Path, tmp_path: Path, kind: str) -> None:
    """Catches a write, a lock that is fought for, a clock that is asked from the kernel, or memory asked from the
    system, once for every so many points."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(run_dir), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        thread = child.stdout.readline().strip()
        # That thread alone: the writer is there to make system calls.
        log = tmp_path / "strace"
        tracer = subprocess.Popen(
            ["strace", "-p", thread, "-o", str(log)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        if "attached" not in attached:
            child.kill()
            tracer.communicate()
            pytest.skip(f"strace is not allowed here: {attached.strip()}")
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.wait(120) == 0
        tracer.communicate(timeout=30)
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


def test_the_journals_pages_are_there(run_dir: Path) -> None:
    """Catches pages of the journal that the training thread is the first to touch: one for each 128 points."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS_PROGRAM, str(run_dir)], capture_output=True, text=True, check=True
    )
    # 200,000 points are 1,562 pages. What the interpreter needs, and what the disk has taken meanwhile, is a few.
    assert int(done.stdout) < 150
