"""Unusual numbers, steps, names and buffers are recorded unchanged, and large inputs need bounded memory."""

import array
import decimal
import fractions
import math
import resource
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import holter
import run_files
from unusual_values import HostileName, IntLike, Name, StrangeFloat, checked_logger


@pytest.fixture
def logger(run_dir: Path) -> Iterator[holter.Logger]:
    with checked_logger(run_dir) as logger:
        yield logger


GOOD_VALUES = [
    (3, 3.0),
    (True, 1.0),
    (2**70, float(2**70)),
    (-(2**1000), float(-(2**1000))),
    (2**63, float(2**63)),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
    (math.nan, math.nan),
    (-0.0, 0.0),
    (5e-324, 5e-324),
    (1.7976931348623157e308, 1.7976931348623157e308),
    (StrangeFloat(0.25), 0.25),
    (IntLike(), 7.0),
    (decimal.Decimal("0.5"), 0.5),
    (decimal.Decimal("NaN"), math.nan),
    (fractions.Fraction(1, 4), 0.25),
    (np.float16(0.5), 0.5),
    (np.float32(0.1), float(np.float32(0.1))),
    (np.float64(0.1), 0.1),
    (np.longdouble(0.5), 0.5),
    (np.int8(-3), -3.0),
    (np.uint64(2**64 - 1), float(2**64 - 1)),
    (np.bool_(True), 1.0),
    (np.array(0.5), 0.5),
    (np.array([0.5]), 0.5),
    (torch.tensor(0.5), 0.5),
    (torch.tensor(0.5, requires_grad=True), 0.5),
    (torch.tensor(0.5, requires_grad=True) * 2, 1.0),
    (torch.tensor([0.5]), 0.5),
    (torch.tensor(0.5, dtype=torch.bfloat16), 0.5),
    (torch.tensor(0.5, dtype=torch.float16), 0.5),
    (torch.tensor(7), 7.0),
    (torch.tensor(True), 1.0),
    (torch.nn.Parameter(torch.tensor(0.25)), 0.25),
]


