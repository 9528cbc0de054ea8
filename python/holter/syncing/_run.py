"""Updates the copy of a run, each rank separately, so that each machine can copy its own ranks."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import holter
from holter.syncing._names import RUN_FILE, checked_folder, rank_folder
from holter.syncing._rank import RankSync
from holter.syncing._report import LeftOut, SyncResult
from holter.syncing._source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from holter.syncing._destination import Destination

__all__ = ["folder_of", "sync_run"]


def sync_run(
    path: str | os.PathLike[str],
    destination: Destination,
    *,
    name: str | None = None,
    recopy: Collection[str] = (),
    is_dry_run: bool = False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> SyncResult:
    """Copy the new and changed files of a run: its manifest, closed Parquet parts and complete JSON lines.

    The database and the journal are not copied. Nothing is locked: of a live run the complete files are copied, and a
    later call copies the rest. After an interruption, the next call continues.

    Args:
        path: The run's directory.
        destination: The folder of copies.
        name: The path of the copy in it, with `/` between nested folders; by default the name of the run's directory.
        recopy: Files to copy even if they are unchanged, by path relative to the run's directory; see `verify_run`.
        is_dry_run: Whether to only report the changes.
        on_progress: Called with the number of bytes copied so far, and the total.

    Returns:
        The files copied, removed and left out.

    Raises:
        FileExistsError: If the destination holds another run, or a complete run instead of a copy.
        FileNotFoundError: If there is no run.
        FormatVersionError: If a newer Holter wrote the run or made the copy.
        OSError: If a file cannot be read or the destination cannot be written. Files copied so far stay.
        StoreError: If the run cannot be read.
        ValueError: If the name is invalid, or the run's manifest is damaged.
    """
    run = holter.open_run(path)
    folder = folder_of(run, name)
    _check_destination(run.path, destination, folder)
    is_live, status = run.is_live, run.status
    left_out = _points_outside_parts(run)
    with contextlib.ExitStack() as stack:
        ranks: dict[str, RankSync] = {}
        for prefix, source in _open_ranks(run, stack, left_out).items():
            files = {file.removeprefix(prefix) for file in recopy if file.startswith(prefix)}
            rank_path = f"{folder}/{prefix}".rstrip("/")
            ranks[prefix] = RankSync(source, destination, rank_path, files, is_live=is_live)
            ranks[prefix].plan()
        num_unchanged = sum(rank.num_unchanged for rank in ranks.values())
        if is_dry_run:
            for rank in ranks.values():
                rank.simulate()
        else:
            _execute(ranks, on_progress)
    copied = {prefix + file: size for prefix, rank in ranks.items() for file, size in rank.copied.items()}
    removed = [prefix + file for prefix, rank in ranks.items() for file in rank.removed]
    left_out += [LeftOut(prefix + file.name, file.reason) for prefix, rank in ranks.items() for file in rank.left_out]
    return SyncResult(folder, status, is_live, copied, num_unchanged, tuple(removed), tuple(left_out))


def folder_of(run: holter.Run, name: str | None) -> str:
    """Return the path of a run's copy, relative to the destination.

    Raises:
        ValueError: If the run is only one rank, or the name is not a valid path.
    """
    if run.rank > 0 and run.path.name == rank_folder(run.rank):
        raise ValueError(f"{run.path} is one rank of a run: pass the run's directory, {run.path.parent}")
    # pathlib would keep a `..`, or follow symlinks.
    own = os.path.basename(os.path.abspath(run.path))  # noqa: PTH100, PTH119
    return checked_folder(own if name is None else name)


def _open_ranks(run: holter.Run, stack: contextlib.ExitStack, left_out: list[LeftOut]) -> dict[str, Source]:
    """Open the directories of the ranks, by the path prefix of their files."""
    opened: dict[str, Source] = {}
    for rank in run.ranks:
        below = rank_folder(rank)
        try:
            opened[f"{below}/" if below else ""] = stack.enter_context(Source(run.path, below))
        except OSError as error:
            reason = f"it cannot be opened (symlinks are not followed): {error.strerror}"
            left_out.append(LeftOut(below or RUN_FILE, reason))
    return opened


def _execute(ranks: dict[str, RankSync], on_progress: Callable[[int, int], None]) -> None:
    total, done = sum(sum(rank.todo.values()) for rank in ranks.values()), 0
    for rank in ranks.values():

        def report(size: int, before: int = done) -> None:
            # A live run can grow beyond the total that was planned.
            on_progress(before + size, max(total, before + size))

        rank.execute(report)
        done += sum(rank.copied.values())


def _check_destination(path: Path, destination: Destination, folder: str) -> None:
    """Check that a run is not copied onto or into itself.

    Raises:
        FileExistsError: If it would be.
    """
    local = destination.local_path(folder)
    if local is not None and path.resolve() in (local.resolve(), *local.resolve().parents):
        raise FileExistsError(
            f"the copy of {path} would be written into the run itself, at {local}: choose another destination"
        )


def _points_outside_parts(run: holter.Run) -> list[LeftOut]:
    """Report points that cannot be copied because the run has no Parquet sink."""
    if "parquet" in run.manifest.get("sinks", ()):
        return []
    reason = "the run has no Parquet sink, so its points are not copied; use `holter export` to write them to a file"
    return [LeftOut("metrics.sqlite", reason)]
