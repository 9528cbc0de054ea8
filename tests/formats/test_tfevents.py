"""Event files: every point comes back, TensorBoard reads ours, we read TensorBoard's, and damage ends nothing."""

import os
import struct
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import holter
from holter.formats import tfevents
from holter.formats.tfevents import _crc32c, _records

# --- What the tests build files from: TFRecord and protobuf by hand, bit by bit ---


def crc32c(data):
    """The definition, one bit after the other."""
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data):
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def large_record(data):
    """As `record`, by our own checksum, since the definition takes a second for each megabyte."""
    buffer = np.concatenate([np.zeros(_crc32c.MAX_SPAN_AT_ONCE, np.uint8), np.frombuffer(data, np.uint8)])
    span = np.array([_crc32c.MAX_SPAN_AT_ONCE]), np.array([len(data)])
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + _crc32c.masked_crcs(buffer, *span).tobytes()


def varint(number):
    number %= 1 << 64
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def field(number, content):
    if isinstance(content, float):
        return varint(number << 3 | 1) + struct.pack("<d", content)
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def scalar(tag, value):
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def event(step, *values, at=1.5):
    return field(1, at) + field(2, step) + field(5, b"".join(field(1, value) for value in values))


def points_in(batches):
    """The points by name and step, a later one winning, and everything else that the batches tell."""
    points, damage, left_out = {}, [], Counter()
    for batch in batches:
        damage += batch.damage
        left_out.update(batch.left_out)
        assert len(batch) == len(batch.codes) == len(batch.steps) == len(batch.values) == len(batch.times)
        for name, steps, values, _ in batch.series():
            points.update({(name, step): value for step, value in zip(steps.tolist(), values.tolist(), strict=True)})
    return points, damage, left_out


@pytest.fixture
def event_file(tmp_path):
    """A function that writes a file of these bytes."""

    def write(content):
        path = tmp_path / "events.out.tfevents.1"
        path.write_bytes(content)
        return path

    return write


# --- The checksum ---


def test_crc_of_the_standards_example():
    assert crc32c(b"123456789") == 0xE3069283  # the test vector of the catalogue of CRCs, "CRC-32/ISCSI"
    assert masked(b"123456789") == _crc32c.masked_crcs_of_rows(np.frombuffer(b"123456789", np.uint8)[None]).tobytes()


def test_crcs_of_spans_of_every_length():
    lengths = np.array([*range(70), 255, 256, 257, 300, 1023, 1024, 4095, 4096, 4097, 5000, 2048, 2047])
    data = np.random.default_rng(0).integers(0, 256, int(lengths.sum()), np.uint8)
    buffer = np.concatenate([np.full(_crc32c.MAX_SPAN_AT_ONCE, 0xAA, np.uint8), data])
    starts = np.cumsum(lengths) - lengths + _crc32c.MAX_SPAN_AT_ONCE
    found = _crc32c.masked_crcs(buffer, starts, lengths)
    spans = [bytes(buffer[start : start + length]) for start, length in zip(starts, lengths, strict=True)]
    assert [crc.tobytes() for crc in found] == [masked(span) for span in spans]


# --- There and back ---

EDGES = [0.0, -0.0, 1.0, 1 / 3, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308, 3.4e38, 1e39]
STEPS = [-(2**63), -1, 0, 1, 127, 128, 16383, 16384, 2**31, 2**40, 2**63 - 1]


def recorded(path, series, **settings):
    with holter.Logger(path, **settings) as logger:
        for name, points in series.items():
            for step, value in points:
                logger.log(step, name, value)
    return holter.open_run(path)


def assert_same_series(found, expected):
    assert found.names() == expected.names()
    for name in expected.names():
        ours, theirs = found.series(name), expected.series(name)
        assert ours.steps.tolist() == theirs.steps.tolist()
        np.testing.assert_array_equal(ours.values, theirs.values)


def imported(path, files):
    with holter.Logger(path) as logger:
        for batch in tfevents.read(files):
            assert batch.damage == ()
            for name, steps, values, _ in batch.series():
                metric = logger.metric(name)
                for step, value in zip(steps.tolist(), values.tolist(), strict=True):
                    metric.log(step, value)
    return holter.open_run(path)


