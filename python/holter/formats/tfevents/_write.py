"""Writes a run as TensorBoard's event files, from which `tfevents.read` returns every point exactly.

The core encodes the records (rust/holter/src/event_files).
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from holter import _core
from holter.formats.tfevents._read import event_files

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from holter import Run

__all__ = ["write"]

_CHUNK_POINTS = 1 << 13  # the encoded chunk fits in the processor's cache


def write(
    run: Run,
    directory: str | os.PathLike[str],
    *,
    pattern: str | Sequence[str] = "*",
    on_progress: Callable[[int], object] | None = None,
) -> list[Path]:
    """Write a run's points as event files, one for each rank. Ranks above 0 get subdirectories.

    Args:
        run: The run.
        directory: TensorBoard's directory for the run; created if it is missing.
        pattern: Which series, as in `Run.names`; with several patterns, those that any of them matches.
        on_progress: Called with the number of points written since the last call.

    Returns:
        The files of the ranks that have points.

    Raises:
        FileExistsError: The directory already contains event files, which TensorBoard would mix with the new ones.
        OSError: A file cannot be written.
        StoreError: The run cannot be read.
    """
    targets = {rank: Path(directory, f"rank-{rank:05}") if rank else Path(directory) for rank in run.ranks}
    for target in targets.values():
        if target.is_dir() and event_files(target):
            raise FileExistsError(f"{target} already contains event files; choose another directory")
    patterns = [pattern] if isinstance(pattern, str) else pattern
    paths = []
    for rank, target in targets.items():
        part = run.open_rank(rank)
        names = sorted({name for one in patterns for name in part.names(one)})
        if names:
            paths.append(_write_rank(part, target, names, on_progress))
    return paths


def _write_rank(run: Run, directory: Path, names: Sequence[str], on_progress: Callable[[int], object] | None) -> Path:
    """Write the file of one rank; it gets its name when it is complete."""
    directory.mkdir(parents=True, exist_ok=True)
    seconds = int(run.created.timestamp())
    path = directory / f"events.out.tfevents.{seconds:010}.holter"
    unfinished = directory / f".holter-export-{secrets.token_hex(8)}"  # TensorBoard ignores this name
    try:
        with unfinished.open("xb") as file:
            file.write(_core.event_file_header(seconds))
            for name in names:
                series = run.series(name)
                times = series.timestamps.astype("<M8[us]").astype("<i8") / 1e6
                for first in range(0, len(series), _CHUNK_POINTS):
                    chunk = slice(first, first + _CHUNK_POINTS)
                    columns = (column[chunk].tobytes() for column in (series.steps, series.values, times))
                    file.write(_core.encode_events(name, *columns))
                    if on_progress is not None:
                        on_progress(len(series.steps[chunk]))
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
