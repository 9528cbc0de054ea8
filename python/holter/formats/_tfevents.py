"""Adapts `holter.formats.tfevents` to an import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holter.formats import tfevents
from holter.formats._source import Batch, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["read_tfevents"]


def read_tfevents(paths: Sequence[Path]) -> Iterator[Batch]:
    """Read the points of the event files of one run, in their order.

    Raises:
        OSError: A file cannot be read.
        ValueError: A path is not a regular file.
    """
    bytes_before = 0
    for path in paths:
        batch = None
        for batch in tfevents.read(path):
            faults = [Fault(damage.path, f"byte {damage.offset}", damage.reason) for damage in batch.damage]
            yield Batch(_points(batch), faults, batch.skipped, bytes_before + batch.bytes_read)
        bytes_before += 0 if batch is None else batch.bytes_read


def _points(batch: tfevents.Batch) -> Iterator[tuple[str, int, float]]:
    names = [batch.names[code] for code in batch.codes.tolist()]
    return zip(names, batch.steps.tolist(), batch.values.tolist(), strict=True)
