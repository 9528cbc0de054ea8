"""Compiles shim.c, and says to a process that runs with it which of its calls fail, and how.

A call is counted if it is of a chosen kind and on a file of the run. Whoever holds the `Shim` may change what is done,
and read how often it was, while the process runs.
"""

import atexit
import contextlib
import functools
import mmap
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from pathlib import Path

from tests.faults.case import Unavailable

SOURCE = Path(__file__).with_name("shim.c")
FOR_EVER = (1 << 64) - 1
UNAVAILABLE_CODE = 77
"""What a process ends with if the shim cannot do in it what was asked."""


class Kind(IntFlag):
    """Kinds of calls."""

    READ = 1 << 0
    WRITE = 1 << 1
    SYNC = 1 << 2
    TRUNCATE = 1 << 3
    CREATE = 1 << 4
    RENAME = 1 << 5
    UNLINK = 1 << 6
    MAP = 1 << 7
    MKDIR = 1 << 8

    CHANGE = WRITE | SYNC | TRUNCATE | CREATE | RENAME | UNLINK | MKDIR
    """All that changes what is on the disk."""


class Action(IntEnum):
    """What is done to a call."""

    NOTHING = 0
    FAIL = 1
    """It does nothing and reports the error."""
    SHORTEN = 2
    """The first does half of what it was asked and says so; those after it fail."""
    DELAY = 3
    """It takes as long as is said, or until its kind is not chosen any more."""
    DIE_BEFORE = 4
    DIE_HALFWAY = 5
    """The process is killed when a write has done half of its work, or any other call all of it."""
    DIE_AFTER = 6


class _Word(IntEnum):
    CALLS = 0
    MEDDLED = 1
    KINDS = 2
    FIRST = 3
    LAST = 4
    ACTION = 5
    ERROR = 6
    DELAY_MICROS = 7
    DELAYED = 8
    CLOCK_NANOS = 9


class Shim:
    """What is done to one process's calls."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Files below `root` are meddled with; `folder` has the shared page, and must not be below it."""
        self._page = folder / "shim"
        self._page.write_bytes(bytes(mmap.PAGESIZE))
        self._root = root
        with self._page.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._words = memoryview(self._map).cast("Q")

    def environment(
        self, *, log: Path | None = None, moves_clock: bool = False, fallocate_error: int | None = None
    ) -> dict[str, str]:
        """What the process has to have in its environment.

        Args:
            log: Where every change is written down (`tests.faults.change_log`).
            moves_clock: Whether `clock_nanos` has an effect.
            fallocate_error: What each `fallocate` fails with, on whatever file.
        """
        environment = {
            "LD_PRELOAD": str(library()),
            "HOLTER_SHIM_CONTROL": str(self._page.resolve()),
            "HOLTER_SHIM_ROOT": str(self._root.resolve()),
        }
        if log is not None:
            environment["HOLTER_SHIM_LOG"] = str(log)
        if moves_clock:
            environment["HOLTER_SHIM_CLOCK"] = "1"
        if fallocate_error is not None:
            environment["HOLTER_SHIM_FALLOCATE"] = str(fallocate_error)
        return environment

    def meddle(
        self,
        kinds: Kind,
        action: Action,
        *,
        first: int = 1,
        last: int = FOR_EVER,
        error: int = 0,
        delay_secs: float = 0.0,
    ) -> None:
        """From now on do `action` to the calls with these numbers, counted from the next one as 1."""
        words = self._words
        words[_Word.KINDS] = 0
        words[_Word.CALLS] = 0
        words[_Word.MEDDLED] = 0
        words[_Word.FIRST] = first
        words[_Word.LAST] = last
        words[_Word.ACTION] = action
        words[_Word.ERROR] = error
        words[_Word.DELAY_MICROS] = int(delay_secs * 1e6)
        words[_Word.KINDS] = kinds

    def count(self, kinds: Kind) -> None:
        """From now on only count."""
        self.meddle(kinds, Action.NOTHING, first=FOR_EVER)

    def leave_alone(self) -> None:
        """Do nothing any more; what is being delayed goes on."""
        self._words[_Word.KINDS] = 0

    def move_clock(self, secs: float) -> None:
        """Have the clock of the process tell this much more than is so."""
        self._words[_Word.CLOCK_NANOS] = int(secs * 1e9) % (1 << 64)

    @property
    def calls(self) -> int:
        """How many calls have been counted."""
        return self._words[_Word.CALLS]

    @property
    def meddled(self) -> int:
        """To how many of them something was done."""
        return self._words[_Word.MEDDLED]

    @property
    def delayed(self) -> int:
        """How many are being delayed at the moment."""
        return self._words[_Word.DELAYED]

    def close(self) -> None:
        """Let go of the shared page."""
        self._words.release()
        self._map.close()


@contextlib.contextmanager
def shimmed(folder: Path, root: Path) -> Iterator[Shim]:
    """A `Shim` that lets go of its page in the end."""
    shim = Shim(folder, root)
    try:
        yield shim
    finally:
        shim.close()


def can_be_made() -> None:
    """Raise `Unavailable` where there is no shim."""
    library()


def clock_can_be_moved() -> None:
    """Raise `Unavailable` where the clock cannot be moved."""
    _can_run("HOLTER_SHIM_CLOCK", "1")


def fallocate_can_be_refused() -> None:
    """Raise `Unavailable` where no fallocate can be made to fail."""
    _can_run("HOLTER_SHIM_FALLOCATE", "5")


@functools.cache
def library() -> Path:
    """The compiled shim, made once by each process that asks, and gone with it.

    Raises:
        Unavailable: If there is no compiler, or it does not succeed.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("there is no C compiler `cc`")
    if not sys.platform.startswith("linux"):
        raise Unavailable("LD_PRELOAD is Linux's")
    folder = tempfile.mkdtemp(prefix="holter-shim-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "shim.so"
    flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra"]
    done = subprocess.run([compiler, *flags, "-o", str(path), str(SOURCE)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"the shim cannot be compiled: {done.stderr.strip()}")
    return path


def _can_run(variable: str, value: str) -> None:
    done = subprocess.run(["true"], env={**os.environ, "LD_PRELOAD": str(library()), variable: value}, check=False)
    if done.returncode:
        raise Unavailable(f"the shim cannot do what {variable} asks for on this machine")
