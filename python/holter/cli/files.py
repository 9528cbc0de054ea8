"""Files that a command writes: nothing is replaced unasked, and what has its name is complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from holter.cli.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["check_directory", "check_target", "whole_directory", "whole_file"]


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a file that cannot be written, before the work is done.

    Raises:
        Problem: If it is there already and `force` is not given, is a directory, or has no directory to be in.
    """
    if path.is_dir():
        raise Problem(f"{path} is a directory", "name a file in it")
    if path.exists() and not force:
        raise Problem(f"{path} is there already", "choose another name, or --force to replace it")
    if not path.parent.is_dir():
        raise Problem(f"there is no directory {path.parent}", f"make it first: mkdir -p {path.parent}")


def check_directory(path: Path) -> None:
    """Refuse a directory that cannot be made, before the work is done.

    Raises:
        Problem: If there is something of the name already, but for an empty directory, or the path has no name.
    """
    if path.name in ("", ".."):
        raise Problem(f"{path} is no name for a new directory", "name one that is not there yet")
    if path.is_dir() and any(path.iterdir()):
        raise Problem(f"{path} is there already, and is not empty", "choose another name for the directory")
    if not path.is_dir() and (path.exists() or path.is_symlink()):
        raise Problem(f"{path} is a file", "event files go into a directory: choose another name for it")


@contextlib.contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Give a directory to write into, which becomes `path` when all went well and is removed when not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.mkdir()
        yield unfinished
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when all went well and is removed when not."""
    # Beside it, so that renaming moves no data; the process id keeps two commands apart; the suffix stays, as it says
    # to some libraries what to write.
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()
