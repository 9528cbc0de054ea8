"""The test vectors of docs/on-disk-format.md, read by a decoder that shares no code with Holter."""

import math
import re
import struct
from pathlib import Path

import xxhash

from rollup_rows import decode

DOCUMENT = (Path(__file__).parents[1] / "docs/on-disk-format.md").read_text("utf-8")
ID = 0x0123456789ABCDEF


def vector(name: str) -> str:
    found = re.search(rf"^```\w+ {name}\n(.*?)\n```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


def test_journal_header_decodes() -> None:
    header = bytes.fromhex(vector("journal-header"))
    magic, version, pid, capacity, journal_id, started, check = struct.unpack("<8sIIQQqQ", header)
    assert (magic, version, pid, capacity) == (b"HOLTERJ\n", 1, 4242, 8)
    assert (journal_id, started) == (ID, 1_769_000_445_123_000)
    assert check == xxhash.xxh3_64_intdigest(header[:40], seed=journal_id)


def test_journal_slot_decodes() -> None:
    commit, step, value, series_and_time = struct.unpack("<QqdQ", bytes.fromhex(vector("journal-slot")))
    assert (commit >> 24) - 1 == 0
    assert (step, value, series_and_time) == (100, 0.5, 1500)
    mask = (1 << 64) - 1

    def rotated(word: int, bits: int) -> int:
        return (word << bits | (word & mask) >> (64 - bits)) & mask

    (value_bits,) = struct.unpack("<Q", struct.pack("<d", value))
    total = (
        (0 ^ ID) * 0x9E3779B97F4A7C15
        + step * 0xBF58476D1CE4E5B9
        + rotated(value_bits * 0x94D049BB133111EB & mask, 21)
        + rotated(series_and_time * 0xD6E8FEB86659FD93 & mask, 42)
    ) & mask
    assert commit & 0xFFFFFF == ((total ^ total >> 31) * 0xA0761D6478BD642F & mask) >> 40


def test_journal_name_decodes() -> None:
    entry = bytes.fromhex(vector("journal-name"))
    length, check = struct.unpack("<II", entry[:8])
    assert (length, entry[8:]) == (10, b"train/loss")
    assert check == xxhash.xxh3_64_intdigest(entry[8:], seed=ID) & 0xFFFFFFFF


def test_rollup_row_decodes() -> None:
    first, second = decode(1, 0, 0, bytes.fromhex(vector("rollup-row")))
    assert (first.count, first.nonfinite_count, first.last_step, first.last_millis) == (64, 0, 63, 630)
    assert (first.minimum, first.maximum, first.total, first.square_total, first.last) == (0, 63, 2016, 85344, 63)
    assert (second.count, second.nonfinite_count, second.last_step, second.last_millis) == (2, 1, 70, 700)
    assert (second.minimum, second.maximum, second.total, second.last) == (0.1, 0.1, 0.1, 0.1)
    assert math.isclose(second.square_total, 0.01)
