"""TensorBoard started by the command, as a user does, and ended whatever happens."""

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
    """`holter tensorboard` in a process of its own.

    Attributes:
        url: The address that it printed.
        child: The process id of TensorBoard.
    """

    process: subprocess.Popen
    url: str
    child: int

    def end(self, number):
        """Send a signal to the command alone, and return its exit status and what it said."""
        self.process.send_signal(number)
        said = self.process.communicate(timeout=DEADLINE_SECS)[1]
        return self.process.returncode, said

    def has_child(self):
        """Whether TensorBoard's process is there."""
        return Path(f"/proc/{self.child}/stat").exists()


@pytest.fixture
def start():
    """A function that starts the command with these arguments, in a process group of its own."""
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
    """A function that starts the command and waits for the address."""

    def run(*arguments, **environment):
        process = start(*arguments, **environment)
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.communicate()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 1
        return Serving(process, url, int(children[0]))

    return run
