"""Damaged event files: only the damaged records are lost, each is reported, and time and memory are bounded."""

import os
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from event_records import EVENTS, RECORD_BYTES, SAMPLE, SAMPLE_POINTS, collect, event, field, header, record
from holter.formats import tfevents


def test_damaged_byte_costs_one_record(event_file):
    for offset in range(len(SAMPLE)):
        content = bytearray(SAMPLE)
        content[offset] ^= 0x5A
        points, damage, _ = collect(tfevents.read(event_file(content)))
        index = offset // RECORD_BYTES
        assert points == {key: value for key, value in SAMPLE_POINTS.items() if key[1] != index}
        assert [one.offset for one in damage] == [index * RECORD_BYTES]


def test_truncated_file_is_read_to_its_last_whole_record(event_file):
    for size in range(len(SAMPLE)):
        points, damage, _ = collect(tfevents.read(event_file(SAMPLE[:size])))
        num_whole = size // RECORD_BYTES
        assert points == {key: value for key, value in SAMPLE_POINTS.items() if key[1] < num_whole}
        assert [one.offset for one in damage] == ([num_whole * RECORD_BYTES] if size % RECORD_BYTES else [])
        assert all("ends within a record" in one.reason for one in damage)


def test_missing_and_extra_bytes(event_file):
    cut = SAMPLE[: 5 * RECORD_BYTES + 7] + SAMPLE[5 * RECORD_BYTES + 20 :]
    points, damage, _ = collect(tfevents.read(event_file(cut)))
    assert points == {key: value for key, value in SAMPLE_POINTS.items() if key[1] != 5}
    assert [one.offset for one in damage] == [5 * RECORD_BYTES]
    filled = SAMPLE[: 5 * RECORD_BYTES] + bytes(3000) + SAMPLE[5 * RECORD_BYTES :]
    points, (damage,), _ = collect(tfevents.read(event_file(filled)))
    assert points == SAMPLE_POINTS
    reason = "the length of a record is damaged; 3000 bytes are skipped"
    assert str(damage) == f"{damage.path}, byte {5 * RECORD_BYTES}: {reason}"


def test_length_beyond_the_file_is_damage(event_file):
    for length in (2**64 - 1, 2**63, 2**40, len(SAMPLE) + 1):
        content = SAMPLE[: 3 * RECORD_BYTES] + header(length) + SAMPLE[3 * RECORD_BYTES :]
        points, damage, _ = collect(tfevents.read(event_file(content)))
        assert points == SAMPLE_POINTS
        reason = f"the file ends within a record of {length} bytes; 12 bytes are skipped"
        assert [(one.offset, one.reason) for one in damage] == [(3 * RECORD_BYTES, reason)]


def test_large_records_are_read_or_skipped(event_file):
    large = [record(event(0, field(1, b"a") + field(4, bytes(size)))) for size in (1 << 16, 3 << 20)]
    too_long = header(5 << 20) + bytes((5 << 20) + 4)
    path = event_file(b"".join([SAMPLE[: 3 * RECORD_BYTES], *large, too_long, SAMPLE[3 * RECORD_BYTES :]]))
    assert collect(tfevents.read(path)) == (SAMPLE_POINTS, [], {"images": 2, "records too long for a scalar": 1})


def test_records_that_are_not_events_are_reported(event_file):
    invalid = {
        b"\xff" * 12: "a varint does not end",
        b"\x0b": "wire type 3 is unknown",
        b"\x09\x01": "a field extends beyond the message",
        b"\x2a\x7f": "a field extends beyond the message",
        b"\x00\x00": "a field has the number 0",
        field(1, 0.0) + b"\x12\x05ab": "a field extends beyond the message",
        b"\x10" + b"\x80" * 11: "a varint does not end",
    }
    points, damage, _ = collect(tfevents.read(event_file(SAMPLE + b"".join(map(record, invalid)))))
    assert points == SAMPLE_POINTS
    assert [one.reason for one in damage] == [f"the record is not an event: {reason}" for reason in invalid.values()]


def test_file_is_given_up_after_a_thousand_damaged_lengths(event_file):
    points, damage, _ = collect(tfevents.read(event_file((SAMPLE[:RECORD_BYTES] + b"\x01") * 1500)))
    assert points == {("tag 0", 0): 0.0}
    assert len(damage) == 1001
    assert damage[-1].reason.endswith("for the 1001th time: the rest of the file is skipped")


@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_search_for_the_next_record_takes_linear_time(event_file, byte):
    start = time.process_time()
    points, damage, _ = collect(tfevents.read(event_file(byte * (32 << 20) + SAMPLE)))
    assert (points, len(damage)) == (SAMPLE_POINTS, 1)
    assert time.process_time() - start < 20


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(EVENTS).map(record), st.binary(max_size=60).map(record)))
)
@example([b"\x0a"])
@example([record(b"")])
def test_random_bytes(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("random") / "x.tfevents"
    path.write_bytes(b"".join(pieces))
    points, damage, _ = collect(tfevents.read(path))
    assert all(0 <= one.offset < path.stat().st_size for one in damage)
    assert points.items() <= SAMPLE_POINTS.items() or any(piece not in map(record, EVENTS) for piece in pieces)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=60))
def test_random_messages(tmp_path_factory, messages):
    path = tmp_path_factory.mktemp("messages") / "x.tfevents"
    path.write_bytes(b"".join(map(record, messages)))
    offsets = {0}
    for message in messages:
        offsets.add(max(offsets) + len(record(message)))
    _, damage, _ = collect(tfevents.read(path))
    assert offsets >= {one.offset for one in damage}


def test_file_that_shrinks_while_it_is_read(tmp_path):
    """Long enough for several batches: the first is read before the file shrinks."""
    num_samples = (16 << 20) // len(SAMPLE)
    path = tmp_path / "x.tfevents"
    path.write_bytes(SAMPLE * num_samples)
    batches = tfevents.read(path)
    first = next(batches)
    last_record = (num_samples * len(EVENTS) - 1) * RECORD_BYTES
    os.truncate(path, last_record + 1)
    points, damage, _ = collect([first, *batches])
    assert points == SAMPLE_POINTS
    assert [one.offset for one in damage] == [last_record]


def test_file_that_grows_is_read_to_the_end_it_had(tmp_path):
    path = tmp_path / "x.tfevents"
    path.write_bytes(SAMPLE * ((16 << 20) // len(SAMPLE)))
    size = path.stat().st_size
    batches = tfevents.read(path)
    first = next(batches)
    with path.open("ab") as file:
        file.write(SAMPLE)
    rest = list(batches)
    assert sum(map(len, [first, *rest])) == size // RECORD_BYTES
    assert rest[-1].bytes_read == size
