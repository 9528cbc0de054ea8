"""JSON lines: an object a line, flat (`{"step": 5, "loss": 0.1}`) or one point (`{"name", "step", "value"}`).

Which one a line is, it says itself. `NaN`, `Infinity` and `-Infinity` are taken as Python's `json` writes them, and as
the strings that strict JSON needs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from holter.formats._fields import STEP_KEYS, TIME_KEYS, Names, kind_of, shown, step_of, value_of
from holter.formats._lines import Lines
from holter.formats._model import Gathering
from holter.formats._one_run import OneRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holter.formats._model import Batch

__all__ = ["read_jsonl"]

_AT_ONCE: Final = 1 << 14


def read_jsonl(path: Path) -> Iterator[Batch]:
    """Read the points of a file of JSON lines.

    Raises:
        OSError: It cannot be read.
        ValueError: It holds several runs.
    """
    gathering = Gathering(path)
    lines = Lines(gathering)
    rows = _Rows(gathering, path)
    for line in lines:
        if not line.isspace():
            try:
                rows.add(json.loads(line), lines.place)
            except RecursionError:
                gathering.report(lines.place, "the line is nested too deeply")
            except json.JSONDecodeError as error:
                gathering.report(lines.place, f"the line is no JSON: {error.msg} at column {error.colno}")
            except _NoRowError as error:
                gathering.report(lines.place, str(error))
        if len(gathering) >= _AT_ONCE:
            yield gathering.take(lines.bytes_read)
    yield gathering.take(lines.bytes_read)


class _NoRowError(Exception):
    """A line that says no points."""


class _Rows:
    """Turns objects into points."""

    def __init__(self, gathering: Gathering, path: Path) -> None:
        self._gathering = gathering
        self._faults = Names()
        self._one_run = OneRun(path)

    def add(self, row: Any, place: str) -> None:
        if not isinstance(row, dict):
            raise _NoRowError(f"the line is no object, but {shown(row)}")
        key = next((key for key in STEP_KEYS if row.get(key) is not None), None)
        if key is None:
            raise _NoRowError(f"the line has no step: none of {', '.join(STEP_KEYS)}")
        try:
            step = step_of(row[key])
        except ValueError as error:
            raise _NoRowError(str(error)) from None
        if isinstance(row.get("name"), str) and "value" in row:
            self._one_run.check(row.get("run"), row.get("rank"))
            self._add_value(row["name"], step, row["value"], place)
            return
        for name, field in row.items():
            if name in (key, "format_version"):  # the version of a summary
                continue
            if name in TIME_KEYS:
                self._gathering.left_out["times"] += 1
            else:
                self._add_value(name, step, field, place)

    def _add_value(self, name: str, step: int, field: Any, place: str) -> None:
        value = value_of(field) if not isinstance(field, str) else _nonfinite(field)
        if value is None:
            self._gathering.left_out[kind_of(field)] += 1
        elif fault := self._faults[name]:
            self._gathering.report(place, fault)
        else:
            self._gathering.points.append((name, step, value))


def _nonfinite(text: str) -> float | None:
    """The number that is not finite of which the string is the name; a string of digits stays a string."""
    value = value_of(text)
    return value if value is not None and not any(character.isdigit() for character in text) else None
