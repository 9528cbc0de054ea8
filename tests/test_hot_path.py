"""`log` makes no system call: the training thread pays for a point with processor time only."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import array, ctypes, pathlib, sys, holter

gettid = ctypes.CDLL(None).gettid
logger = holter.Logger(sys.argv[1])
metric = logger.metric("train/loss")
metrics = logger.metrics([f"grad_norm/{i}" for i in range(100)])
values = array.array("f", [0.5] * 100)
named = dict.fromkeys((f"memory/{i}" for i in range(100)), 0.5)

def steps(first):
    for step in range(first, first + 1000):
        logger.log(step, "train/loss", 0.5)
        metric.log(step, 0.25)
        logger.log_many(step, named)
        logger.log_array(step, metrics, values)

steps(0)  # names are seen for the first time, and Python makes its own caches
begin, end = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
begin.stat()
steps(1000)
try:
    end.stat()
except FileNotFoundError:
    pass
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace on the PATH")
def test_no_system_call_among_two_hundred_thousand_points(tmp_path: Path) -> None:
    """Catches a lock that waits in the kernel, a wake-up of the writer, a write or a page fault's system call in
    `log`, `Metric.log`, `log_many` or `log_array`."""
    trace = tmp_path / "trace"
    begin, end = tmp_path / "begin-of-steps", tmp_path / "end-of-steps"
    begin.touch()
    command = [
        "strace",
        "-ff",
        "-o",
        str(trace),
        sys.executable,
        "-c",
        PROGRAM,
        str(tmp_path / "run"),
        str(begin),
        str(end),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if "ptrace" in ran.stderr and ran.returncode != 0:
        pytest.skip(f"strace is not allowed to trace here: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr
    # One file for each thread; that of the training thread has both marks.
    texts = [path.read_text("utf-8", "replace") for path in tmp_path.glob("trace.*")]
    (lines,) = [text.splitlines() for text in texts if begin.name in text]
    marks = [i for i, line in enumerate(lines) if re.search(r"stat.*(begin|end)-of-steps", line)]
    between = lines[marks[-2] + 1 : marks[-1]]
    # What the interpreter does for itself: memory for its own objects.
    calls = [line for line in between if not re.match(r"(brk|mmap|munmap|madvise)\(", line)]
    assert calls == []
