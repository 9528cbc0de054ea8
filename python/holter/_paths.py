"""Paths that users pass in."""

import os
import pathlib
import re

__all__ = ["local_path"]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def local_path(path: str | os.PathLike[str]) -> pathlib.Path:
    """Return a path with `~` expanded.

    Raises:
        ValueError: If it is a URL.
    """
    if isinstance(path, str) and _URL.match(path):
        message = (
            f"runs are recorded and read in local directories, got {path!r}; to copy runs to a URL, use `holter sync`"
        )
        raise ValueError(message)
    return pathlib.Path(os.path.expanduser(path))  # noqa: PTH111  Path.expanduser raises where there is no home
