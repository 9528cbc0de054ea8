"""What stands in the fields of text formats: steps, values, names, and which fields are which."""

from __future__ import annotations

import math
from typing import Any, Final

__all__ = ["STEP_KEYS", "TIME_KEYS", "Names", "kind_of", "step_of", "value_of"]

STEP_KEYS: Final = ("step", "_step", "global_step", "trainer/global_step", "iteration", "epoch")
"""Which field is the step: the first of these that there is. Letters may be large."""
TIME_KEYS: Final = frozenset({"timestamp", "_timestamp", "wall_time", "wall time"})
"""Fields that say when something was logged, which cannot be kept."""

_LEAST_STEP, _LARGEST_STEP = -(1 << 63), (1 << 63) - 1
_MAX_NAME_BYTES = 65_535
_MAX_SHOWN = 60
_NONFINITE = {sign + word: float(sign + word) for sign in ("", "+", "-") for word in ("nan", "inf", "infinity")}


def step_of(field: Any) -> int:
    """Return the step that a field says.

    Raises:
        ValueError: It says none.
    """
    number = field
    if isinstance(field, str) and len(field) <= _MAX_SHOWN and "_" not in field:
        try:
            number = int(field)
        except ValueError:
            number = value_of(field)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"the step must be a whole number, got {shown(field)}")  # noqa: TRY004  a file's fault
    step: int = number
    if not _LEAST_STEP <= step <= _LARGEST_STEP:
        raise ValueError(f"the step must have 64 bits, got {shown(step)}")
    return step


def value_of(field: Any) -> float | None:
    """Return the number that a field holds, booleans as 1 and 0; None if it is no number."""
    if isinstance(field, str) and (word := field.strip().lower()) in _NONFINITE:
        return _NONFINITE[word]
    if not isinstance(field, (int, float, str)) or (isinstance(field, str) and "_" in field):
        return None
    try:
        return float(field)
    except ValueError:
        return None
    except OverflowError:  # of a whole number
        return math.inf if int(field) > 0 else -math.inf


def kind_of(field: Any) -> str:
    """Return what a field that is no number is, in the plural."""
    if field is None:
        return "nulls"
    return "texts" if isinstance(field, str) else "objects" if isinstance(field, dict) else "lists"


def shown(field: Any) -> str:
    """Return a field for a message, as far as it is short enough."""
    text = ascii(field) if not isinstance(field, int) or abs(field) < 1 << 200 else "a larger number"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


class Names(dict[str, str]):
    """Why names can name no series; "" for those that can."""

    def __missing__(self, name: str) -> str:
        fault = ""
        if not name:
            fault = "a name is empty"
        elif "\0" in name:
            fault = f"the name {shown(name)} has a NUL in it"
        else:
            try:
                num_bytes = len(name.encode("utf-8"))
            except UnicodeEncodeError:
                fault = f"the name {shown(name)} is not Unicode"
            else:
                if num_bytes > _MAX_NAME_BYTES:
                    fault = (
                        f"the name {shown(name)} has {num_bytes} bytes, and a series' name at most {_MAX_NAME_BYTES}"
                    )
        if len(self) < 1 << 20:
            self[name] = fault
        return fault
