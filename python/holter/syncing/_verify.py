"""Reads a copy back, and compares every byte by its SHA-256 with what was copied."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import holter
from holter.syncing._manifest import Manifest
from holter.syncing._names import MANIFEST, PARTS, rank_folder
from holter.syncing._rank import sha256_of
from holter.syncing._report import Damage
from holter.syncing._run import folder_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from holter.syncing._destination import Destination
    from holter.syncing._manifest import CopiedFile

__all__ = ["verify_run"]


def verify_run(
    path: str | os.PathLike[str],
    destination: Destination,
    *,
    name: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[int, list[Damage]]:
    """Read the copy of a run back: what its manifests list has to be there, byte by byte as it was copied.

    Each file is brought here and forgotten again; so much free space in the temporary folder as the largest one has is
    enough. To mend the copy give the names of what is damaged to `sync_run` as `again`.

    Args:
        path: The run's directory.
        destination: The folder that holds the copy.
        name: Where it lies there, as for `sync_run`.
        progress: Is told how many bytes have been read, of how many.

    Returns:
        How many files were looked at, and those that are not as they were copied.

    Raises:
        FileNotFoundError: There is no run.
        OSError: The destination cannot be read.
        ValueError: The name is none for a copy.
    """
    run = holter.open_run(path)
    folder = folder_of(run, name)
    expected: dict[str, CopiedFile] = {}
    sizes: dict[str, int] = {}
    damage: list[Damage] = []
    for rank in run.ranks:
        prefix = f"{rank_folder(rank)}/" if rank else ""
        where = f"{folder}/{prefix}".rstrip("/")
        there = destination.list(where)
        there |= {f"{PARTS}/{file}": size for file, size in destination.list(f"{where}/{PARTS}").items()}
        sizes |= {f"{prefix}{file}": size for file, size in there.items()}
        try:
            manifest = _manifest(destination, f"{where}/{MANIFEST}", there)
        except ValueError as error:
            damage.append(Damage(f"{prefix}{MANIFEST}", str(error)))
        else:
            expected |= {f"{prefix}{file}": entry for file, entry in manifest.files.items()}
    total, done = sum(entry.size for entry in expected.values()), 0
    for file, entry in expected.items():
        reason = _difference(destination, f"{folder}/{file}", entry, sizes.get(file))
        if reason:
            damage.append(Damage(file, reason))
        done += entry.size
        progress(done, total)
    return len(expected), damage


def _manifest(destination: Destination, path: str, there: dict[str, int]) -> Manifest:
    if MANIFEST not in there:
        raise ValueError("it is missing, so nothing is known of the copy")
    return Manifest.parse(destination.read(path))


def _difference(destination: Destination, path: str, entry: CopiedFile, size: int | None) -> str:
    """In what a file is not as it was copied; empty if in nothing."""
    if size is None:
        return "it is missing"
    if size != entry.size:
        return f"it has {size} bytes, and {entry.size} were copied"
    with tempfile.TemporaryDirectory(prefix="holter-sync-") as temporary:
        local = Path(temporary) / "file"
        destination.fetch(path, local)
        if sha256_of(str(local)) != entry.sha256:
            return "its content is not what was copied: the checksums differ"
    return ""
