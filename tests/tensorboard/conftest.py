"""Fixtures that run `holter tensorboard` in a separate process, and always end it."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

DEADLINE_SECS = 120.0


@dataclass
class Serving:
    """A running `holter tensorboard`.

    Attributes:
        process: The command.
        url: The URL that it printed.
        child: The process id of TensorBoard.
    """

    process: subprocess.Popen
    url: str
    child: int

    def end(self, number):
        """Send a signal only to the command, and return its exit status and error output."""
        self.process.send_signal(number)
        errors = self.process.communicate(timeout=DEADLINE_SECS)[1]
        return self.process.returncode, errors

    def has_child(self):
        """Whether TensorBoard's process exists."""
        return Path(f"/proc/{self.child}/stat").exists()


@pytest.fixture
def start():
    """A function that starts the command in its own process group."""
    processes = []

    def run(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "holter.cli", "tensorboard", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def serve(start):
    """A function that starts the command and waits for its URL."""

    def run(*arguments, **environment):
        process = start(*arguments, **environment)
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.communicate()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        return Serving(process, url, int(children[0]))

    return run
