"""Text for people and for JSON: safe to display, bounded, and the same everywhere.

Names, configurations and messages come from a run's files and are untrusted. Pass them through `visible` or
`shortened` before showing them, `spreadsheet_safe` before writing them to CSV, and `plain_json` before JSON.
"""

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = [
    "counted",
    "duration_text",
    "epoch_micros",
    "flatten_config",
    "iso_time",
    "numbered",
    "parse_iso_time",
    "plain_json",
    "shortened",
    "spreadsheet_safe",
    "time_of_micros",
    "utf8_safe",
    "visible",
]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_DURATION_UNITS = ((7 * 86400, "w"), (86400, "d"), (3600, "h"), (60, "min"))
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""Return the text with every unprintable character as an escape such as `\x1b`.

    Escapes control characters, terminal escape sequences, line breaks, bidirectional marks and zero-width characters.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str, max_chars: int) -> str:
    """Return at most `max_chars` characters: the start and the end around an ellipsis, because names differ there."""
    if len(text) <= max_chars:
        return text
    head = (max_chars - 1) // 2
    return f"{text[:head]}…{text[len(text) - (max_chars - 1 - head) :]}"


def utf8_safe(text: str) -> str:
    """Return text that UTF-8 can encode, with undecodable bytes of file names as escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def spreadsheet_safe(text: str) -> str:
    """Return text that a spreadsheet does not evaluate as a formula: a leading `=`, `+`, `-`, `@` gets a quote.

    Text with quotes in front of such a start gets another one, so that removing a quote restores any text.
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA_STARTS) else text


def numbered(labels: list[str]) -> list[str]:
    """Return the labels with ` (2)`, ` (3)`, … appended to repeated ones."""
    unique: list[str] = []
    for label in labels:
        number, candidate = 1, label
        while candidate in unique:
            number += 1
            candidate = f"{label} ({number})"
        unique.append(candidate)
    return unique


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun: `1 point`, `2,000 points`. The plural is the singular with an s if None."""
    return f"{count:,} {singular if count == 1 else plural or f'{singular}s'}"


def duration_text(secs: float) -> str:
    """Return a duration in its largest unit, with the next smaller one if that matters: `0.4 s`, `2 h 5 min`, `12 d`.

    A negative duration is zero, a non-finite one `?`.
    """
    if not math.isfinite(secs):
        return "?"
    whole = int(max(secs, 0))
    for (size, unit), (smaller, smaller_unit) in zip(_DURATION_UNITS, (*_DURATION_UNITS[1:], (1, "s")), strict=True):
        if whole >= size:
            count, rest = divmod(whole, size)
            return f"{count} {unit}" + (f" {rest // smaller} {smaller_unit}" if count < 10 and rest >= smaller else "")
    return f"{whole} s" if whole >= 10 else f"{math.floor(max(secs, 0) * 10) / 10:g} s"


def iso_time(time: dt.datetime, timespec: str = "seconds") -> str:
    """Return a time as ISO 8601 in UTC, `2026-01-21T09:30:00Z`; for `timespec`, see `datetime.isoformat`."""
    return time.astimezone(dt.timezone.utc).isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_iso_time(text: object) -> dt.datetime | None:
    """Return the time that an ISO 8601 text states, in UTC if it names no zone; None if it is not such a text."""
    if not isinstance(text, str):
        return None
    try:
        time = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 rejects the Z
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=dt.timezone.utc)


def epoch_micros(time: dt.datetime) -> int:
    """Return an aware time as microseconds since the Unix epoch."""
    return (time - _EPOCH) // dt.timedelta(microseconds=1)


def time_of_micros(micros: int) -> dt.datetime:
    """Return the UTC time that is `micros` microseconds after the Unix epoch."""
    return _EPOCH + dt.timedelta(microseconds=micros)


def plain_json(value: Any) -> Any:
    """Return the value with non-finite floats as `"nan"`, `"inf"` or `"-inf"`, keys as text, tuples as lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    return value


def flatten_config(config: Mapping[str, Any], separator: str = ".") -> dict[str, Any]:
    """Return nested mappings as one level: `{"optimizer": {"lr": 0.1}}` becomes `{"optimizer.lr": 0.1}`.

    Lists and empty mappings are values. Nesting of any depth is accepted.
    """
    return dict(_leaves(config, separator))


def _leaves(config: Mapping[str, Any], separator: str) -> Iterator[tuple[str, Any]]:
    pending: list[tuple[str, Any]] = [(str(key), value) for key, value in reversed(list(config.items()))]
    while pending:
        name, value = pending.pop()
        if isinstance(value, Mapping) and value:
            pending += [(f"{name}{separator}{key}", inner) for key, inner in reversed(list(value.items()))]
        else:
            yield name, value
