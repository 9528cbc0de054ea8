"""The names that a copy consists of. Whatever has another name is neither copied, read back nor removed.

Names come from folders and manifests that anybody may have written, here and at the destination: none becomes a part
of a path before it was checked here.
"""

from __future__ import annotations

import re

__all__ = ["LINES", "MANIFEST", "PARTS", "RUN_FILE", "checked_folder", "is_copied", "part_number", "rank_folder"]

RUN_FILE = "run.json"
PARTS = "parquet"
LINES = ("summary.jsonl", "events.jsonl")
"""Files that grow by whole lines."""
MANIFEST = "holter-sync.json"
"""What a copy says of itself; not a file of the run."""

_PART = re.compile(r"part-([0-9]{6,18})\.parquet", re.ASCII)


def part_number(name: str) -> int | None:
    """Return the number of a part; None for any other file, `part-7.parquet` among them, which no writer makes."""
    found = _PART.fullmatch(name)
    if found is None or f"{int(found[1]):06}" != found[1]:
        return None
    return int(found[1])


def is_copied(name: str) -> bool:
    """Whether this is what a file of a copy is called, below the directory of its rank."""
    folder, _, base = name.rpartition("/")
    return (folder == PARTS and part_number(base) is not None) or name == RUN_FILE or name in LINES


def rank_folder(rank: int) -> str:
    """Return where a rank lies below its run: nothing for rank 0."""
    return f"rank-{rank:05}" if rank else ""


def checked_folder(name: str) -> str:
    """Return where a run goes below the destination, if that is below it for every kind of remote.

    Args:
        name: Names of folders with `/` between them.

    Raises:
        ValueError: One of them is empty, `.` or `..`, or has a character that a remote may take for something else: a
            backslash, `?`, or one that cannot be seen.
    """
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise ValueError(f"{name!r} is no place for a copy: {part!r} is not the name of a folder")
        wrong = next((c for c in part if c in "\\?" or not c.isprintable()), None)
        if wrong is not None:
            raise ValueError(
                f"{name!r} is no place for a copy: rename what has {wrong!r} in its name, or copy it as another"
            )
    return name
