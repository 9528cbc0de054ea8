"""Output files: existing files are replaced only with `--force`, and a file appears under its name once complete."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from holter.cli.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["atomic_file", "check_target"]


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
