"""Event files built by hand: TFRecord framing and protobuf, independent of the core, and what a reader returns."""

import struct
from collections import Counter


def _crc_of_byte(byte):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC_OF_BYTE = [_crc_of_byte(byte) for byte in range(256)]


def masked_crc(data):
    """The CRC-32C of the data as TFRecord stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_OF_BYTE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data):
    return header(len(data)) + data + masked_crc(data)


def header(length):
    """The start of a record with that many bytes of data."""
    packed = struct.pack("<Q", length)
    return packed + masked_crc(packed)


def varint(number):
    number %= 1 << 64
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def field(number, content):
    """A field with a float64, an integer or bytes."""
    if isinstance(content, float):
        return varint(number << 3 | 1) + struct.pack("<d", content)
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def scalar(tag, value):
    """A `Summary.Value` with a `simple_value`."""
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def tensor(tag, dtype, *fields):
    """A `Summary.Value` with a `TensorProto`."""
    return field(1, tag.encode()) + field(8, field(1, dtype) + b"".join(fields))


def event(step, *values, at=1.5):
    return field(1, at) + field(2, step) + field(5, b"".join(field(1, value) for value in values))


EVENTS = [event(step, scalar(f"tag {step % 3}", step)) for step in range(18)]
"""Events of one length."""
RECORD_BYTES = len(record(EVENTS[0]))
SAMPLE = b"".join(map(record, EVENTS))
SAMPLE_POINTS = {(f"tag {step % 3}", step): float(step) for step in range(18)}


def collect(batches):
    """The points by name and step, the last value for each; the damage; the skipped values by kind."""
    points, damage, skipped = {}, [], Counter()
    for batch in batches:
        damage += batch.damage
        skipped.update(batch.skipped)
        assert len(batch) == len(batch.codes) == len(batch.steps) == len(batch.values) == len(batch.times)
        for name, steps, values, _ in batch.series():
            points.update({(name, step): value for step, value in zip(steps.tolist(), values.tolist(), strict=True)})
    return points, damage, skipped
