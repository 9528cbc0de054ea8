"""Records a source as a run through the public logger. The run appears under its name once it is complete."""

from __future__ import annotations

import re
import secrets
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import holter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from holter.formats._source import Fault, Source

__all__ = ["Imported", "directory_name", "import_source"]

_MAX_DIRECTORY_NAME: Final = 120
_INVALID_CHARACTERS: Final = re.compile(r"[^\w.+=@-]+")


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    Attributes:
        path: The run's directory; None if the source has no points, in which case no run is created.
        num_points: The number of points in the run.
        num_series: The number of series in the run.
        num_replaced: The number of points that a later one of the same series and step replaced.
        num_faults: The number of faults.
        skipped: The number of values that are not numbers, by kind.
    """

    path: Path | None
    num_points: int
    num_series: int
    num_replaced: int
    num_faults: int
    skipped: Mapping[str, int]


def directory_name(name: str) -> str:
    """Return a valid directory name for a run: without separators, spaces and leading dots."""
    return _INVALID_CHARACTERS.sub("-", name).lstrip(".-")[:_MAX_DIRECTORY_NAME].rstrip("-") or "run"


def import_source(
    source: Source,
    directory: str | os.PathLike[str],
    *,
    name: str | None = None,
    on_fault: Callable[[Fault], object] | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> Imported:
    """Record a source as a run.

    The run's configuration has the format and the files under `imported`, and its tags include `imported`. It has no
    summary file.

    Args:
        source: A result of `find_sources`.
        directory: The run's directory, which must not exist; missing parents are created.
        name: The run's name; the source's if None.
        on_fault: Called with each fault.
        on_progress: Called with the number of bytes read so far.

    Raises:
        FileExistsError: The directory already exists.
        OSError: A file cannot be read or written. No partial run remains.
        RuntimeError: Recording is disabled by `HOLTER_MODE`.
        StoreError: The run cannot be written.
        ValueError: A file is invalid.
    """
    target = Path(directory)
    if target.exists() or target.is_symlink():
        raise FileExistsError(f"{target} already exists; choose a new directory")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that it is not listed as a run; in the same directory, so that renaming moves no data.
    unfinished = target.with_name(f".holter-import-{secrets.token_hex(8)}")
    try:
        imported = _record(source, unfinished, name or source.name, on_fault, on_progress)
        if not imported.num_points:
            return imported
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return replace(imported, path=target)


def _record(
    source: Source,
    directory: Path,
    name: str,
    on_fault: Callable[[Fault], object] | None,
    on_progress: Callable[[int], object] | None,
) -> Imported:
    origin = {"format": source.kind, "files": [str(path.absolute()) for path in source.paths[:100]]}
    config = {**source.config(), "imported": origin}
    skipped: Counter[str] = Counter()
    num_faults = 0
    with holter.Logger(
        directory, name=name, config=config, tags=["imported"], resume="never", sinks=("sqlite", "parquet"), rank=0
    ) as logger:
        if not directory.is_dir():
            raise RuntimeError("recording is disabled by HOLTER_MODE")
        metrics: dict[str, holter.Metric] = {}
        for batch in source.read():
            for fault in batch.faults:
                num_faults += 1
                if on_fault is not None:
                    on_fault(fault)
            skipped.update(batch.skipped)
            for series, step, value in batch.points:
                metric = metrics.get(series)
                if metric is None:
                    metric = metrics[series] = logger.metric(series)
                metric.log(step, value)
            if on_progress is not None:
                on_progress(batch.bytes_read)
        logger.flush()
        health = logger.health
    if health.dropped:
        raise holter.StoreError(f"{health.dropped} points could not be written: {health.last_error}")
    facts = holter.open_run(directory).facts()
    num_points = sum(series.count for series in facts)
    return Imported(None, num_points, len(facts), health.accepted - num_points, num_faults, skipped)
