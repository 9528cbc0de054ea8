"""Output directories, for event files: never replaced, and created under their name once complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from holter.cli.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["atomic_directory", "check_directory"]


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
