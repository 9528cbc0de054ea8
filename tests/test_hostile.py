"""Every bad argument gets an exception that says what was wrong and what was expected, and the run stays usable."""

import array
import datetime
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


class StrangeFloat(float):
    def __float__(self) -> float:
        raise RuntimeError("never asked")


class Raising:
    def __float__(self) -> float:
        raise RuntimeError("no float today")


class RaisingItem:
    def item(self) -> float:
        raise RuntimeError("no item today")


class IntLike:
    def __index__(self) -> int:
        return 7


class Name(str):
    __slots__ = ()


class HostileName(str):
    __slots__ = ()

    def __hash__(self) -> int:
        raise RuntimeError("no hash today")


@pytest.fixture
def logger(run_dir: Path) -> Iterator[holter.Logger]:
    """A logger of which a test may expect that it works to the end."""
    logger = holter.Logger(run_dir, journal_points=1 << 12)
    logger.log(0, "before", 1.0)
    yield logger
    logger.log(1, "after", 2.0)
    logger.close()
    points = run_files.sqlite_points(run_dir)
    assert points["before", 0] == 1.0
    assert points["after", 1] == 2.0
    assert len(points) == logger.health.accepted, "something was recorded twice, or replaced"
    assert logger.health.dropped == 0
    run_files.assert_same_points(run_files.parquet_points(run_dir), points)


BAD_NAMES = [
    ("", ValueError, "must not be empty"),
    ("x" * 10_000_000, ValueError, "at most 65535 bytes, got 10000000 bytes"),
    ("é" * 32_768, ValueError, "at most 65535 bytes, got 65536 bytes"),
    ("a\0b", ValueError, "must not contain NUL"),
    ("\ud800", ValueError, "must be encodable as UTF-8"),
    ("a\udfffb", ValueError, "must be encodable as UTF-8"),
    (None, TypeError, "name must be a str, got NoneType None"),
    (b"loss", TypeError, "name must be a str, got bytes b'loss'"),
    (1, TypeError, "name must be a str, got int 1"),
    (["loss"], TypeError, "name must be a str, got list"),
    (math.nan, TypeError, "name must be a str, got float nan"),
]

BAD_STEPS = [
    (2**63, ValueError, "step must fit in 64 bits, got 9223372036854775808"),
    (-(2**63) - 1, ValueError, "step must fit in 64 bits"),
    (2**1000, ValueError, "step must fit in 64 bits"),
    (np.uint64(2**64 - 1), ValueError, "step must fit in 64 bits"),
    (1.0, TypeError, "step must be an int, got float 1.0"),
    (np.float64(1), TypeError, "step must be an int"),
    (None, TypeError, "step must be an int, got NoneType None"),
    ("1", TypeError, "step must be an int, got str '1'"),
    (math.inf, TypeError, "step must be an int"),
    ([1], TypeError, "step must be an int"),
    (torch.tensor(1.5), TypeError, "step must be an int"),
]

BAD_VALUES = [
    (None, TypeError, "value must be a number, got NoneType None"),
    ("1.0", TypeError, "value must be a number, got str '1.0'"),
    (b"1.0", TypeError, "value must be a number, got bytes"),
    (1j, TypeError, "value must be a number, got complex 1j"),
    (np.complex64(1), TypeError, "value must be a number"),
    (np.complex128(1 + 1j), TypeError, "value must be a number"),
    (torch.tensor(1j), TypeError, "value must be a number"),
    (10**400, ValueError, "value must fit in a float64, got 1000000"),
    (-(10**400), ValueError, "value must fit in a float64"),
    ([1.0], TypeError, "value must be a number, got list"),
    ({}, TypeError, "value must be a number, got dict"),
    (object(), TypeError, "value must be a number, got object"),
    (datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), TypeError, "value must be a number"),
    (np.array([1.0, 2.0]), ValueError, r"value must be one number, got ndarray of shape \(2,\)"),
    (np.array([]), ValueError, r"value must be one number, got ndarray of shape \(0,\)"),
    (np.array("text"), TypeError, "value must be a number"),
    (np.datetime64("2026-01-01"), TypeError, "value must be a number"),
    (torch.zeros(2, 3), ValueError, r"value must be one number, got Tensor of shape torch.Size\(\[2, 3\]\)"),
    (torch.zeros(0), ValueError, "value must be one number, got Tensor"),
    (torch.zeros((), device="meta"), TypeError, "tensor on meta"),
    (Raising(), TypeError, "value must be a number, got Raising"),
    (RaisingItem(), TypeError, "value must be a number, got RaisingItem"),
]


