"""Compiles shim.c and controls which calls of a process that loads it fail, and how.

A call is counted if it is of a chosen kind and on a file of the run. The `Shim` can change the action and read the
counts while the process runs.
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
UNLIMITED = (1 << 64) - 1
UNAVAILABLE_CODE = 77
"""The exit code of a process in which the shim could not be set up."""


class Kind(IntFlag):
    """Kinds of calls, as in shim.c."""

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
    """All calls that change files or names."""


class Action(IntEnum):
    """What happens to a call, as in shim.c."""

    NOTHING = 0
    FAIL = 1
    """It has no effect and returns the error."""
    SHORTEN = 2
    """The first call transfers half of its bytes and returns that count; later calls fail."""
    DELAY = 3
    """It takes the given time, or until its kind is no longer chosen."""
    DIE_BEFORE = 4
    DIE_HALFWAY = 5
    """The process is killed after half of a write, or after any other call."""
    DIE_AFTER = 6


class _Word(IntEnum):
    CALLS = 0
    INJECTED = 1
    KINDS = 2
    FIRST = 3
    LAST = 4
    ACTION = 5
    ERROR = 6
    DELAY_MICROS = 7
    DELAYED = 8
    CLOCK_NANOS = 9


class Shim:
    """Controls the calls of one process.

    Args:
        folder: The folder of the shared page; must not be below `root`.
        root: Only calls on files below it are intercepted.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._page = folder / "shim"
        self._page.write_bytes(bytes(mmap.PAGESIZE))
        self._root = root
        with self._page.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self._words = memoryview(self._map).cast("Q")

    def environment(
        self, *, log: Path | None = None, moves_clock: bool = False, fallocate_error: int | None = None
    ) -> dict[str, str]:
        """Return the environment variables for the process.

        Args:
            log: A file to which every change is logged (see `tests.faults.disk_model.read_log`).
            moves_clock: Whether `move_clock` has an effect.
            fallocate_error: The error with which every `fallocate` fails, on any file.
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

    def inject(
        self,
        kinds: Kind,
        action: Action,
        *,
        first: int = 1,
        last: int = UNLIMITED,
        error: int = 0,
        delay_secs: float = 0.0,
    ) -> None:
        """Apply `action` to the calls numbered `first` to `last`, where the next call is number 1."""
        words = self._words
        words[_Word.KINDS] = 0
        words[_Word.CALLS] = 0
        words[_Word.INJECTED] = 0
        words[_Word.FIRST] = first
        words[_Word.LAST] = last
        words[_Word.ACTION] = action
        words[_Word.ERROR] = error
        words[_Word.DELAY_MICROS] = int(delay_secs * 1e6)
        words[_Word.KINDS] = kinds

    def count(self, kinds: Kind) -> None:
        """Count calls from now on, without any action."""
        self.inject(kinds, Action.NOTHING, first=UNLIMITED)

    def clear(self) -> None:
        """Stop counting and acting; delayed calls continue."""
        self._words[_Word.KINDS] = 0

    def move_clock(self, secs: float) -> None:
        """Set the offset of the process's clock."""
        self._words[_Word.CLOCK_NANOS] = int(secs * 1e9) % (1 << 64)

    @property
    def calls(self) -> int:
        """The number of calls counted."""
        return self._words[_Word.CALLS]

    @property
    def injected(self) -> int:
        """The number of calls that an action was applied to."""
        return self._words[_Word.INJECTED]

    @property
    def delayed(self) -> int:
        """The number of calls that are currently delayed."""
        return self._words[_Word.DELAYED]

    def close(self) -> None:
        """Unmap the shared page."""
        self._words.release()
        self._map.close()


@contextlib.contextmanager
def shimmed(folder: Path, root: Path) -> Iterator[Shim]:
    """Yield a `Shim` and close it."""
    shim = Shim(folder, root)
    try:
        yield shim
    finally:
        shim.close()


def check_available() -> None:
    """Raise `Unavailable` if the shim cannot be compiled."""
    library()


def check_clock_available() -> None:
    """Raise `Unavailable` if the clock cannot be moved."""
    _can_run("HOLTER_SHIM_CLOCK", "1")


def check_fallocate_available() -> None:
    """Raise `Unavailable` if fallocate cannot be made to fail."""
    _can_run("HOLTER_SHIM_FALLOCATE", "5")


@functools.cache
def library() -> Path:
    """Compile the shim, once per process; it is deleted when the process exits.

    Raises:
        Unavailable: If there is no compiler or it fails.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("there is no C compiler `cc`")
    if not sys.platform.startswith("linux"):
        raise Unavailable("LD_PRELOAD needs Linux")
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
        raise Unavailable(f"the shim does not support {variable} on this machine")
