"""TensorBoard's event files, by `holter.formats.tfevents`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holter.formats import tfevents
from holter.formats._model import Batch, Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["read_events"]


def read_events(paths: Sequence[Path]) -> Iterator[Batch]:
    """Read the points of event files that belong to one run, in their order.

    Raises:
        OSError: One of them cannot be read.
        ValueError: One of them is no file.
    """
    bytes_before = 0
    for path in paths:
        batch = None
        for batch in tfevents.read(path):
            faults = [Fault(fault.path, f"byte {fault.offset}", fault.reason) for fault in batch.damage]
            yield Batch(_points(batch), faults, batch.left_out, bytes_before + batch.bytes_read)
        bytes_before += 0 if batch is None else batch.bytes_read


def _points(batch: tfevents.Batch) -> Iterator[tuple[str, int, float]]:
    names = [batch.names[code] for code in batch.codes.tolist()]
    return zip(names, batch.steps.tolist(), batch.values.tolist(), strict=True)
