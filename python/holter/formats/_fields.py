"""The fields of text formats: steps, values and names, and the keys that identify them."""

from __future__ import annotations

import math
from typing import Any, Final

from holter._text import shortened

__all__ = ["STEP_KEYS", "TIME_KEYS", "NameErrors", "kind_of", "quoted", "step_of", "value_of"]

STEP_KEYS: Final = ("step", "_step", "global_step", "trainer/global_step", "iteration", "epoch")
"""Keys of the step; the first one present is used."""
TIME_KEYS: Final = frozenset({"timestamp", "_timestamp", "wall_time", "wall time"})
"""Keys of times, which are not kept."""

_MIN_STEP, _MAX_STEP = -(1 << 63), (1 << 63) - 1
_MAX_NAME_BYTES = 65_535
_MAX_NAME_ERRORS = 1 << 20
_MAX_QUOTED_CHARS = 60
_NONFINITE = {sign + word: float(sign + word) for sign in ("", "+", "-") for word in ("nan", "inf", "infinity")}


def step_of(field: Any) -> int:
    """Return the step in a field.

    Raises:
        ValueError: The field is not an integer of 64 bits.
    """
    number = field
    if isinstance(field, str) and len(field) <= _MAX_QUOTED_CHARS and "_" not in field:
        try:
            number = int(field)
        except ValueError:
            number = value_of(field)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"the step must be an integer, got {quoted(field)}")  # noqa: TRY004  the file is at fault
    step: int = number
    if not _MIN_STEP <= step <= _MAX_STEP:
        raise ValueError(f"the step must fit in 64 bits, got {quoted(step)}")
    return step


def value_of(field: Any) -> float | None:
    """Return the number in a field, booleans as 1 and 0; None if it is not a number."""
    if isinstance(field, str) and (word := field.strip().lower()) in _NONFINITE:
        return _NONFINITE[word]
    if not isinstance(field, (int, float, str)) or (isinstance(field, str) and "_" in field):
        return None
    try:
        return float(field)
    except ValueError:
        return None
    except OverflowError:  # of an integer
        return math.inf if int(field) > 0 else -math.inf


def kind_of(field: Any) -> str:
    """Return the kind of a field that is not a number, in the plural."""
    if field is None:
        return "nulls"
    return "texts" if isinstance(field, str) else "objects" if isinstance(field, dict) else "lists"


def quoted(field: Any) -> str:
    """Return a field for a message: in ASCII, and shortened."""
    if isinstance(field, int) and abs(field) >= 1 << 200:
        return "a larger number"
    return shortened(ascii(field), _MAX_QUOTED_CHARS)


class NameErrors(dict[str, str]):
    """Why names are not valid for series; "" for those that are."""

    def __missing__(self, name: str) -> str:
        error = _name_error(name)
        if len(self) < _MAX_NAME_ERRORS:
            self[name] = error
        return error


def _name_error(name: str) -> str:
    if not name:
        return "the name is empty"
    if "\0" in name:
        return f"the name {quoted(name)} contains a NUL"
    try:
        num_bytes = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return f"the name {quoted(name)} is not valid Unicode"
    if num_bytes > _MAX_NAME_BYTES:
        return f"the name {quoted(name)} has {num_bytes} bytes; a series name has at most {_MAX_NAME_BYTES}"
    return ""
