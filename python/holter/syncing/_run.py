"""Brings the copy of a run up to date: each rank by itself, so that ranks of other machines may be copied by those."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import holter
from holter.syncing._names import RUN_FILE, checked_folder, rank_folder
from holter.syncing._rank import RankSync
from holter.syncing._report import LeftOut, Synced
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
    again: Collection[str] = (),
    is_dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Synced:
    """Copy what is new or changed of a run: its manifest, its closed Parquet parts and its whole JSON lines.

    The database and the journal are not copied. Nothing is locked: of a run that is being recorded the copy has what is
    complete, and the next call brings the rest. A call that is interrupted is gone on with by the next one.

    Args:
        path: The run's directory.
        destination: The folder that the copy goes into.
        name: Where it goes there, with `/` for folders in folders; what the run's directory is called if None.
        again: Files to be copied whatever is known of them, by their names below the run's directory: see `verify_run`.
        is_dry_run: Whether only to say what would be done.
        progress: Is told how many bytes have been copied, of how many.

    Returns:
        What was copied and removed, and what is left out.

    Raises:
        FileExistsError: Another run, or a whole one, is where the copy would go.
        FileNotFoundError: There is no run.
        FormatVersionError: A newer Holter wrote the run, or made the copy.
        OSError: A file cannot be read, or the destination cannot be written to. What was copied is there all the same.
        StoreError: The run cannot be read.
        ValueError: The name is none for a copy, or the run's manifest is damaged.
    """
    run = holter.open_run(path)
    folder = folder_of(run, name)
    _check_place(run.path, destination, folder)
    is_live, status = run.is_live, run.status
    left_out = _not_in_parts(run)
    with contextlib.ExitStack() as stack:
        ranks = _opened(run, stack, left_out)
        work: dict[str, RankSync] = {}
        for prefix, source in ranks.items():
            wanted = {file.removeprefix(prefix) for file in again if file.startswith(prefix)}
            where = f"{folder}/{prefix}".rstrip("/")
            work[prefix] = RankSync(source, destination, where, wanted, is_live=is_live)
            work[prefix].plan()
        num_unchanged = sum(one.num_unchanged for one in work.values())
        if is_dry_run:
            for one in work.values():
                one.pretend()
        else:
            _execute(work, progress)
    copied = {prefix + file: size for prefix, one in work.items() for file, size in one.copied.items()}
    removed = [prefix + file for prefix, one in work.items() for file in one.removed]
    left_out += [LeftOut(prefix + it.name, it.reason) for prefix, one in work.items() for it in one.left_out]
    return Synced(folder, status, is_live, copied, num_unchanged, tuple(removed), tuple(left_out))


def folder_of(run: holter.Run, name: str | None) -> str:
    """Return where the copy of a run goes below the destination.

    Raises:
        ValueError: There is no place for it.
    """
    if run.rank > 0 and run.path.name == rank_folder(run.rank):
        raise ValueError(f"{run.path} is one rank of a run: name the run's directory, {run.path.parent}")
    # pathlib would keep a `..`, or follow links.
    own = os.path.basename(os.path.abspath(run.path))  # noqa: PTH100, PTH119
    return checked_folder(own if name is None else name)


def _opened(run: holter.Run, stack: contextlib.ExitStack, left_out: list[LeftOut]) -> dict[str, Source]:
    """The directories of the ranks, by what stands before the names of their files."""
    opened: dict[str, Source] = {}
    for rank in run.ranks:
        below = rank_folder(rank)
        try:
            opened[f"{below}/" if below else ""] = stack.enter_context(Source(run.path, below))
        except OSError as error:
            left_out.append(
                LeftOut(below or RUN_FILE, f"it cannot be opened, and no link is followed: {error.strerror}")
            )
    return opened


def _execute(work: dict[str, RankSync], progress: Callable[[int, int], None]) -> None:
    total, done = sum(sum(one.todo.values()) for one in work.values()), 0
    for one in work.values():

        def told(size: int, before: int = done) -> None:
            # A run that goes on while it is copied has more to copy in the end than it had.
            progress(before + size, max(total, before + size))

        one.execute(told)
        done += sum(one.copied.values())


def _check_place(path: Path, destination: Destination, folder: str) -> None:
    """Refuse to copy a run onto itself or into itself.

    Raises:
        FileExistsError: The copy would be there.
    """
    there = destination.local_path(folder)
    if there is not None and path.resolve() in (there.resolve(), *there.resolve().parents):
        raise FileExistsError(
            f"the copy of {path} would be {there}, in the run itself: choose another place for copies"
        )


def _not_in_parts(run: holter.Run) -> list[LeftOut]:
    """Points that no sync can copy, because they are in no part and will be in none."""
    if "parquet" in run.manifest.get("sinks", ()):
        return []
    reason = "the run has no Parquet, so its points are not copied: `holter export` writes them into a file"
    return [LeftOut("metrics.sqlite", reason)]
