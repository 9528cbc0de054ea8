"""Every bad argument raises an exception that names the problem and what was expected, and the run stays usable."""

import array
import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import holter
import run_files
from unusual_values import Raising, RaisingItem, checked_logger


@pytest.fixture
def logger(run_dir: Path) -> Iterator[holter.Logger]:
    with checked_logger(run_dir) as logger:
        yield logger


BAD_NAMES = [
    ("", ValueError, "must not be empty"),
    ("x" * 10_000_000, ValueError, "at most 65535 bytes, got 10000000 bytes"),
    ("é" * 32_768, ValueError, "at most 65535 bytes, got 65536 bytes"),
    ("a\0b", ValueError, "must not contain NUL"),
    ("\ud800", ValueError, "must be encodable as UTF-8"),
    ("a\udfffb", ValueError, "must be encodable as UTF-8"),
    (None, TypeError, r"name must be a str, got NoneType None|log takes \(step, name, value\)"),
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
    (None, TypeError, r"step must be an int, got NoneType None|log takes \(step, name, value\)"),
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
    """A call with one bad value records none of its values."""
    for attempt in (lambda: logger.log(1, "loss", value), lambda: logger.metric("loss").log(1, value)):
        with pytest.raises(error, match=message):
            attempt()
    values = {"good": 1.0, "loss": value, "other": 2.0}
    message = message.replace("value must", "the value of 'loss' must")
    with pytest.raises(error, match=message):
        logger.log_many(1, values)
    if not hasattr(value, "items"):
        with pytest.raises(error, match=message):
            logger.log(values, step=1)
    assert logger.health.accepted == 1


def test_an_error_raised_by_a_value_is_the_cause_of_the_exception(logger: holter.Logger) -> None:
    """Otherwise a failed kernel, or Ctrl-C, would be hidden."""
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


def test_wrong_argument_order_is_named_in_the_error(logger: holter.Logger) -> None:
    """Other loggers take (name, step, value) or (name, value, step)."""
    order = r"the arguments are log\(step, name, value\)"
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


def test_bad_arrays(logger: holter.Logger) -> None:
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


def test_metrics_of_another_logger_raise_value_error(logger: holter.Logger, tmp_path: Path) -> None:
    with holter.Logger(tmp_path / "other", journal_points=1 << 10) as other:
        with pytest.raises(ValueError, match="prepared by another logger"):
            logger.log_array(1, other.metrics(["a"]), np.zeros(1))
        other.metric("mine").log(1, 0.5)
    assert run_files.sqlite_points(tmp_path / "other") == {("mine", 1): 0.5}
    assert logger.health.accepted == 1


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
        ({"color": "blue"}, TypeError, "color"),
    ],
    ids=str,
)
def test_bad_settings(run_dir: Path, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """A bad setting raises before the run's directory is created."""
    with pytest.raises(error, match=message):
        holter.Logger(run_dir, **arguments)
    assert not run_dir.exists()


def test_config_values_that_json_cannot_represent_are_converted(run_dir: Path) -> None:
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


def test_bad_flush_timeouts(logger: holter.Logger) -> None:
    for timeout in (-1.0, math.nan, -math.inf):
        with pytest.raises(ValueError, match="timeout_secs must be zero or more"):
            logger.flush(timeout)
    for timeout in ("1", [1]):
        with pytest.raises(TypeError):
            logger.flush(timeout)
    logger.flush(5)
    logger.flush(timeout_secs=None)
