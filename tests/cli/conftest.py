"""Recorded runs, and fixtures that call the command in this process, in a pipe or on a terminal."""

import contextlib
import math
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

import click.testing
import pytest

import holter
from holter.cli import main

COMMAND = [sys.executable, "-W", "error", "-m", "holter.cli"]
DEADLINE_SECS = 60.0
ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
HOSTILE_NAME = "\x1b[31mred\x07\u202eevil"
"""A metric's name that would color the terminal, ring its bell and reverse the writing direction."""


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, `prose` and `code`; the second has a NaN, an infinity and a hostile name."""
    root = tmp_path_factory.mktemp("cli") / "runs"
    for index, name in enumerate(("prose", "code")):
        config = {"lr": 3e-4 * (index + 1), "model": {"layers": 4}, "seed": index}
        with holter.Logger(root / name, config=config, tags=["demo", name], journal_points=1 << 12) as logger:
            for step in range(300):
                logger.log(step, "train/loss", 3 * math.exp(-step / 100) + 1 + index)
                logger.log(step, "grad_norm_total", math.nan if index and step == 77 else 2 + math.sin(step / 9))
                for layer in range(12):
                    logger.log(step, f"attention_entropy/layer_{layer}", 4 - layer / 10 - step / 400)
                if step % 50 == 0:
                    logger.log(step, "val/ppl", 30 - step / 20 - index)
            if index:
                logger.log(5, "=HYPERLINK(1)", math.inf)
                logger.log(5, HOSTILE_NAME, -1.5)
    return root


@pytest.fixture
def runs(recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the recorded runs as `./runs`, which a test may damage."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLTER_DIR", raising=False)
    shutil.copytree(recorded, tmp_path / "runs")
    return Path("runs")


@dataclass(frozen=True)
class Outcome:
    """The exit status and the output of a command."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Call the command in this process, as in a pipe, in the temporary directory."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        result = click.testing.CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="holter")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return call


@dataclass
class Terminal:
    """A command that runs on its own terminal of 100 columns."""

    process: subprocess.Popen[bytes]
    _master: int
    _output: bytes = b""

    def read_until(self, condition: Callable[[str], object]) -> str:
        """Return the output as soon as it meets a condition."""
        deadline = time.monotonic() + DEADLINE_SECS
        while not condition(self.text):
            assert time.monotonic() < deadline, self.text
            if not self._read(0.1) and self.process.poll() is not None and not self._read(0.1):
                break
        assert condition(self.text), self.text
        return self.text

    def finish(self) -> str:
        """Wait for the end and return the output."""
        deadline = time.monotonic() + DEADLINE_SECS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
            self._read(0.05)
        while self._read(0.05):
            pass
        return self.text

    @property
    def text(self) -> str:
        return self._output.decode("utf-8", "replace").replace("\r\n", "\n")

    @property
    def plain(self) -> str:
        """The output without escape sequences."""
        return ESCAPE_SEQUENCE.sub("", self.text)

    def _read(self, secs: float) -> bool:
        if not select.select([self._master], [], [], secs)[0]:
            return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # Linux raises EIO after the other side closed
            return False
        self._output += data
        return bool(data)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Start the command on a terminal."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: object, columns: int = 100, **environment: str) -> Terminal:
            master, slave = pty.openpty()
            ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
            process = subprocess.Popen(
                [*COMMAND, *map(str, arguments)],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**inherited, "TERM": "xterm-256color", **environment},
                start_new_session=True,
            )
            os.close(slave)
            stack.callback(os.close, master)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return Terminal(process, master)

        yield start


@pytest.fixture
def piped() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in its own process, with its output in pipes."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=DEADLINE_SECS,
            env={**os.environ, **environment},
            check=False,
        )

    return run
