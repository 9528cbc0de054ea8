"""JSON Lines: an object in each line, flat (`{"step": 5, "loss": 0.1}`) or a point (`{"name", "step", "value"}`).

Each line can have either form; an export has the second. Non-finite numbers are accepted as `NaN`, `Infinity` and
`-Infinity`, which Python's `json` writes, and as strings, which strict JSON requires.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from holter._text import plain_json
from holter.formats._fields import STEP_KEYS, TIME_KEYS, NameErrors, kind_of, quoted, step_of, value_of
from holter.formats._points import COLUMNS, rows
from holter.formats._single_run import SingleRun
from holter.formats._source import BatchBuilder
from holter.formats._text_lines import TextLines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from holter.formats._points import SeriesChunk
    from holter.formats._source import Batch

__all__ = ["format_jsonl", "read_jsonl"]

_BATCH_POINTS: Final = 1 << 14


def format_jsonl(chunks: Iterable[SeriesChunk]) -> Iterator[str]:
    """Yield points as JSON Lines, one text for each chunk. Non-finite values are `"nan"`, `"inf"` and `"-inf"`."""
    for chunk in chunks:
        series = (chunk.run, chunk.rank, chunk.points.name)
        lines = (
            json.dumps(dict(zip(COLUMNS, (*series, step, plain_json(value), time), strict=True)), allow_nan=False)
            for step, value, time in rows(chunk.points)
        )
        yield "".join(f"{line}\n" for line in lines)


def read_jsonl(path: Path) -> Iterator[Batch]:
    """Read the points of a file of JSON Lines.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file contains several runs.
    """
    batch = BatchBuilder(path)
    lines = TextLines(batch)
    objects = _Objects(batch)
    for line in lines:
        if not line.isspace():
            try:
                objects.add(json.loads(line), lines.location)
            except RecursionError:
                batch.report(lines.location, "the line is nested too deeply")
            except json.JSONDecodeError as error:
                batch.report(lines.location, f"invalid JSON: {error.msg} at column {error.colno}")
            except _InvalidObjectError as error:
                batch.report(lines.location, str(error))
        if len(batch) >= _BATCH_POINTS:
            yield batch.build(lines.bytes_read)
    yield batch.build(lines.bytes_read)


class _InvalidObjectError(Exception):
    """A line has no points."""


class _Objects:
    """Adds the points of objects to a batch."""

    def __init__(self, batch: BatchBuilder) -> None:
        self._batch = batch
        self._name_errors = NameErrors()
        self._single_run = SingleRun(batch.path)

    def add(self, item: Any, location: str) -> None:
        if not isinstance(item, dict):
            raise _InvalidObjectError(f"expected a JSON object, got {quoted(item)}")
        key = next((key for key in STEP_KEYS if item.get(key) is not None), None)
        if key is None:
            raise _InvalidObjectError(f"the object has no step; expected one of {', '.join(STEP_KEYS)}")
        try:
            step = step_of(item[key])
        except ValueError as error:
            raise _InvalidObjectError(str(error)) from None
        if isinstance(item.get("name"), str) and "value" in item:
            self._single_run.check(item.get("run"), item.get("rank"))
            self._add_value(item["name"], step, item["value"], location)
            return
        for name, field in item.items():
            if name in (key, "format_version"):  # the version of a summary
                continue
            if name in TIME_KEYS:
                self._batch.skipped["times"] += 1
            else:
                self._add_value(name, step, field, location)

    def _add_value(self, name: str, step: int, field: Any, location: str) -> None:
        value = _nonfinite(field) if isinstance(field, str) else value_of(field)
        if value is None:
            self._batch.skipped[kind_of(field)] += 1
        elif name_error := self._name_errors[name]:
            self._batch.report(location, name_error)
        else:
            self._batch.points.append((name, step, value))


def _nonfinite(text: str) -> float | None:
    """The non-finite number that the text names; other text, such as digits, is not a number."""
    value = value_of(text)
    return value if value is not None and not any(character.isdigit() for character in text) else None
