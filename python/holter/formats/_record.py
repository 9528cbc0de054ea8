"""Records a source as a run, through the public logger. The run has its name only when it is complete."""

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

    from holter.formats._model import Fault, Source

__all__ = ["Imported", "directory_name", "import_source"]

_MAX_DIRECTORY_NAME: Final = 120
_UNSUITABLE: Final = re.compile(r"[^\w.+=@-]+")


@dataclass(frozen=True)
class Imported:
    """What became of a source.

    Attributes:
        path: The run's directory; None if there was no point, and so no run was made.
        num_points: How many points the run has.
        num_series: How many series it has.
        num_replaced: How many points were replaced by a later one of the same series and step.
        num_faults: How much could not be read.
        left_out: How much there was of what is no number, by kind.
    """

    path: Path | None
    num_points: int
    num_series: int
    num_replaced: int
    num_faults: int
    left_out: Mapping[str, int]


def directory_name(name: str) -> str:
    """Return a run's name as that of one directory: without separators, blanks, and a dot in front."""
    return _UNSUITABLE.sub("-", name).lstrip(".-")[:_MAX_DIRECTORY_NAME].rstrip("-") or "run"


def import_source(
    source: Source,
    directory: str | os.PathLike[str],
    *,
    name: str | None = None,
    on_fault: Callable[[Fault], object] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Imported:
    """Record a source as a run.

    The run keeps where it came from in its configuration, under `imported`, and has the tag `imported`. It has no
    summary file, which is of use while a training goes on.

    Args:
        source: From `find_sources`.
        directory: The run's directory, which must not be there; what it is in is made if it is missing.
        name: The run's name; the source's if None.
        on_fault: Called with each thing that could not be read.
        progress: Called with the number of bytes that have been read so far.

    Raises:
        FileExistsError: There is something at `directory` already.
        OSError: Something cannot be read or written. Nothing is left of the run then.
        RuntimeError: `HOLTER_MODE` forbids to record.
        StoreError: The run cannot be written.
        ValueError: A file is not what it has to be.
    """
    place = Path(directory)
    if place.exists() or place.is_symlink():
        raise FileExistsError(f"{place} is there already; an import makes a new run")
    place.parent.mkdir(parents=True, exist_ok=True)
    # Hidden, so that nobody lists it, and beside its place, so that renaming moves no data.
    unfinished = place.with_name(f".holter-import-{secrets.token_hex(8)}")
    try:
        imported = _recorded(source, unfinished, name or source.name, on_fault, progress)
        if not imported.num_points:
            return imported
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return replace(imported, path=place)


def _recorded(
    source: Source,
    directory: Path,
    name: str,
    on_fault: Callable[[Fault], object] | None,
    progress: Callable[[int], object] | None,
) -> Imported:
    origin = {"format": source.kind, "files": [str(path.absolute()) for path in source.paths[:100]]}
    config = {**source.config(), "imported": origin}
    left_out: Counter[str] = Counter()
    num_faults = 0
    with holter.Logger(
        directory, name=name, config=config, tags=["imported"], resume="never", sinks=("sqlite", "parquet"), rank=0
    ) as logger:
        if not directory.is_dir():
            raise RuntimeError("HOLTER_MODE is disabled, so that nothing is recorded")
        metrics: dict[str, holter.Metric] = {}
        for batch in source.read():
            for fault in batch.faults:
                num_faults += 1
                if on_fault is not None:
                    on_fault(fault)
            left_out.update(batch.left_out)
            for series, step, value in batch.points:
                metric = metrics.get(series)
                if metric is None:
                    metric = metrics[series] = logger.metric(series)
                metric.log(step, value)
            if progress is not None:
                progress(batch.bytes_read)
        logger.flush()
        health = logger.health
    if health.dropped:
        raise holter.StoreError(f"{health.dropped} points could not be written: {health.last_error}")
    facts = holter.open_run(directory).facts()
    num_points = sum(series.count for series in facts)
    return Imported(None, num_points, len(facts), health.accepted - num_points, num_faults, left_out)
