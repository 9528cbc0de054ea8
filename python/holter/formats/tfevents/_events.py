"""TensorBoard's `Event` messages: which scalars one holds, and where in its bytes the numbers are.

Only the fields that scalars need are known; everything else is passed over by its wire type, as protobuf asks for.
Places rather than values are returned, because the next thousand events mostly have theirs at the same places.

Formats: tensorboard/compat/proto/{event,summary,tensor}.proto; protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXACT_VALUE", "Event", "Scalar", "parse"]

EXACT_VALUE = 18_540
"""A field of our own in `Summary.Value`: the float64 that `simple_value` is rounded from. Others pass it over."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DT_FLOAT, _DT_DOUBLE = 1, 2
_MAX_VARINT = 10

_EVENT_KINDS = {4: "graphs", 6: "log messages", 7: "session marks", 8: "run metadata", 9: "graphs"}
_VALUE_KINDS = {4: "images", 5: "histograms", 6: "audio", 8: "tensors"}


class Scalar(NamedTuple):
    """One scalar of an event: where in the buffer its tag and its number lie.

    Attributes:
        tag_start: where the tag begins.
        tag_end: where the tag ends.
        value_at: where the number lies.
        is_double: whether the number is a float64, or a float32.
        rounded_at: where the same number lies as a float32; -1 where it does not.
    """

    tag_start: int
    tag_end: int
    value_at: int
    is_double: bool
    rounded_at: int


@dataclass
class Event:
    """What an event says, by places in the buffer.

    Attributes:
        time_at: where the wall time lies, a float64; -1 if it is not given, which means 0.
        step_at: where the step lies, a varint; -1 if it is not given, which means 0.
        step_end: where the step ends.
        scalars: the scalars.
        left_out: what else there is, by kind.
    """

    time_at: int = -1
    step_at: int = -1
    step_end: int = -1
    scalars: list[Scalar] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def parse(data: memoryview, start: int, end: int) -> Event:
    """Parse the event in `data[start:end]`.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    event = Event()
    for number, wire, at, after in _fields(data, start, end):
        if number == 1 and wire == _FIXED64:
            event.time_at = at
        elif number == 2 and wire == _VARINT:
            event.step_at, event.step_end = at, after
        elif number == 5 and wire == _BYTES:
            for inner, inner_wire, inner_at, inner_after in _fields(data, at, after):
                if inner == 1 and inner_wire == _BYTES:
                    _parse_value(data, inner_at, inner_after, event)
        elif number in _EVENT_KINDS:
            event.left_out.append(_EVENT_KINDS[number])
    return event


def _parse_value(data: memoryview, start: int, end: int, event: Event) -> None:
    """Parse a `Summary.Value`: one tag, and a scalar or something else."""
    tag: tuple[int, int] | None = None
    value: tuple[int, int] | None = None
    is_double = False
    exact_at = -1
    kind = "values without content"
    for number, wire, at, after in _fields(data, start, end):
        if number == 1 and wire == _BYTES:
            tag = (at, after)
        elif number == 2 and wire == _FIXED32:
            value, is_double = (at, after), False
        elif number == EXACT_VALUE and wire == _FIXED64:
            exact_at = at
        elif number in _VALUE_KINDS:
            kind = _VALUE_KINDS[number]
            value = None
            if kind == "tensors" and wire == _BYTES:
                value, is_double = _parse_tensor(data, at, after)
    if value is None:
        event.left_out.append(kind)
        return
    tag_start, tag_end = tag or (value[0], value[0])
    if exact_at >= 0 and not is_double:
        event.scalars.append(Scalar(tag_start, tag_end, exact_at, is_double=True, rounded_at=value[0]))
    else:
        event.scalars.append(Scalar(tag_start, tag_end, value[0], is_double, rounded_at=-1))


def _parse_tensor(data: memoryview, start: int, end: int) -> tuple[tuple[int, int] | None, bool]:
    """The place of the only number of a `TensorProto` of float32 or float64, and whether it is a float64."""
    kind = 0
    found: dict[int, tuple[int, int]] = {}
    for number, wire, at, after in _fields(data, start, end):
        if number == 1 and wire == _VARINT:
            kind = data[at]
        elif number in {4, 5, 6}:  # tensor_content, float_val, double_val
            if number in found:
                return None, False
            found[number] = (at, after)
    size, listed = (8, 6) if kind == _DT_DOUBLE else (4, 5)
    place = found.get(listed, found.get(4))
    if kind not in {_DT_FLOAT, _DT_DOUBLE} or place is None or place[1] - place[0] != size:
        return None, False
    return place, kind == _DT_DOUBLE


def _fields(data: memoryview, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message: number, wire type, and where the content begins and ends."""
    at = start
    while at < end:
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            _, after = _varint(data, at, end)
        elif wire == _FIXED64:
            after = at + 8
        elif wire == _FIXED32:
            after = at + 4
        elif wire == _BYTES:
            length, at = _varint(data, at, end)
            after = at + length
        else:
            raise ValueError(f"wire type {wire} is not known")
        if after > end or number == 0:
            raise ValueError("a field goes beyond the message")
        yield number, wire, at, after
        at = after


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """A varint's value and where it ends."""
    value = shift = 0
    for place in range(at, min(end, at + _MAX_VARINT)):
        byte = data[place]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place + 1
        shift += 7
    raise ValueError("a varint does not end")
