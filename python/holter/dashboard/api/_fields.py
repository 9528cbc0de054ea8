"""The values of a request, one check each: it returns the value with its type, or refuses the request with a 400."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from holter.dashboard.http._errors import Refused

__all__ = [
    "MAX_STEP",
    "MAX_TEXT_CHARS",
    "boolean",
    "choice",
    "list_of",
    "mapping_of",
    "number",
    "object_of",
    "optional_step",
    "parse_constant",
    "parse_int",
    "step",
    "text",
    "whole",
]

MAX_STEP: Final = (1 << 63) - 1
MAX_TEXT_CHARS: Final = 1 << 16  # a name of 10 KB is possible; the body is bounded anyway
_MAX_DIGITS: Final = 20

_T = TypeVar("_T")
_Word = TypeVar("_Word", bound=str)


def parse_int(digits: str) -> int:
    """Return an integer of a JSON text; one beyond 64 bits is refused before it costs anything to read."""
    if len(digits) > _MAX_DIGITS:
        raise Refused(400, f"a number in the body has {len(digits)} digits, expected at most {_MAX_DIGITS}")
    return int(digits)


def parse_constant(word: str) -> float:
    """Refuse `NaN` and `Infinity`, which are not JSON."""
    raise Refused(400, f"the body holds {word}, which is not JSON")


def object_of(value: Any, where: str, known: Sequence[str]) -> Mapping[str, Any]:
    """Return a JSON object that has no other keys than those known."""
    if not isinstance(value, dict):
        raise Refused(400, f"{where} must be an object, got {_kind(value)}")
    unknown = next((key for key in value if key not in known), None)
    if unknown is not None:
        raise Refused(400, f"{where} has the unknown key {_shown(unknown)}; known are {', '.join(known)}")
    return value


def list_of(value: Any, where: str, max_count: int, read: Callable[[Any, str], _T]) -> tuple[_T, ...]:
    """Return the items of a list, each read by `read(item, where)`."""
    if not isinstance(value, (list, tuple)):
        raise Refused(400, f"{where} must be a list, got {_kind(value)}")
    if len(value) > max_count:
        raise Refused(400, f"{where} has {len(value)} items, expected at most {max_count}")
    return tuple(read(item, f"{where}[{index}]") for index, item in enumerate(value))


def mapping_of(value: Any, where: str, max_count: int, read: Callable[[Any, str], _T]) -> dict[str, _T]:
    """Return an object whose keys are free, each value read by `read(value, where)`."""
    if not isinstance(value, dict):
        raise Refused(400, f"{where} must be an object, got {_kind(value)}")
    if len(value) > max_count:
        raise Refused(400, f"{where} has {len(value)} keys, expected at most {max_count}")
    return {text(key, where): read(inner, f"{where}.{_shown(key)}") for key, inner in value.items()}


def text(value: Any, where: str) -> str:
    """Return text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise Refused(400, f"{where} must be text, got {_kind(value)}")
    if len(value) > MAX_TEXT_CHARS:
        raise Refused(400, f"{where} has {len(value)} characters, expected at most {MAX_TEXT_CHARS}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused(400, f"{where} holds half of a surrogate pair, which is no character") from None
    return value


def choice(value: Any, where: str, among: Sequence[_Word]) -> _Word:
    """Return one of the given words."""
    for word in among:
        if value == word:
            return word
    raise Refused(400, f"{where} must be one of {', '.join(among)}, got {_shown(value)}")


def boolean(value: Any, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise Refused(400, f"{where} must be true or false, got {_kind(value)}")
    return value


def whole(value: Any, where: str, min_value: int, max_value: int) -> int:
    """Return an integer between both bounds; 600.0 is one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(400, f"{where} must be a whole number, got {_kind(value)}")
    if not min_value <= value <= max_value:
        raise Refused(400, f"{where} must be {min_value} to {max_value}, got {value}")
    return value


def step(value: Any, where: str) -> int:
    """Return a step."""
    return whole(value, where, -MAX_STEP - 1, MAX_STEP)


def optional_step(value: Any, where: str) -> int | None:
    """Return a step, or None for null."""
    return None if value is None else step(value, where)


def number(value: Any, where: str, min_value: float | None = None) -> float:
    """Return a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(400, f"{where} must be a number, got {_kind(value)}")
    if abs(value) > 1e300:  # also what JSON text such as 1e999 is read as
        raise Refused(400, f"{where} must be a number of at most 1e300")
    if min_value is not None and value < min_value:
        raise Refused(400, f"{where} must be at least {min_value:g}, got {value:g}")
    return float(value)


def _kind(value: Any) -> str:
    kinds = {type(None): "nothing", bool: "true or false", int: "a number", float: "a number", str: "text"}
    return kinds.get(type(value), "a list" if isinstance(value, (list, tuple)) else "an object")


def _shown(value: Any) -> str:
    """What a client sent, short enough for a message."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"