@pytest.mark.parametrize(("name", "error", "message"), BAD_NAMES, ids=lambda value: repr(value)[:30])
def test_bad_names(logger: holter.Logger, name: Any, error: type[Exception], message: str) -> None:
    """Catches a name that SQLite, Parquet or UTF-8 cannot hold being taken, or a message that does not say why."""
    for attempt in (
        lambda: logger.log(1, name, 0.5),
        lambda: logger.metric(name),
        lambda: logger.metrics(["good", name]),
        lambda: logger.log_array(1, ["good", name], array.array("d", [1.0, 2.0])),
    ):
        with pytest.raises(error, match=message):
            attempt()
    if getattr(name, "__hash__", None):
        with pytest.raises(error, match=message):
            logger.log_many(1, {"good": 1.0, name: 0.5})
    assert logger.health.accepted == 1


@pytest.mark.parametrize(("step", "error", "message"), BAD_STEPS, ids=lambda value: repr(value)[:30])
def test_bad_steps(logger: holter.Logger, step: Any, error: type[Exception], message: str) -> None:
    """Catches a step that is silently rounded, cut to 64 bits, or taken for another argument."""
    for attempt in (
        lambda: logger.log(step, "loss", 0.5),
        lambda: logger.metric("loss").log(step, 0.5),
        lambda: logger.log_many(step, {"loss": 0.5}),
        lambda: logger.log_many(step, {}),
        lambda: logger.log_array(step, ["loss"], array.array("d", [1.0])),
    ):
        with pytest.raises(error, match=message):
            attempt()
    assert logger.health.accepted == 1


@pytest.mark.parametrize(("value", "error", "message"), BAD_VALUES, ids=lambda value: repr(value)[:30])
def test_bad_values(logger: holter.Logger, value: Any, error: type[Exception], message: str) -> None:
    """Catches what is no number being recorded as one, and a call that records half of what it was given."""
    for attempt in (
        lambda: logger.log(1, "loss", value),
        lambda: logger.metric("loss").log(1, value),
        lambda: logger.log_many(1, {"good": 1.0, "loss": value, "other": 2.0}),
    ):
        with pytest.raises(error, match=message):
            attempt()
    assert logger.health.accepted == 1


def test_what_a_value_raises_is_not_hidden(logger: holter.Logger) -> None:
    """Catches the reason why a value cannot be read, such as a failed kernel, or Ctrl-C, being swallowed."""
    for value, message in ((Raising(), "no float today"), (RaisingItem(), "no item today")):
        with pytest.raises(TypeError) as caught:
            logger.log(1, "loss", value)
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert message in str(caught.value.__cause__)

    class Interrupted:
        def item(self) -> float:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        logger.log(1, "loss", Interrupted())


def test_the_order_of_arguments_is_said(logger: holter.Logger) -> None:
    """Catches (name, step, value) and (name, value, step), which other loggers take, being recorded as something."""
    order = r"the order of arguments is log\(step, name, value\)"
    for arguments in (("loss", 1, 0.5), ("loss", 0.5, 1), (1, 0.5, "loss"), (0.5, "loss", 1), ("loss", 0.5, "x")):
        with pytest.raises(TypeError, match=order):
            logger.log(*arguments)
    for arguments in ((), (1,), (1, "loss"), (1, "loss", 0.5, 1)):
        with pytest.raises(TypeError):
            logger.log(*arguments)
    with pytest.raises(TypeError):
        logger.log(1, "loss", 0.5, epoch=3)
    with pytest.raises(TypeError, match="values must map names to numbers"):
        logger.log_many(1, 0.5)
    with pytest.raises(TypeError, match="values must map names to numbers"):
        logger.log_many(1, "loss")
    assert logger.health.accepted == 1


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
def test_whatever_is_one_number(logger: holter.Logger, run_dir: Path, value: Any, expected: float) -> None:
    """Catches a kind of number that is refused, changed, or taken with a warning."""
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
def test_whatever_is_an_integer_is_a_step(logger: holter.Logger, run_dir: Path, step: Any) -> None:
    """Catches a step at the edge of 64 bits, or one of another library, that is refused or changed."""
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


