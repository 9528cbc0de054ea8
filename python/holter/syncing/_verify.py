"""Reads a copy back and compares the SHA-256 of every file with its manifest."""

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
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[int, list[Damage]]:
    """Read a run's copy back, and compare every file with the copy's manifests.

    Each file is downloaded to the temporary folder and deleted, so the folder needs as much space as the largest file.
    To repair the copy, pass the names of the damaged files to `sync_run` as `recopy`.

    Args:
        path: The run's directory.
        destination: The folder of copies.
        name: The path of the copy in it, as for `sync_run`.
        on_progress: Called with the number of bytes read so far, and the total.

    Returns:
        The number of files checked, and the damaged ones.

    Raises:
        FileNotFoundError: If there is no run.
        OSError: If the destination cannot be read.
        ValueError: If the name is invalid.
    """
    run = holter.open_run(path)
    folder = folder_of(run, name)
    expected: dict[str, CopiedFile] = {}
    sizes: dict[str, int] = {}
    damage: list[Damage] = []
    for rank in run.ranks:
        prefix = f"{rank_folder(rank)}/" if rank else ""
        rank_path = f"{folder}/{prefix}".rstrip("/")
        found = destination.list(rank_path)
        found |= {f"{PARTS}/{file}": size for file, size in destination.list(f"{rank_path}/{PARTS}").items()}
        sizes |= {f"{prefix}{file}": size for file, size in found.items()}
        try:
            manifest = _manifest(destination, f"{rank_path}/{MANIFEST}", found)
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
        on_progress(done, total)
    return len(expected), damage


def _manifest(destination: Destination, path: str, found: dict[str, int]) -> Manifest:
    if MANIFEST not in found:
        raise ValueError("it is missing, so the copy cannot be verified")
    return Manifest.parse(destination.read(path))


def _difference(destination: Destination, path: str, entry: CopiedFile, size: int | None) -> str:
    """Describe how a file differs from its manifest entry; empty if it does not."""
    if size is None:
        return "it is missing"
    if size != entry.size:
        return f"it has {size} bytes instead of {entry.size}"
    with tempfile.TemporaryDirectory(prefix="holter-sync-") as temporary:
        local = Path(temporary) / "file"
        destination.fetch(path, local)
        if sha256_of(str(local)) != entry.sha256:
            return "its checksum differs from the manifest"
    return ""
