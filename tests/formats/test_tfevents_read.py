"""Reading event files: every form of a scalar, files and directories, and what is not a scalar."""

import os
import struct

import numpy as np
import pytest

from event_records import collect, event, field, record, scalar, tensor
from holter.formats import tfevents

FORMS = {
    "simple_value": scalar("a", 0.5),
    "packed float_val": tensor("a", 1, field(2, b""), field(5, struct.pack("<f", 0.5))),
    "unpacked float_val": tensor("a", 1, b"\x2d" + struct.pack("<f", 0.5)),
    "double_val": tensor("a", 2, field(6, struct.pack("<d", 0.5))),
    "tensor_content of float32": tensor("a", 1, field(4, struct.pack("<f", 0.5))),
    "tensor_content of float64": tensor("a", 2, field(4, struct.pack("<d", 0.5))),
    "unknown fields": field(99, b"xyz") + scalar("a", 0.5) + field(100, 7) + field(101, 1.5),
    "exact value after simple_value": scalar("a", 0.25) + field(18_540, 0.5),
    "value before tag": b"\x15" + struct.pack("<f", 0.5) + field(1, b"a"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_scalar_is_read(event_file, form):
    path = event_file(b"".join(record(event(step, FORMS[form])) for step in range(40)))
    assert collect(tfevents.read(path)) == ({("a", step): 0.5 for step in range(40)}, [], {})


NOT_SCALARS = {
    "tensors": [
        tensor("a", 1, field(5, bytes(8))), tensor("a", 1, field(5, bytes(4)), field(5, bytes(4))),
        tensor("a", 7, field(8, b"text")), tensor("a", 3, field(7, 1)), tensor("a", 2, field(4, bytes(4))),
        tensor("a", 1), tensor("a", 1, field(5, 1 << 21)), field(1, b"a") + field(8, 1),
    ],
    "histograms": [field(1, b"a") + field(5, bytes(30))],
    "images": [field(1, b"a") + field(4, b"png")],
    "audio": [field(1, b"a") + field(6, b"wav")],
    "values without content": [field(1, b"a")],
}  # fmt: skip


@pytest.mark.parametrize("kind", NOT_SCALARS)
def test_values_that_are_not_scalars_are_counted(event_file, kind):
    path = event_file(b"".join(record(event(0, value)) for value in NOT_SCALARS[kind]))
    assert collect(tfevents.read(path)) == ({}, [], {kind: len(NOT_SCALARS[kind])})


def test_events_with_several_values_or_none(event_file):
    several = [
        event(step, scalar("a", step), scalar("bb", -step), field(1, b"c") + field(4, b"png")) for step in range(20)
    ]
    plain = [event(step, scalar("a", step), scalar("bb", -step)) for step in range(20, 60)]
    others = [field(1, 1.0) + field(3, b"brain.Event:2"), field(1, 1.0) + field(4, b"graph"), b"", field(7, b"")]
    path = event_file(b"".join(map(record, [*others, *several, *plain])))
    points, damage, skipped = collect(tfevents.read(path))
    assert points == {(name, step): sign * step for step in range(60) for name, sign in (("a", 1.0), ("bb", -1.0))}
    assert (damage, skipped) == ([], {"images": 20, "graphs": 1, "session marks": 1})


def test_missing_step_and_time_are_zero(event_file):
    values = [field(5, field(1, scalar(f"tag {number:02}", number))) for number in range(40)]
    (batch,) = tfevents.read(event_file(b"".join(map(record, values))))
    assert (batch.steps.any(), batch.times.any()) == (False, False)
    assert collect([batch])[0] == {(f"tag {number:02}", 0): number for number in range(40)}


def test_points_keep_the_order_of_the_file(event_file):
    events = [event(step % 50, scalar("a" * (step % 3 + 1), step)) for step in range(600)]
    (batch,) = tfevents.read(event_file(b"".join(map(record, events))))
    assert batch.values.tolist() == list(range(600))
    assert collect([batch])[0]["a", 49] == 549.0, "the last value of a step"


def test_invalid_tags_are_reported(event_file):
    tags = [b"", b"a\0b", b"\xff", b"x" * 65_536, b"fine"]
    events = [event(step, field(1, tag) + scalar("", step)[2:]) for step, tag in enumerate(tags)]
    points, damage, _ = collect(tfevents.read(event_file(b"".join(map(record, events)))))
    assert points == {("fine", 4): 4.0}
    assert [one.offset for one in damage] == np.cumsum([0, *(len(record(one)) for one in events)])[:4].tolist()
    assert [one.reason for one in damage] == [
        "the tag is empty",
        "the tag contains a NUL",
        "the tag is not UTF-8",
        "the tag has 65536 bytes; a series name has at most 65535",
    ]


def test_long_files_are_read_in_several_batches(event_file):
    steps = 150_000
    size = len(record(event(steps, scalar("a", 0.5))))
    path = event_file(record(event(steps, scalar("a", 0.5))) * steps)
    batches = list(tfevents.read(path))
    assert len(batches) > 1
    assert sum(map(len, batches)) == steps
    assert [batch.bytes_read for batch in batches] == sorted({batch.bytes_read for batch in batches})
    assert batches[-1].bytes_read == size * steps


# --- Files and directories ---


def test_runs_are_named_as_in_tensorboard(tmp_path):
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
    with pytest.raises(FileNotFoundError, match="no such directory"):
        tfevents.find(tmp_path / "nowhere")


def test_several_paths_are_read_in_order(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.tfevents").write_bytes(record(event(0, scalar("a", number))))
    batches = list(tfevents.read([tmp_path / "2.tfevents", str(tmp_path)]))
    assert [batch.values.tolist() for batch in batches] == [[2.0], [0.0], [1.0], [2.0]]
    assert [batch.bytes_read for batch in batches] == [batch.path.stat().st_size for batch in batches]


def test_paths_that_are_not_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.tfevents")
    with pytest.raises(ValueError, match=r"pipe\.tfevents: .*regular file"):
        list(tfevents.read(tmp_path / "pipe.tfevents"))
    with pytest.raises(FileNotFoundError) as raised:
        list(tfevents.read(tmp_path / "nowhere"))
    assert (raised.value.filename, raised.value.strerror) == (str(tmp_path / "nowhere"), os.strerror(2))
