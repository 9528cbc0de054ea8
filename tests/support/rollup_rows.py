"""Reads the table `rollups` as specified in docs/on-disk-format.md, without Holter, and compares it with the points."""

import math
import sqlite3
import struct
from dataclasses import dataclass

import xxhash

MASK = (1 << 64) - 1
PRIME = 0x9E3779B97F4A7C15


@dataclass
class Bucket:
    count: int
    nonfinite_count: int
    minimum: float
    maximum: float
    total: float
    square_total: float
    last: float
    last_step: int
    last_millis: int
    """Since the run's start."""


def decode(series_id: int, level: int, start: int, row: bytes) -> list[Bucket]:
    """Decode the buckets of a row and verify its checksum."""
    width = 64 * 8**level
    content, check = row[:-4], struct.unpack("<I", row[-4:])[0]
    place = (series_id * PRIME ^ start ^ level) & MASK
    assert check == xxhash.xxh3_64_intdigest(content, seed=place) & 0xFFFFFFFF, "the checksum is wrong"
    assert content[0] == 1
    reading = _Reading(content, 2)
    millis = 0
    buckets = []
    for slot in range(8):
        if not content[1] >> slot & 1:
            continue
        flags = reading.byte()
        count, offset = (width, width - 1) if flags & 32 else (reading.number() + 1, reading.number())
        nonfinite_count = reading.number() if flags & 64 else count if flags & 128 else 0
        change = reading.number()
        millis += change >> 1 ^ -(change & 1)
        values = [math.nan, math.nan, 0.0, 0.0, math.nan]
        for index in range(5):
            if index == 4 or not flags & 128:
                values[index] = reading.float32() if flags >> index & 1 else reading.float64()
        last_step = start + slot * width + offset
        buckets.append(Bucket(count, nonfinite_count, *values, last_step, millis))
    assert reading.at == len(content), "trailing bytes"
    return buckets


def assert_rollups_match_points(connection: sqlite3.Connection) -> int:
    """Check that every row aggregates exactly the points of its block. Return the number of rows."""
    rows = connection.execute("SELECT series_id, level, start, buckets FROM rollups").fetchall()
    for series_id, level, start, row in rows:
        width = 64 * 8**level
        points: dict[int, list[tuple[int, float, int]]] = {}
        for step, value, millis in connection.execute(
            """SELECT step, value, timestamp_millis FROM points
               WHERE series_id = ? AND step BETWEEN ? AND ? ORDER BY step""",
            (series_id, start, start + 8 * width - 1),
        ):
            points.setdefault(step // width, []).append((step, math.nan if value is None else value, millis))
        found = decode(series_id, level, start, row)
        assert [bucket.last_step // width for bucket in found] == list(points), (series_id, level, start)
        for bucket, expected in zip(found, points.values(), strict=True):
            _assert_same(bucket, expected)
    return len(rows)


def _assert_same(bucket: Bucket, points: list[tuple[int, float, int]]) -> None:
    step, last, millis = points[-1]
    finite = [value for _, value, _ in points if math.isfinite(value)]
    assert (bucket.count, bucket.nonfinite_count) == (len(points), len(points) - len(finite))
    assert (bucket.last_step, bucket.last_millis) == (step, millis)
    assert bucket.last == last or (math.isnan(bucket.last) and math.isnan(last))
    if finite:
        assert (bucket.minimum, bucket.maximum) == (min(finite), max(finite))
    else:
        assert math.isnan(bucket.minimum)
        assert math.isnan(bucket.maximum)
    size, square_size = math.fsum(map(abs, finite)), math.fsum(value * value for value in finite)
    assert abs(bucket.total - math.fsum(finite)) <= 1e-12 * size
    assert abs(bucket.square_total - square_size) <= 1e-12 * square_size


class _Reading:
    def __init__(self, content: bytes, at: int) -> None:
        self.content = content
        self.at = at

    def byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def number(self) -> int:
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def float32(self) -> float:
        self.at += 4
        return float(struct.unpack_from("<f", self.content, self.at - 4)[0])

    def float64(self) -> float:
        self.at += 8
        return float(struct.unpack_from("<d", self.content, self.at - 8)[0])