def test_strange_names_are_kept_apart_and_come_back(run_dir: Path) -> None:
    """Catches a name that is normalised, cut, escaped, or taken for SQL, a path or a key of the summary."""
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
    with holter.Logger(run_dir, journal_points=1 << 12) as again:
        again.log(101, GOOD_NAMES[0], 1.0)
    assert len(run_files.sqlite_points(run_dir)) == len(points) + 1


def test_a_name_that_raises_when_hashed(logger: holter.Logger) -> None:
    """Catches a str of the user's own class bringing the table of names out of order."""
    with pytest.raises(RuntimeError, match="no hash today"):
        logger.log(1, HostileName("loss"), 0.5)
    assert logger.health.accepted == 1


def test_a_mapping_that_changes_while_it_is_read(logger: holter.Logger, run_dir: Path) -> None:
    """Catches a panic, or half a step recorded, where reading a value changes the dict that it is in."""
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


def test_arrays_that_do_not_fit(logger: holter.Logger) -> None:
    """Catches a buffer read beyond its end, in the wrong type, or in the wrong order."""
    metrics = logger.metrics(["a", "b", "c"])
    for values, error, message in [
        (np.zeros(2), ValueError, "3 metrics, 2 values"),
        (np.zeros(4), ValueError, "3 metrics, 4 values"),
        (np.zeros(0), ValueError, "3 metrics, 0 values"),
        (np.zeros((3, 1)), ValueError, "one dimension, got 2"),
        (np.zeros(()), ValueError, "one dimension, got 0"),
        (np.zeros(3, dtype=np.int64), TypeError, "must be float32 or float64"),
        (np.zeros(3, dtype=np.float16), TypeError, "must be float32 or float64"),
        (np.zeros(3, dtype=">f8"), TypeError, "must be float32 or float64"),
        (np.zeros(3, dtype=np.complex128), TypeError, "must be float32 or float64"),
        (np.zeros(3, dtype=np.longdouble), TypeError, "must be float32 or float64"),
        (np.array([1, "a", None], dtype=object), TypeError, "float32 or float64"),
        (array.array("i", [1, 2, 3]), TypeError, "must be float32 or float64"),
        (b"123456781234567812345678", TypeError, "must be float32 or float64"),
        ([1.0, 2.0, 3.0], TypeError, "must be a buffer of float32 or float64, such as a numpy array, got list"),
        (1.0, TypeError, "must be a buffer"),
        (None, TypeError, "must be a buffer"),
        (torch.zeros(3, device="meta"), TypeError, "tensor on meta"),
        (torch.zeros(3, dtype=torch.int32), TypeError, "must be float32 or float64"),
        (torch.zeros(3, dtype=torch.bfloat16), TypeError, "BFloat16"),
    ]:
        with pytest.raises(error, match=message):
            logger.log_array(1, metrics, values)
    for names, error, message in [
        (5, TypeError, "int"),
        (None, TypeError, "NoneType"),
        ([1, 2, 3], TypeError, "name must be a str"),
        ("abc", TypeError, "names must be a sequence of str, got the str 'abc'"),
    ]:
        with pytest.raises(error, match=message):
            logger.log_array(1, names, np.zeros(3))
    assert logger.health.accepted == 1


def test_arrays_that_do_fit(logger: holter.Logger, run_dir: Path) -> None:
    """Catches a stride, a type or an offset of a buffer that is not heeded."""
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


def test_metrics_of_another_logger(logger: holter.Logger, tmp_path: Path) -> None:
    """Catches the ids of one run being used in another."""
    with holter.Logger(tmp_path / "other", journal_points=1 << 10) as other:
        with pytest.raises(ValueError, match="prepared by another logger"):
            logger.log_array(1, other.metrics(["a"]), np.zeros(1))
        other.metric("mine").log(1, 0.5)
    assert run_files.sqlite_points(tmp_path / "other") == {("mine", 1): 0.5}
    assert logger.health.accepted == 1


