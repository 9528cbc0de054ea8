"""JSON Lines: flat objects or points; invalid lines are reported, and the rest is imported."""

import json

import pytest

from holter.formats import _text_lines

FLAT = """\
{"step": 1000, "train_loss": 2.5, "grad_norm/blocks.0.M_init": 0.0023, "memory_rw_ratio/layer_0": 1}
{"step": 2000, "train_loss": NaN, "grad_norm/blocks.0.M_init": Infinity, "memory_rw_ratio/layer_0": -Infinity}
"""


def test_flat_objects(import_text):
    points, faults, imported = import_text("metrics.jsonl", FLAT)
    assert points == {
        ("train_loss", 1000): "2.5",
        ("train_loss", 2000): "nan",
        ("grad_norm/blocks.0.M_init", 1000): "0.0023",
        ("grad_norm/blocks.0.M_init", 2000): "inf",
        ("memory_rw_ratio/layer_0", 1000): "1.0",
        ("memory_rw_ratio/layer_0", 2000): "-inf",
    }
    assert faults == []
    assert (imported.num_points, imported.num_series, imported.num_replaced) == (6, 3, 0)


@pytest.mark.parametrize("key", ["step", "_step", "global_step", "trainer/global_step", "iteration", "epoch"])
def test_every_step_key_is_accepted(import_text, key):
    points, faults, _ = import_text("x.jsonl", json.dumps({"a": 1, key: 7}))
    assert (points, faults) == ({("a", 7): "1.0"}, [])


def test_second_step_key_is_a_series(import_text):
    points, _, _ = import_text("x.jsonl", '{"epoch": 2, "global_step": 40, "step": null}')
    assert points == {("epoch", 40): "2.0"}


def test_values_that_are_not_numbers_are_counted(import_text):
    row = {
        "step": 1,
        "text": "12",
        "none": None,
        "list": [1],
        "object": {"a": 1},
        "timestamp": 1.5,
        "ok": True,
        "x": "nan",
    }
    points, faults, imported = import_text("x.jsonl", json.dumps(row))
    assert points == {("ok", 1): "1.0", ("x", 1): "nan"}
    assert faults == []
    assert imported.skipped == {"texts": 1, "nulls": 1, "lists": 1, "objects": 1, "times": 1}


def test_points_of_an_export(import_text):
    row = {"run": "r", "rank": 0, "name": "loss", "step": 3, "value": "-inf", "timestamp": "2026-01-01T00:00:00Z"}
    points, faults, imported = import_text(
        "x.jsonl", json.dumps(row) + "\n" + json.dumps({**row, "step": 4, "value": 0.1})
    )
    assert points == {("loss", 3): "-inf", ("loss", 4): "0.1"}
    assert (faults, imported.skipped) == ([], {})


@pytest.mark.parametrize("other", [{"run": "b"}, {"rank": 1}])
def test_several_runs_or_ranks_are_rejected(import_text, other, tmp_path):
    row = {"run": "a", "rank": 0, "name": "loss", "step": 3, "value": 1.0}
    with pytest.raises(ValueError, match="contains several r"):
        import_text("x.jsonl", json.dumps(row) + "\n" + json.dumps({**row, **other}))
    assert list((tmp_path / "runs").iterdir()) == []


FAULTS = {
    "{bad": "invalid JSON: Expecting property name enclosed in double quotes at column 2",
    "[1]": "expected a JSON object, got [1]",
    '{"a": 1}': "the object has no step; expected one of step, _step, global_step, trainer/global_step",
    '{"step": 1.5, "a": 1}': "the step must be an integer, got 1.5",
    '{"step": true, "a": 1}': "the step must be an integer, got True",
    '{"step": "x", "a": 1}': "the step must be an integer, got 'x'",
    '{"step": NaN, "a": 1}': "the step must be an integer, got nan",
    '{"step": 9223372036854775808, "a": 1}': "the step must fit in 64 bits, got 9223372036854775808",
    '{"step": 1e300, "a": 1}': "the step must fit in 64 bits, got a larger number",
    '{"step": 1, "": 1}': "the name is empty",
    '{"step": 1, "a\\u0000b": 1}': "the name 'a\\x00b' contains a NUL",
    '{"step": 1, "\\ud800": 1}': "the name '\\ud800' is not valid Unicode",
    '{"step": 1, "%s": 1}' % ("x" * 65_536): f"the name '{'x' * 28}…{'x' * 29}' has 65536 bytes; a series name",
    "[" * 100_000: "the line is nested too deeply",
    '{"step": 5, "loss": 0.': "invalid JSON: ",
}  # fmt: skip


@pytest.mark.parametrize("line", FAULTS, ids=lambda line: line[:20])
def test_invalid_line_is_reported_and_the_rest_is_imported(import_text, line):
    points, faults, _ = import_text("x.jsonl", f'{{"step": 1, "loss": 0.5}}\n\n{line}\n{{"step": 2.0, "loss": 0.25}}')
    assert points == {("loss", 1): "0.5", ("loss", 2): "0.25"}
    (fault,) = faults
    assert fault.startswith(f"x.jsonl, line 3: {FAULTS[line]}")


def test_invalid_utf8_and_overlong_lines(import_text, monkeypatch):
    monkeypatch.setattr(_text_lines, "MAX_LINE_BYTES", 64)
    text = b'\xef\xbb\xbf{"step": 1, "a": 1}\n\xff\xfe\n' + b"x" * 1000 + b'\n{"step": 2, "a": 2}\n' + b"y" * 64
    points, faults, _ = import_text("x.jsonl", text)
    assert points == {("a", 1): "1.0", ("a", 2): "2.0"}
    assert faults[0] == "x.jsonl, line 2: the line is not UTF-8"
    assert [fault.partition(":")[0] for fault in faults] == ["x.jsonl, line 2", "x.jsonl, line 3", "x.jsonl, line 5"]


def test_replaced_values_are_counted(import_text):
    points, _, imported = import_text("x.jsonl", '{"step": 1, "a": 1}\n{"step": 1, "a": 2}\n')
    assert points == {("a", 1): "2.0"}
    assert (imported.num_points, imported.num_replaced) == (1, 1)


def test_integer_beyond_float64_is_infinite(import_text):
    points, _, _ = import_text("x.jsonl", f'{{"step": 1, "a": {10**400}, "b": -{10**400}}}')
    assert points == {("a", 1): "inf", ("b", 1): "-inf"}
