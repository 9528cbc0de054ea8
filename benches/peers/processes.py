"""Starts a child for each job, watches its memory from outside, and sees to it that nothing of it is left behind.

A child and all that it starts carry a word in their environment, by which they are found in /proc: some peers run a
service that belongs to no process group of ours.
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

WORD = "HOLTER_PEERS_JOB"
KEPT = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ")  # of the environment: no peer's settings or keys
SAMPLE_SECS = 0.05
LEAVE_SECS = 20.0  # for the services of a killed process to notice and end
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
Marks = dict[str, Callable[[], None]]


class FailedError(Exception):
    """A job gave no figures; the text says why."""


def run_job(
    python: pathlib.Path,
    task: Task,
    *,
    python_path: str,
    log: pathlib.Path,
    deadline_secs: float,
    arguments: tuple[str, ...] = (),
    on_mark: Marks,
) -> dict[str, Any]:
    """Do one job in a fresh process and return its figures.

    With them comes `grown_bytes`, by how much the resident memory of the process and its services rose at most above
    what it was when the recorder had been opened, where the job says when that is.

    Args:
        python: The interpreter.
        task: The job.
        python_path: Where the interpreter finds `peers`.
        log: Gets what the process prints.
        deadline_secs: After so long the process is killed.
        arguments: More arguments of the child.
        on_mark: What to do when the job has come so far; it goes on afterwards.

    Raises:
        FailedError: If the process fails or does not end in time.
    """
    word = secrets.token_hex(8)
    (out, child_out), (child_back, back) = os.pipe(), os.pipe()
    command = [str(python), "-m", "peers.child", json.dumps(asdict(task)), str(child_out), str(child_back), *arguments]
    environ = {
        **{name: value for name, value in os.environ.items() if name in KEPT},
        "PYTHONPATH": python_path,
        "TMPDIR": str(log.parent),
        "HOME": str(log.parent),
        WORD: word,
    }
    family = _Family(word)
    with log.open("ab") as printed, contextlib.ExitStack() as stack:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=(child_out, child_back),
            env=environ,
            cwd=log.parent,
        )
        stack.callback(_end, process, family)
        stack.callback(os.close, back)
        stack.callback(os.close, out)
        os.close(child_out)
        os.close(child_back)
        figures: dict[str, Any] = {}
        for line in _lines(out, time.monotonic() + deadline_secs, family.sample):
            family.sample()
            told = json.loads(line)
            mark = told.pop("mark")
            if mark in ("done", "logged"):
                figures = told
                break
            if mark == "opened":
                family.begin()
            elif mark in on_mark:
                on_mark[mark]()
            with contextlib.suppress(BrokenPipeError):  # it has died meanwhile, as will be noticed
                os.write(back, b".")
        if not figures:
            raise FailedError(f"ended with status {process.wait()}: {_last_line(log)}")
        if mark == "logged":  # it kills itself: a service that it has started may still save something
            process.wait()
            family.wait_until_gone()
    return figures | ({"grown_bytes": family.grown} if family.has_begun else {})


def _lines(out: int, deadline: float, sample: Callable[[], None]) -> Iterator[bytes]:
    """The lines that come from a pipe until it is closed; `sample` is called all the while."""
    rest = b""
    while True:
        if time.monotonic() > deadline:
            raise FailedError("did not end in time")
        if not select.select([out], [], [], SAMPLE_SECS)[0]:
            sample()
            continue
        if not (found := os.read(out, 65536)):
            return
        *lines, rest = (rest + found).split(b"\n")
        yield from lines


class _Family:
    """All processes that will carry a word, and their resident memory."""

    def __init__(self, word: str) -> None:
        self._carried = f"{WORD}={word}".encode()
        self._strangers = set(_processes())  # those that run already carry another one or none
        self._before = self._most = 0
        self.has_begun = False

    def begin(self) -> None:
        """Count the memory from here."""
        self.has_begun = True
        self._before = self._most = self._now()

    def sample(self) -> None:
        """Look at the memory once."""
        if self.has_begun:
            self._most = max(self._most, self._now())

    @property
    def grown(self) -> int:
        """By how many bytes it rose at most."""
        return self._most - self._before

    def members(self) -> list[int]:
        """Those that still run."""
        found = []
        for pid in _processes():
            if pid not in self._strangers:
                with contextlib.suppress(OSError):  # it has ended, or is another user's
                    if self._carried in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                        found.append(pid)
        return found

    def wait_until_gone(self) -> None:
        """Give them time to notice that the process that they serve is dead."""
        deadline = time.monotonic() + LEAVE_SECS
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


def _end(process: "subprocess.Popen[bytes]", family: _Family) -> None:
    """Kill the process and what it has left."""
    process.kill()
    process.wait()
    for pid in family.members():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _last_line(log: pathlib.Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "nothing was printed"
