"""CSV: wide (a column for the step, one for each metric) or long (columns `name`, `step` and `value`), by its header.

Lightning's and Keras' CSVLogger write the wide form, `holter export` the long one. Commas, semicolons and tabs
separate; an empty field means that nothing was logged.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final, NamedTuple

from holter.formats._fields import STEP_KEYS, TIME_KEYS, Names, shown, step_of, value_of
from holter.formats._lines import Lines
from holter.formats._model import Gathering
from holter.formats._one_run import OneRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holter.formats._model import Batch

__all__ = ["read_csv"]

_AT_ONCE: Final = 1 << 14
_SEPARATORS: Final = (",", "\t", ";")
_NAME_KEYS: Final = ("name", "metric", "tag", "key")
_FORMULA_STARTS: Final = ("'=", "'+", "'-", "'@", "'\t", "'\r")
"""How a name begins that our own export has made safe for spreadsheets."""


def read_csv(path: Path) -> Iterator[Batch]:
    """Read the points of a CSV file.

    Raises:
        OSError: It cannot be read.
        ValueError: Its header has no step, or it holds several runs.
    """
    gathering = Gathering(path)
    lines = Lines(gathering)
    reader = _Reader(iter(lines), lines, gathering)
    header = next(reader, None)
    if header is not None:
        rows = _rows_of(header, gathering)
        for fields in reader:
            if len(fields) == len(header):
                rows.add(fields, lines.place)
            elif fields:
                gathering.report(lines.place, f"the row has {len(fields)} fields, and the header {len(header)}")
            if len(gathering) >= _AT_ONCE:
                yield gathering.take(lines.bytes_read)
    yield gathering.take(lines.bytes_read)


class _Reader:
    """Rows as lists of fields; one that is no CSV is reported and passed over."""

    def __init__(self, texts: Iterator[str], lines: Lines, gathering: Gathering) -> None:
        self._lines = lines
        self._gathering = gathering
        first = next(texts, "")
        separator = max(_SEPARATORS, key=first.count)
        self._rows = csv.reader(_chained(first, texts), delimiter=separator)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        while True:
            try:
                return next(self._rows)
            except csv.Error as error:  # noqa: PERF203  one row's end is not the file's
                self._gathering.report(self._lines.place, f"the row is no CSV: {error}")


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _rows_of(header: list[str], gathering: Gathering) -> _LongRows | _WideRows:
    keys = [column.strip().lower() for column in header]
    step = next((keys.index(key) for key in STEP_KEYS if key in keys), None)
    if step is None:
        raise ValueError(f"{gathering.path} has no column for the step: none of {', '.join(STEP_KEYS)}")
    name = next((keys.index(key) for key in _NAME_KEYS if key in keys), None)
    if name is not None and "value" in keys:
        run, rank = (keys.index(key) if key in keys else None for key in ("run", "rank"))
        return _LongRows(gathering, _LongPlaces(step, name, keys.index("value"), run, rank))
    metrics = [
        (place, column.strip())
        for place, (column, key) in enumerate(zip(header, keys, strict=True))
        if place != step and key not in TIME_KEYS
    ]
    return _WideRows(gathering, step, metrics, num_times=len(header) - len(metrics) - 1)


class _WideRows:
    """Rows with a field for each metric."""

    def __init__(self, gathering: Gathering, step: int, metrics: list[tuple[int, str]], num_times: int) -> None:
        self._gathering = gathering
        self._step = step
        self._num_times = num_times
        names = Names()
        for _, name in metrics:
            if names[name]:
                gathering.report("line 1", f"{names[name]}; the column is left out")
        self._metrics = [(place, name) for place, name in metrics if not names[name]]

    def add(self, fields: list[str], place: str) -> None:
        try:
            step = step_of(fields[self._step])
        except ValueError as error:
            self._gathering.report(place, str(error))
            return
        points, left_out = self._gathering.points, self._gathering.left_out
        if self._num_times:
            left_out["times"] += self._num_times
        for column, name in self._metrics:
            if field := fields[column]:
                value = value_of(field)
                if value is None:
                    left_out["texts"] += 1
                else:
                    points.append((name, step, value))


class _LongPlaces(NamedTuple):
    """Which field is what."""

    step: int
    name: int
    value: int
    run: int | None
    rank: int | None


class _LongRows:
    """Rows with one point each; `places` says in which fields its parts are."""

    def __init__(self, gathering: Gathering, places: _LongPlaces) -> None:
        self._gathering = gathering
        self._places = places
        self._faults = Names()
        self._one_run = OneRun(gathering.path)

    def add(self, fields: list[str], place: str) -> None:
        at = self._places
        self._one_run.check(*(None if field is None else fields[field] for field in (at.run, at.rank)))
        name = fields[at.name]
        name = name[1:] if name.startswith(_FORMULA_STARTS) else name
        try:
            step = step_of(fields[at.step])
        except ValueError as error:
            self._gathering.report(place, str(error))
            return
        value = value_of(fields[at.value])
        if value is None:
            self._gathering.report(place, f"the value must be a number, got {shown(fields[at.value])}")
        elif fault := self._faults[name]:
            self._gathering.report(place, fault)
        else:
            self._gathering.points.append((name, step, value))
