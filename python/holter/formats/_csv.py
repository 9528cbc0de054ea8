"""CSV: wide (a column for the step and one for each metric) or long (columns `name`, `step` and `value`).

The header decides. The CSVLogger of Lightning and of Keras writes the wide form, an export has the long one. The
separator is a comma, a semicolon or a tab; an empty field is a value that was not logged.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final, NamedTuple

from holter._text import spreadsheet_safe
from holter.formats._fields import STEP_KEYS, TIME_KEYS, NameErrors, quoted, step_of, value_of
from holter.formats._points import COLUMNS, rows
from holter.formats._single_run import SingleRun
from holter.formats._source import BatchBuilder
from holter.formats._text_lines import TextLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from holter.formats._points import SeriesChunk
    from holter.formats._source import Batch

__all__ = ["format_csv", "read_csv"]

_BATCH_POINTS: Final = 1 << 14
_SEPARATORS: Final = (",", "\t", ";")
_NAME_KEYS: Final = ("name", "metric", "tag", "key")


def format_csv(chunks: Iterable[SeriesChunk], display: Callable[[str], str] = str) -> Iterator[str]:
    """Yield points as CSV in the long form: the header, and one text for each chunk.

    Names that a spreadsheet would evaluate as a formula get a quote in front. Non-finite values are `nan`, `inf` and
    `-inf`.

    Args:
        chunks: The points.
        display: Converts names; a terminal needs those with escape sequences escaped.
    """
    yield ",".join(COLUMNS) + "\n"
    for chunk in chunks:
        run, name = spreadsheet_safe(display(chunk.run)), spreadsheet_safe(display(chunk.points.name))
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        if "\r" in run + name:  # Before Python 3.13, it is not quoted by default, and readers take it as a line end.
            writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerows((run, chunk.rank, name, *row) for row in rows(chunk.points))
        yield text.getvalue()


def read_csv(path: Path) -> Iterator[Batch]:
    """Read the points of a CSV file.

    Raises:
        OSError: The file cannot be read.
        ValueError: The header has no step, or the file contains several runs.
    """
    batch = BatchBuilder(path)
    lines = TextLines(batch)
    reader = _Rows(lines, batch)
    header = next(reader, None)
    if header is not None:
        form = _form_of(header, batch)
        for fields in reader:
            if len(fields) == len(header):
                form.add(fields, lines.location)
            elif fields:
                batch.report(lines.location, f"the row has {len(fields)} fields, but the header {len(header)}")
            if len(batch) >= _BATCH_POINTS:
                yield batch.build(lines.bytes_read)
    yield batch.build(lines.bytes_read)


class _Rows:
    """Iterates over the rows as lists of fields; invalid rows are reported."""

    def __init__(self, lines: TextLines, batch: BatchBuilder) -> None:
        self._lines = lines
        self._batch = batch
        texts = iter(lines)
        first = next(texts, "")
        self._rows = csv.reader(_chained(first, texts), delimiter=max(_SEPARATORS, key=first.count))

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        while True:
            try:
                return next(self._rows)
            except csv.Error as error:  # noqa: PERF203  an invalid row does not end the file
                self._batch.report(self._lines.location, f"invalid CSV: {error}")


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _form_of(header: list[str], batch: BatchBuilder) -> _LongForm | _WideForm:
    keys = [column.strip().lower() for column in header]
    step = next((keys.index(key) for key in STEP_KEYS if key in keys), None)
    if step is None:
        raise ValueError(f"{batch.path} has no column for the step; expected one of {', '.join(STEP_KEYS)}")
    name = next((keys.index(key) for key in _NAME_KEYS if key in keys), None)
    if name is not None and "value" in keys:
        run, rank = (keys.index(key) if key in keys else None for key in ("run", "rank"))
        return _LongForm(batch, _LongColumns(step, name, keys.index("value"), run, rank))
    metrics = [
        (index, column.strip())
        for index, (column, key) in enumerate(zip(header, keys, strict=True))
        if index != step and key not in TIME_KEYS
    ]
    return _WideForm(batch, step, metrics, num_times=len(header) - len(metrics) - 1)


class _WideForm:
    """Rows with a field for each metric."""

    def __init__(self, batch: BatchBuilder, step: int, metrics: list[tuple[int, str]], num_times: int) -> None:
        self._batch = batch
        self._step = step
        self._num_times = num_times
        errors = NameErrors()
        for _, name in metrics:
            if errors[name]:
                batch.report("line 1", f"{errors[name]}; the column is skipped")
        self._metrics = [(index, name) for index, name in metrics if not errors[name]]

    def add(self, fields: list[str], location: str) -> None:
        try:
            step = step_of(fields[self._step])
        except ValueError as error:
            self._batch.report(location, str(error))
            return
        points, skipped = self._batch.points, self._batch.skipped
        if self._num_times:
            skipped["times"] += self._num_times
        for index, name in self._metrics:
            if field := fields[index]:
                value = value_of(field)
                if value is None:
                    skipped["texts"] += 1
                else:
                    points.append((name, step, value))


class _LongColumns(NamedTuple):
    """The indices of the columns."""

    step: int
    name: int
    value: int
    run: int | None
    rank: int | None


class _LongForm:
    """Rows with one point each."""

    def __init__(self, batch: BatchBuilder, columns: _LongColumns) -> None:
        self._batch = batch
        self._columns = columns
        self._name_errors = NameErrors()
        self._single_run = SingleRun(batch.path)

    def add(self, fields: list[str], location: str) -> None:
        columns = self._columns
        self._single_run.check(*(None if index is None else fields[index] for index in (columns.run, columns.rank)))
        name = _without_quote(fields[columns.name])
        try:
            step = step_of(fields[columns.step])
        except ValueError as error:
            self._batch.report(location, str(error))
            return
        value = value_of(fields[columns.value])
        if value is None:
            self._batch.report(location, f"the value must be a number, got {quoted(fields[columns.value])}")
        elif name_error := self._name_errors[name]:
            self._batch.report(location, name_error)
        else:
            self._batch.points.append((name, step, value))


def _without_quote(name: str) -> str:
    """The name that `spreadsheet_safe` made safe."""
    return name[1:] if name.startswith("'") and spreadsheet_safe(name[1:]) == name else name
