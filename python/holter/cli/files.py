"""Output files: existing files are replaced only with `--force`, and a file appears under its name once complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from holter.cli.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["atomic_directory", "atomic_file", "check_directory", "check_target"]


def check_target(path: Path, *, force: bool) -> None:
    """Reject a file that cannot be written, before the work starts.

    Raises:
        Problem: If it exists and `force` is not given, is a directory, or its directory does not exist.
    """
    if path.is_dir():
        raise Problem(f"{path} is a directory; expected a file", "add a file name to the path")
    if path.exists() and not force:
        raise Problem(f"{path} already exists", "choose another name, or pass --force to replace it")
    if not path.parent.is_dir():
        raise Problem(f"directory {path.parent} does not exist", f"create it: mkdir -p {path.parent}")


def check_directory(path: Path) -> None:
    """Reject a directory that cannot be created, before the work starts.

    Raises:
        Problem: If the path exists and is not an empty directory, or does not end in a name.
    """
    if path.name in ("", ".."):
        raise Problem(f"{path} is not a valid name for a new directory", "choose a name that does not exist yet")
    if path.is_dir() and any(path.iterdir()):
        raise Problem(f"{path} already exists and is not empty", "choose another name for the directory")
    if not path.is_dir() and (path.exists() or path.is_symlink()):
        raise Problem(f"{path} is a file; expected a directory", "choose another name for the directory")


@contextlib.contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a directory to write into; rename it to `path` on success, remove it on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.mkdir()
        yield unfinished
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; rename it to `path` on success, remove it on failure."""
    # In the same directory, so that renaming moves no data. The process id separates two commands, and the suffix
    # stays because some libraries derive the format from it.
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