def test_more_points_at_once_than_the_journal_holds(run_dir: Path) -> None:
    """Catches a call that waits for room that never comes, because it wants more than there is."""
    names = [f"metric/{index}" for index in range(5_000)]
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        logger.log_array(1, names, np.arange(5_000.0))
        logger.log_many(2, {name: float(index) for index, name in enumerate(names)})
        assert logger.health.dropped == 0
    points = run_files.sqlite_points(run_dir)
    assert points == {(name, step): float(index) for index, name in enumerate(names) for step in (1, 2)}


def test_two_hundred_thousand_names(run_dir: Path) -> None:
    """Catches memory that grows without bound, or minutes, where step numbers were put into the names."""
    count = 200_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with holter.Logger(run_dir) as logger:
        for index in range(count):
            logger.log(index, f"loss/step_{index}", float(index))
        assert logger.health.accepted == count
    grown_bytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    # The journal's 32 MB and the database's cache of as much are among them.
    assert grown_bytes < (120 << 20) + count * 1500, f"{grown_bytes / count:.0f} bytes for each name"
    connection = run_files.database(run_dir)
    rows = connection.execute("SELECT count(*), count(DISTINCT name), sum(value = step) FROM metrics").fetchall()
    connection.close()
    assert rows == [(count, count, count)]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": ""}, ValueError, "name must not be empty"),
        ({"name": 5}, TypeError, "name must be a str, got int 5"),
        ({"config": [1]}, TypeError, "config must be a mapping, got list"),
        ({"tags": "abc"}, TypeError, "tags must be a sequence of str"),
        ({"tags": [1]}, TypeError, "tags must be str, got int 1"),
        ({"resume": "maybe"}, ValueError, "resume must be one of"),
        ({"resume": True}, TypeError, "resume must be"),
        ({"sinks": "sqlite"}, TypeError, "sinks must be a sequence of names"),
        ({"sinks": ()}, ValueError, "sinks must include"),
        ({"sinks": ("summary",)}, ValueError, "sinks must include"),
        ({"sinks": ("sqlite", "csv")}, ValueError, "sinks must be among"),
        ({"sinks": (1,)}, TypeError, "sinks must be names, got int 1"),
        ({"summary_every": 0}, ValueError, "summary_every must be at least 1"),
        ({"summary_every": 1.5}, TypeError, "summary_every must be an int"),
        ({"summary_every": 2**80}, ValueError, "summary_every must be"),
        ({"overflow": "wait"}, ValueError, "wait"),
        ({"rank": -1}, ValueError, "rank must be at least 0"),
        ({"rank": "0"}, TypeError, "rank must be an int"),
        ({"journal_points": 1000}, ValueError, "journal_capacity|journal_points"),
        ({"journal_points": 0}, ValueError, "journal_points must be at least 1"),
        ({"journal_points": 2**40}, ValueError, "journal_points must be"),
        ({"colour": "blue"}, TypeError, "colour"),
    ],
    ids=str,
)
def test_bad_settings(run_dir: Path, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """Catches a setting that is ignored, or refused only when the run's directory has been made."""
    with pytest.raises(error, match=message):
        holter.Logger(run_dir, **arguments)
    assert not run_dir.exists()


def test_a_config_that_json_cannot_hold(run_dir: Path) -> None:
    """Catches a run that cannot be opened because of what was to be kept with it."""
    recursive: dict[str, Any] = {"lr": 3e-4}
    config = {"nan": math.nan, "path": Path("/x"), 5: {1, 2}, "dtype": torch.float32, "bad": "\ud800", "set": {3}}
    with holter.Logger(run_dir, config=config, tags=("a", "ä\udcff"), journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
    manifest = run_files.manifest(run_dir)
    assert manifest["config"]["nan"] == "nan"
    assert manifest["config"]["path"] == "/x"
    assert manifest["tags"][0] == "a"
    recursive["self"] = recursive
    with pytest.raises((ValueError, RecursionError)):
        holter.Logger(run_dir, config=recursive)


def test_flush_and_close_with_strange_timeouts(logger: holter.Logger) -> None:
    """Catches a wait that is cut short or never ends because the timeout is no sensible number."""
    for timeout in (-1.0, math.nan, -math.inf):
        with pytest.raises(ValueError, match="timeout_secs must be zero or more"):
            logger.flush(timeout)
    for timeout in ("1", [1]):
        with pytest.raises(TypeError):
            logger.flush(timeout)
    logger.flush(5)
    logger.flush(timeout_secs=None)