@pytest.mark.parametrize(("value", "expected"), GOOD_VALUES, ids=lambda value: f"{type(value).__name__} {value!r}"[:40])
def test_every_kind_of_number_is_recorded_unchanged_without_a_warning(
    logger: holter.Logger, run_dir: Path, value: Any, expected: float
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logger.log(5, "loss", value)
        logger.metric("metric").log(5, value)
        logger.log_many(5, {"many": value})
    logger.flush()
    points = run_files.sqlite_points(run_dir)
    for name in ("loss", "metric", "many"):
        assert run_files.same(points[name, 5], expected)


@pytest.mark.parametrize(
    "step", [0, -1, 2**63 - 1, -(2**63), True, np.int32(7), np.uint8(200), torch.tensor(12), IntLike()], ids=repr
)
def test_every_kind_of_integer_is_a_step(logger: holter.Logger, run_dir: Path, step: Any) -> None:
    logger.log(step, "loss", 0.5)
    logger.flush()
    assert run_files.sqlite_points(run_dir)["loss", step.__index__()] == 0.5


GOOD_NAMES = [
    "'; DROP TABLE points; --",
    "\"quoted\" and 'quoted'",
    "line\nbreak\r\ttab",
    " ",
    "loss ",
    "Loss",
    "%s {0} \\ /../../etc/passwd",
    "ä/ß/日本語/\U0001f525/\u202eabc",
    "e\u0301",
    "\u00e9",
    "\ufeffloss",
    "\U0010ffff",
    "x" * 65_535,
    "step",
    "nonfinite",
    "null",
    "\x01\x7f",
    Name("a subclass of str"),
]


def test_unusual_names_are_distinct_and_unchanged(run_dir: Path) -> None:
    """Names are not normalized, truncated, escaped, or interpreted as SQL, a path or a key of the summary."""
    logger = holter.Logger(run_dir, journal_points=1 << 12)
    for index, name in enumerate(GOOD_NAMES):
        logger.log(100, name, float(index))
    logger.flush()
    points = run_files.sqlite_points(run_dir)
    logger.close()
    for found in (
        points,
        run_files.sqlite_points(run_dir),
        run_files.parquet_points(run_dir),
        run_files.summary_points(run_dir),
    ):
        of_step = {name: value for (name, step), value in found.items() if step == 100}
        assert of_step == {str(name): float(index) for index, name in enumerate(GOOD_NAMES)}
    with holter.Logger(run_dir, resume="allow", journal_points=1 << 12) as again:
        again.log(101, GOOD_NAMES[0], 1.0)
    assert len(run_files.sqlite_points(run_dir)) == len(points) + 1


def test_a_name_whose_hash_raises_is_not_recorded(logger: holter.Logger) -> None:
    with pytest.raises(RuntimeError, match="no hash today"):
        logger.log(1, HostileName("loss"), 0.5)
    assert logger.health.accepted == 1


def test_a_mapping_that_changes_while_it_is_read_is_recorded_as_passed(logger: holter.Logger, run_dir: Path) -> None:
    """Reading a value can change the dict that contains it."""
    values: dict[str, Any] = {}

    class Adding:
        def item(self) -> float:
            values.update({f"more/{index}": 1.0 for index in range(len(values) + 100)})
            return 0.5

    class Removing:
        def item(self) -> float:
            values.clear()
            return 0.5

    class Logging:
        def item(self) -> float:
            logger.log_many(7, {"inner/a": 1.0, "inner/b": 2.0})
            return 0.5

    for step, changing in enumerate((Adding(), Removing(), Logging()), start=2):
        values.clear()
        values.update({"a": 1.0, "b": changing, "c": 2.0})
        logger.log_many(step, values)
    logger.flush()
    points = run_files.sqlite_points(run_dir)
    expected = {(name, step): value for step in (2, 3, 4) for name, value in (("a", 1.0), ("b", 0.5), ("c", 2.0))}
    expected |= {("inner/a", 7): 1.0, ("inner/b", 7): 2.0, ("before", 0): 1.0}
    assert points == expected


def test_strides_types_and_offsets_of_buffers_are_respected(logger: holter.Logger, run_dir: Path) -> None:
    names = ["a", "b", "c"]
    metrics = logger.metrics(names)
    buffers = [
        np.arange(3.0),
        np.arange(3, dtype=np.float32),
        np.arange(6.0)[::2] / 2,
        np.arange(3.0)[::-1][::-1],
        np.arange(9.0).reshape(3, 3)[:, 0] / 3,
        array.array("d", [0, 1, 2]),
        array.array("f", [0, 1, 2]),
        memoryview(array.array("d", [9, 0, 1, 2]))[1:],
        torch.arange(3.0),
        torch.arange(3.0, requires_grad=True),
        torch.arange(6.0)[::2] / 2,
        torch.arange(3.0, dtype=torch.float64),
        np.broadcast_to(np.float64(0), 3) + np.arange(3),
    ]
    read_only = np.arange(3.0)
    read_only.flags.writeable = False
    buffers.append(read_only)
    for step, buffer in enumerate(buffers, start=10):
        logger.log_array(step, metrics if step % 2 else names, buffer)
    logger.log_array(9, [], np.zeros(0))
    logger.log_many(9, {})
    logger.flush()
    points = run_files.sqlite_points(run_dir)
    for step in range(10, 10 + len(buffers)):
        assert [points[name, step] for name in names] == [0.0, 1.0, 2.0], step


def test_one_call_can_log_more_points_than_the_journal_holds(run_dir: Path) -> None:
    names = [f"metric/{index}" for index in range(5_000)]
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        logger.log_array(1, names, np.arange(5_000.0))
        logger.log_many(2, {name: float(index) for index, name in enumerate(names)})
        assert logger.health.dropped == 0
    points = run_files.sqlite_points(run_dir)
    assert points == {(name, step): float(index) for index, name in enumerate(names) for step in (1, 2)}


def test_two_hundred_thousand_names_need_bounded_memory(run_dir: Path) -> None:
    """Users put step numbers into names."""
    count = 200_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with holter.Logger(run_dir) as logger:
        for index in range(count):
            logger.log(index, f"loss/step_{index}", float(index))
        assert logger.health.accepted == count
    grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    # Includes 32 MB each for the journal and the database's cache.
    assert grown_bytes < (120 << 20) + count * 1500, f"{grown_bytes / count:.0f} bytes per name"
    connection = run_files.database(run_dir)
    rows = connection.execute("SELECT count(*), count(DISTINCT name), sum(value = step) FROM metrics").fetchall()
    connection.close()
    assert rows == [(count, count, count)]
