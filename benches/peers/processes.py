"""Starts a child process for each job, samples its memory, and kills everything that it started.

A child and its descendants carry a marker in their environment, by which they are found in /proc: some recorders start
a service in a separate process group.
"""

import contextlib
import json
import os
import pathlib
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from peers.jobs import Task

__all__ = ["FailedError", "run_job"]

MARKER = "HOLTER_PEERS_JOB"
INHERITED = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ")  # excludes recorders' settings and keys
SAMPLE_SECS = 0.05
SERVICE_EXIT_SECS = 20.0  # for the services of a killed process to exit
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
Stages = dict[str, Callable[[], None]]


class FailedError(Exception):
    """A job returned no figures."""


def run_job(
    python: pathlib.Path,
    task: Task,
    *,
    python_path: str,
    log: pathlib.Path,
    deadline_secs: float,
    arguments: tuple[str, ...] = (),
    on_stage: Stages,
) -> dict[str, Any]:
    """Run one job in a fresh process and return its figures.

    If the job reports the stage `opened`, the figures include `grown_bytes`: the largest growth of the resident memory
    of the process and its services since that stage.

    Args:
        python: The interpreter.
        task: The job.
        python_path: `PYTHONPATH` of the child, which contains `peers`.
        log: A file that receives the process's output.
        deadline_secs: Seconds after which the process is killed.
        arguments: More arguments of the child.
        on_stage: Functions to call when the job reaches a stage; the job continues after the call.

    Raises:
        FailedError: If the process fails or exceeds the deadline.
    """
    marker = secrets.token_hex(8)
    (out, child_out), (child_back, back) = os.pipe(), os.pipe()
    command = [str(python), "-m", "peers.child", json.dumps(asdict(task)), str(child_out), str(child_back), *arguments]
    environ = {
        **{name: value for name, value in os.environ.items() if name in INHERITED},
        "PYTHONPATH": python_path,
        "TMPDIR": str(log.parent),
        "HOME": str(log.parent),
        MARKER: marker,
    }
    tree = _ProcessTree(marker)
    with log.open("ab") as output, contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(child_out, child_back),
            env=environ,
            cwd=log.parent,
        )
        stack.callback(_kill, process, tree)
        stack.callback(os.close, back)
        stack.callback(os.close, out)
        os.close(child_out)
        os.close(child_back)
        stage, figures = _follow(out, back, tree, time.monotonic() + deadline_secs, on_stage)
        if not figures:
            raise FailedError(f"exited with status {process.wait()}: {_last_line(log)}")
        if stage == "logged":  # the child kills itself; a service that it started may still store points
            process.wait()
            tree.wait_for_exit()
    return figures | ({"grown_bytes": tree.grown} if tree.has_begun else {})


def _follow(out: int, back: int, tree: "_ProcessTree", deadline: float, on_stage: Stages) -> tuple[str, dict[str, Any]]:
    """Read the stages of a job until its last; return that and its figures, empty if the child died before."""
    stage = ""
    for line in _lines(out, deadline, tree.sample):
        tree.sample()
        message = json.loads(line)
        stage = message.pop("stage")
        if stage in ("done", "logged"):
            return stage, message
        if stage == "opened":
            tree.begin()
        elif stage in on_stage:
            on_stage[stage]()
        with contextlib.suppress(BrokenPipeError):  # the child is dead: the next read finds the pipe closed
            os.write(back, b".")
    return stage, {}


def _lines(out: int, deadline: float, sample: Callable[[], None]) -> Iterator[bytes]:
    """Yield the lines from a pipe until it is closed; call `sample` while waiting."""
    rest = b""
    while True:
        if time.monotonic() > deadline:
            raise FailedError("exceeded the deadline")
        if not select.select([out], [], [], SAMPLE_SECS)[0]:
            sample()
            continue
        if not (found := os.read(out, 65536)):
            return
        *lines, rest = (rest + found).split(b"\n")
        yield from lines


class _ProcessTree:
    """All processes that carry a marker, and their resident memory."""

    def __init__(self, marker: str) -> None:
        self._variable = f"{MARKER}={marker}".encode()
        self._older = set(_processes())  # started before the marker existed
        self._before = self._most = 0
        self.has_begun = False

    def begin(self) -> None:
        """Take the current memory as the baseline."""
        self.has_begun = True
        self._before = self._most = self._now()

    def sample(self) -> None:
        """Measure the memory once."""
        if self.has_begun:
            self._most = max(self._most, self._now())

    @property
    def grown(self) -> int:
        """The largest growth in bytes."""
        return self._most - self._before

    def members(self) -> list[int]:
        """Return the processes that are running."""
        found = []
        for pid in _processes():
            if pid not in self._older:
                with contextlib.suppress(OSError):  # exited, or owned by another user
                    if self._variable in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                        found.append(pid)
        return found

    def wait_for_exit(self) -> None:
        """Wait, up to a limit, until all services have exited."""
        deadline = time.monotonic() + SERVICE_EXIT_SECS
        while self.members() and time.monotonic() < deadline:
            time.sleep(SAMPLE_SECS)

    def _now(self) -> int:
        total = 0
        for pid in self.members():
            with contextlib.suppress(OSError):
                total += int(pathlib.Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * PAGE_BYTES
        return total


def _processes() -> list[int]:
    return [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]


def _kill(process: "subprocess.Popen[bytes]", tree: _ProcessTree) -> None:
    """Kill the process and its remaining descendants."""
    process.kill()
    process.wait()
    for pid in tree.members():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _last_line(log: pathlib.Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"
