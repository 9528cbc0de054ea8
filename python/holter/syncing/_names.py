"""The file names in a copy. Files with other names are never copied, read back or removed.

Names come from untrusted folders and manifests, on both sides, so each is validated here before it becomes part of a
path.
"""

from __future__ import annotations

import re

__all__ = ["LINES", "MANIFEST", "PARTS", "RUN_FILE", "checked_folder", "is_copied", "part_number", "rank_folder"]

RUN_FILE = "run.json"
PARTS = "parquet"
LINES = ("summary.jsonl", "events.jsonl")
"""JSON Lines files, to which the writer appends."""
MANIFEST = "holter-sync.json"
"""Describes the copy; not a file of the run."""

_PART = re.compile(r"part-([0-9]{6,18})\.parquet", re.ASCII)


def part_number(name: str) -> int | None:
    """Return the number of a part; None for any other name, such as `part-7.parquet`, which no writer creates."""
    found = _PART.fullmatch(name)
    if found is None or f"{int(found[1]):06}" != found[1]:
        return None
    return int(found[1])


def is_copied(name: str) -> bool:
    """Whether this is the name of a file in a copy, relative to its rank's directory."""
    folder, _, base = name.rpartition("/")
    return (folder == PARTS and part_number(base) is not None) or name == RUN_FILE or name in LINES


def rank_folder(rank: int) -> str:
    """Return the directory of a rank below its run; empty for rank 0."""
    return f"rank-{rank:05}" if rank else ""


def checked_folder(name: str) -> str:
    """Return the name if it is a safe relative path at every kind of remote.

    Args:
        name: Folder names separated by `/`.

    Raises:
        ValueError: If a folder name is empty, `.` or `..`, or contains a character that a remote may interpret: a
            backslash, `?`, or an unprintable character.
    """
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise ValueError(f"{name!r} is not a valid destination: {part!r} is not a folder name")
        invalid = next((c for c in part if c in "\\?" or not c.isprintable()), None)
        if invalid is not None:
            raise ValueError(f"{name!r} is not a valid destination: it contains {invalid!r}; choose another name")
    return name