def test_points_come_back_equal(tmp_path):
    series = {
        "float64": list(zip(STEPS, EDGES, strict=True)),
        "float32": [(step, float(np.float32(step % 7 / 3))) for step in STEPS],
        "näme/with spaces": [(3, 0.5)],
        "x" * 5000: [(4, 1 / 3)],
    }
    run = recorded(tmp_path / "run", series)
    (path,) = tfevents.write(run, tmp_path / "tensorboard")
    assert_same_series(imported(tmp_path / "again", tmp_path / "tensorboard"), run)
    assert points_in(tfevents.read(path))[1:] == ([], {})


@settings(max_examples=15, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20),
        st.dictionaries(
            st.integers(-(2**63), 2**63 - 1), st.one_of(st.floats(), st.floats(width=32)), min_size=1, max_size=40
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_points_come_back_equal(tmp_path_factory, series):
    directory = tmp_path_factory.mktemp("any")
    run = recorded(directory / "run", {name: points.items() for name, points in series.items()}, sinks=["sqlite"])
    tfevents.write(run, directory / "tensorboard")
    points, damage, left_out = points_in(tfevents.read(directory / "tensorboard"))
    expected = {(name, step): value for name, points in series.items() for step, value in points.items()}
    assert points.keys() == expected.keys()
    np.testing.assert_array_equal([points[key] for key in expected], list(expected.values()))
    assert (damage, left_out) == ([], {})


def test_times_come_back(tmp_path):
    run = recorded(tmp_path / "run", {"a": [(step, 1.0) for step in range(100)]})
    tfevents.write(run, tmp_path / "tensorboard")
    (times,) = (times for batch in tfevents.read(tmp_path / "tensorboard") for *_, times in batch.series())
    expected = run.series("a").timestamps.astype(np.int64)
    assert np.abs(times * 1e6 - expected).max() < 1


def test_ranks_are_runs_of_their_own(tmp_path):
    recorded(tmp_path / "run", {"a": [(0, 1.0)]})
    recorded(tmp_path / "run", {"a": [(0, 2.0)]}, rank=3)
    run = holter.open_run(tmp_path / "run")
    tfevents.write(run, tmp_path / "all")
    assert list(tfevents.find(tmp_path / "all")) == [".", "rank-00003"]
    assert points_in(tfevents.read(tmp_path / "all" / "rank-00003"))[0] == {("a", 0): 2.0}
    tfevents.write(run.open_rank(3), tmp_path / "one")
    assert list(tfevents.find(tmp_path / "one")) == ["rank-00003"]


def test_selected_series_and_progress(tmp_path):
    run = recorded(tmp_path / "run", {"loss/a": [(0, 1.0), (200, 1.0)], "loss/b": [(0, 1 / 3)], "c": [(0, 1.0)]})
    steps = []
    tfevents.write(run, tmp_path / "tensorboard", pattern="loss/*", progress=steps.append)
    points, _, _ = points_in(tfevents.read(tmp_path / "tensorboard"))
    assert points == {("loss/a", 0): 1.0, ("loss/a", 200): 1.0, ("loss/b", 0): 1 / 3}
    assert sum(steps) == 3
    assert tfevents.write(run, tmp_path / "nothing", pattern="none") == []
    assert not (tmp_path / "nothing").exists()


def test_event_files_that_are_there_are_not_mixed_with(tmp_path):
    run = recorded(tmp_path / "run", {"a": [(0, 1.0)]})
    tfevents.write(run, tmp_path / "tensorboard")
    with pytest.raises(FileExistsError, match="holds event files already"):
        tfevents.write(run, tmp_path / "tensorboard")


def test_export_that_is_broken_off_leaves_nothing(tmp_path):
    run = recorded(tmp_path / "run", {"a": [(0, 1.0)]})

    def stop(num_points):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tfevents.write(run, tmp_path / "tensorboard", progress=stop)
    assert list((tmp_path / "tensorboard").iterdir()) == []


# --- TensorBoard's own reader and writer ---


@pytest.fixture
def accumulated():
    """A function from a directory to TensorBoard's own view of it, with nothing left out."""
    module = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    return lambda path: module.EventAccumulator(str(path), dict.fromkeys(module.DEFAULT_SIZE_GUIDANCE, 0)).Reload()


def test_tensorboard_reads_ours(tmp_path, accumulated):
    points = {
        "float32": [(step, step / 4) for step in range(300)],
        "float64": [(step, step / 3) for step in range(300)],
    }
    run = recorded(tmp_path / "run", points)
    tfevents.write(run, tmp_path / "tensorboard")
    theirs = accumulated(tmp_path / "tensorboard")
    assert theirs.Tags()["scalars"] == ["float32", "float64"]
    for tag, expected in points.items():
        found = [(one.step, one.value) for one in theirs.Scalars(tag)]
        assert found == [(step, float(np.float32(value))) for step, value in expected]
    assert theirs.file_version == 2.0
    assert theirs.FirstEventTimestamp() == pytest.approx(run.created.timestamp(), abs=1)


def test_we_read_tensorboards(tmp_path, accumulated):
    writer_of = pytest.importorskip("torch.utils.tensorboard", reason="torch or tensorboard is not installed")
    from tensorboard.util import tensor_util

    with writer_of.SummaryWriter(tmp_path) as writer:
        for step in range(500):
            writer.add_scalar("loss/train", 1 / (step + 1), step)
            writer.add_scalar("loss/valid", 2 / (step + 1), step, walltime=12345.5)
            writer.add_scalar("new", 1 / (step + 1), step, new_style=True)
            writer.add_scalar("double", 1 / (step + 1), step, new_style=True, double_precision=True)
        writer.add_scalar("no step", 1.0)
        writer.add_histogram("weights", np.arange(10.0), 0)
        writer.add_image("image", np.zeros((3, 2, 2), np.uint8), 0)
        writer.add_text("text", "hello", 0)
        writer.add_hparams({"lr": 0.1}, {"hparam/loss": 1.0}, run_name="trial")
    theirs = accumulated(tmp_path)
    expected = {(tag, one.step): one.value for tag in theirs.Tags()["scalars"] for one in theirs.Scalars(tag)}
    expected.update(
        {
            (tag, one.step): tensor_util.make_ndarray(one.tensor_proto).item()
            for tag in ("new", "double")
            for one in theirs.Tensors(tag)
        }
    )
    points, damage, left_out = points_in(tfevents.read(tmp_path))
    assert len(expected) == 4 * 500 + 1
    assert points == expected
    assert points["double", 2] == 1 / 3
    assert (damage, left_out) == ([], {"histograms": 1, "images": 1, "tensors": 1})
    assert list(tfevents.find(tmp_path)) == [".", "trial"]
    assert points_in(tfevents.read(tmp_path / "trial"))[0] == {("hparam/loss", 0): 1.0}


# --- Forms that other writers use ---


def tensor(tag, kind, *fields):
    return field(1, tag.encode()) + field(8, field(1, kind) + b"".join(fields))


FORMS = {
    "simple_value": scalar("a", 0.5),
    "float_val": tensor("a", 1, field(2, b""), field(5, struct.pack("<f", 0.5))),
    "float_val, not packed": tensor("a", 1, b"\x2d" + struct.pack("<f", 0.5)),
    "double_val": tensor("a", 2, field(6, struct.pack("<d", 0.5))),
    "tensor_content of float32": tensor("a", 1, field(4, struct.pack("<f", 0.5))),
    "tensor_content of float64": tensor("a", 2, field(4, struct.pack("<d", 0.5))),
    "fields that are not known": field(99, b"xyz") + scalar("a", 0.5) + field(100, 7) + field(101, 1.5),
    "float64 beside simple_value": scalar("a", 0.25) + field(18_540, 0.5),
    "value before tag": b"\x15" + struct.pack("<f", 0.5) + field(1, b"a"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [1, 40], ids=["one", "many"])
def test_forms_of_a_scalar(event_file, form, count):
    path = event_file(b"".join(record(event(step, FORMS[form])) for step in range(count)))
    assert points_in(tfevents.read(path)) == ({("a", step): 0.5 for step in range(count)}, [], {})


NO_SCALARS = {
    "tensors": [
        tensor("a", 1, field(5, bytes(8))), tensor("a", 1, field(5, bytes(4)), field(5, bytes(4))),
        tensor("a", 7, field(8, b"text")), tensor("a", 3, field(7, 1)), tensor("a", 2, field(4, bytes(4))),
        tensor("a", 1),
    ],
    "histograms": [field(1, b"a") + field(5, bytes(30))],
    "images": [field(1, b"a") + field(4, b"png")],
    "audio": [field(1, b"a") + field(6, b"wav")],
    "values without content": [field(1, b"a")],
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_SCALARS)
def test_what_is_no_scalar_is_counted(event_file, kind):
    path = event_file(b"".join(record(event(0, value)) for value in NO_SCALARS[kind]))
    assert points_in(tfevents.read(path)) == ({}, [], {kind: len(NO_SCALARS[kind])})


def test_events_with_several_values_or_none(event_file):
    several = [
        event(step, scalar("a", step), scalar("bb", -step), field(1, b"c") + field(4, b"png")) for step in range(20)
    ]
    plain = [event(step, scalar("a", step), scalar("bb", -step)) for step in range(20, 60)]
    others = [field(1, 1.0) + field(3, b"brain.Event:2"), field(1, 1.0) + field(4, b"graph"), b"", field(7, b"")]
    path = event_file(b"".join(map(record, [*others, *several, *plain])))
    points, damage, left_out = points_in(tfevents.read(path))
    assert points == {(name, step): sign * step for step in range(60) for name, sign in (("a", 1.0), ("bb", -1.0))}
    assert (damage, left_out) == ([], {"images": 20, "graphs": 1, "session marks": 1})


def test_step_and_time_that_are_not_given_are_zero(event_file):
    values = [field(5, field(1, scalar(f"tag {number:02}", number))) for number in range(40)]
    (batch,) = tfevents.read(event_file(b"".join(map(record, values))))
    assert (batch.steps.any(), batch.times.any()) == (False, False)
    assert points_in([batch])[0] == {(f"tag {number:02}", 0): number for number in range(40)}


def test_layouts_of_one_length_that_take_turns(event_file):
    """More layouts than are looked for, so that most events are parsed one by one."""
    fillers = [field(90 + number, b"x") for number in range(20)]
    events = [event(step, scalar("a", step)) + fillers[step % 20] for step in range(100, 1000)]
    path = event_file(b"".join(map(record, events)))
    assert points_in(tfevents.read(path))[0] == {("a", step): float(step) for step in range(100, 1000)}


def test_later_value_of_a_step_comes_later(event_file):
    events = [event(step % 50, scalar("a" * (step % 3 + 1), step)) for step in range(600)]
    (batch,) = tfevents.read(event_file(b"".join(map(record, events))))
    assert [round(value) for value in batch.values.tolist()] == list(range(600))


def test_tags_that_can_name_no_series_are_reported(event_file):
    tags = [b"", b"a\0b", b"\xff", b"x" * 65_536, b"fine"]
    events = [event(step, field(1, tag) + scalar("", step)[2:]) for step, tag in enumerate(tags)]
    content = b"".join(map(record, events))
    points, damage, _ = points_in(tfevents.read(event_file(content)))
    assert points == {("fine", 4): 4.0}
    offsets = np.cumsum([0, *(len(record(one)) for one in events)])[:4].tolist()
    reasons = ["empty", "NUL", "not UTF-8", "65536 bytes"]
    assert [one.offset for one in damage] == offsets
    assert [reason in one.reason for one, reason in zip(damage, reasons, strict=True)] == [True] * 4


# --- Where the files are ---


def test_runs_are_found_as_tensorboard_names_them(tmp_path):
    for name in ("b/events.out.tfevents.2.host", "b/events.out.tfevents.1.host", "b/c/x.tfevents", "a/other.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    (tmp_path / "a" / "link.tfevents").symlink_to(tmp_path / "b" / "c" / "x.tfevents")
    found = tfevents.find(tmp_path)
    assert {name: [path.name for path in paths] for name, paths in found.items()} == {
        "b": ["events.out.tfevents.1.host", "events.out.tfevents.2.host"],
        "b/c": ["x.tfevents"],
    }
    with pytest.raises(FileNotFoundError, match="no directory"):
        tfevents.find(tmp_path / "nowhere")


def test_several_paths_are_read_in_order(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.tfevents").write_bytes(record(event(0, scalar("a", number))))
    batches = list(tfevents.read([tmp_path / "2.tfevents", str(tmp_path)]))
    assert [batch.values.tolist() for batch in batches] == [[2.0], [0.0], [1.0], [2.0]]
    assert [batch.bytes_read for batch in batches] == [batch.path.stat().st_size for batch in batches]


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.tfevents")
    with pytest.raises(ValueError, match="must be a file"):
        list(tfevents.read(tmp_path / "pipe.tfevents"))
    with pytest.raises(FileNotFoundError):
        list(tfevents.read(tmp_path / "nowhere"))


# --- Damage ---

EVENTS = [event(step, scalar(f"tag {step % 3}", step)) for step in range(18)]
WHOLE = b"".join(map(record, EVENTS))
POINTS = {(f"tag {step % 3}", step): float(step) for step in range(18)}
SIZE = len(record(EVENTS[0]))


def test_every_byte_may_be_damaged(event_file):
    for offset in range(len(WHOLE)):
        content = bytearray(WHOLE)
        content[offset] ^= 0x5A
        points, damage, _ = points_in(tfevents.read(event_file(content)))
        index = offset // SIZE
        lost = {key: value for key, value in POINTS.items() if key[1] == index}
        assert points == {key: value for key, value in POINTS.items() if key not in lost}
        assert [one.offset for one in damage] == [index * SIZE]


def test_file_may_end_anywhere(event_file):
    for size in range(len(WHOLE)):
        points, damage, _ = points_in(tfevents.read(event_file(WHOLE[:size])))
        assert points == {key: value for key, value in POINTS.items() if key[1] < size // SIZE}
        assert [one.offset for one in damage] == ([] if size % SIZE == 0 else [size // SIZE * SIZE])
        assert all("ends within a record" in one.reason for one in damage)


def test_bytes_may_be_missing_or_be_too_many(event_file):
    cut = WHOLE[: 5 * SIZE + 7] + WHOLE[5 * SIZE + 20 :]
    points, damage, _ = points_in(tfevents.read(event_file(cut)))
    assert points == {key: value for key, value in POINTS.items() if key[1] != 5}
    filled = WHOLE[: 5 * SIZE] + bytes(3000) + WHOLE[5 * SIZE :]
    points, damage, _ = points_in(tfevents.read(event_file(filled)))
    assert points == POINTS
    assert [(one.offset, "3000 bytes are passed over" in one.reason) for one in damage] == [(5 * SIZE, True)]
    assert str(damage[0]).startswith(f"{damage[0].path}, byte {5 * SIZE}: the length of a record is damaged")


def test_lengths_are_not_believed(event_file):
    for length in (2**64 - 1, 2**63, 2**40, len(WHOLE) + 1):
        header = struct.pack("<Q", length)
        absurd = header + masked(header)
        points, damage, _ = points_in(tfevents.read(event_file(WHOLE[: 3 * SIZE] + absurd + WHOLE[3 * SIZE :])))
        assert points == POINTS
        assert [(one.offset, f"within a record of {length} bytes" in one.reason) for one in damage] == [
            (3 * SIZE, True)
        ]


def test_large_records_are_passed_over_unread(event_file):
    large = [large_record(event(0, field(1, b"a") + field(4, bytes(size)))) for size in (1 << 16, 3 << 20)]
    header = struct.pack("<Q", 5 << 20)
    unread = header + masked(header) + bytes((5 << 20) + 4)
    path = event_file(b"".join([WHOLE[: 3 * SIZE], *large, unread, WHOLE[3 * SIZE :]]))
    assert points_in(tfevents.read(path)) == (POINTS, [], {"images": 2, "records too long for a scalar": 1})


def test_records_that_are_no_events_are_reported(event_file):
    wrong = [
        b"\xff" * 12,
        b"\x0b",
        b"\x09\x01",
        b"\x2a\x7f",
        b"\x00\x00",
        field(1, 0.0) + b"\x12\x05ab",
        b"\x10" + b"\x80" * 11,
    ]
    path = event_file(WHOLE + b"".join(map(record, wrong)))
    points, damage, _ = points_in(tfevents.read(path))
    assert points == POINTS
    assert len(damage) == len(wrong)
    assert all(one.reason.startswith("the record is no event") for one in damage)


def test_file_that_is_all_damage_is_given_up(event_file):
    """Each search for the next record costs something, so that their number is bounded."""
    content = (WHOLE[:SIZE] + b"\x01") * 1500
    points, damage, _ = points_in(tfevents.read(event_file(content)))
    assert points == {("tag 0", 0): 0.0}
    assert len(damage) == 1001
    assert "the rest of the file is left out" in damage[-1].reason


@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_much_of_nothing_is_read_in_time(event_file, byte):
    begin = time.process_time()
    points, damage, _ = points_in(tfevents.read(event_file(byte * (8 << 20) + WHOLE)))
    assert (points, len(damage)) == (POINTS, 1)
    assert time.process_time() - begin < 20


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(EVENTS).map(record), st.binary(max_size=60).map(record)))
)
@example([b"\x0a"])
@example([record(b"")])
def test_random_bytes(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("random") / "x.tfevents"
    path.write_bytes(b"".join(pieces))
    points, damage, _ = points_in(tfevents.read(path))
    assert all(0 <= one.offset < path.stat().st_size for one in damage)
    assert points.items() <= POINTS.items() or any(piece not in map(record, EVENTS) for piece in pieces)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=60))
def test_random_messages(tmp_path_factory, messages):
    path = tmp_path_factory.mktemp("messages") / "x.tfevents"
    path.write_bytes(b"".join(map(record, messages)))
    _, damage, _ = points_in(tfevents.read(path))
    assert len(damage) <= len(messages)


def test_file_that_becomes_shorter_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(_records, "_CHUNK", 64 * SIZE)
    path = tmp_path / "x.tfevents"
    path.write_bytes(WHOLE * 300)
    batches = tfevents.read(path)
    first = next(batches)
    os.truncate(path, (300 * len(EVENTS) - 1) * SIZE + 1)
    points, damage, _ = points_in([first, *batches])
    assert points == POINTS
    assert [one.offset for one in damage] == [(300 * len(EVENTS) - 1) * SIZE]


def test_small_chunks_give_the_same(tmp_path, monkeypatch, event_file):
    path = event_file(WHOLE)
    for size in (SIZE, SIZE + 1, 3 * SIZE - 1, 17):
        monkeypatch.setattr(_records, "_CHUNK", size)
        assert points_in(tfevents.read(path)) == (POINTS, [], {})


# --- A million points ---


def test_million_points_are_imported_in_time(tmp_path):
    steps, names = 20_000, [f"grad_norm/blocks.{number}.weight" for number in range(50)]
    values = np.random.default_rng(0).normal(size=(steps, len(names)))
    values[:, ::2] = values[:, ::2].astype(np.float32)
    with holter.Logger(tmp_path / "run", sinks=["sqlite"]) as logger:
        metrics = logger.metrics(names)
        for step in range(steps):
            logger.log_array(step, metrics, values[step])
    run = holter.open_run(tmp_path / "run")
    tfevents.write(run, tmp_path / "tensorboard")
    begin = time.process_time()  # of all threads: what it would take on one core
    again = imported(tmp_path / "again", tmp_path / "tensorboard")
    assert time.process_time() - begin < 10
    assert_same_series(again, run)
