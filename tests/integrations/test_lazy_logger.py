"""The logger that opens its run on first use, which all integrations share."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

import holter
from holter.integrations._lazy_logger import LazyLogger, flatten, next_directory, to_number


def test_run_is_opened_with_the_earlier_configuration(run_dir):
    lazy = LazyLogger(run_dir, config={"lr": 1}, tags=["mine"])
    lazy.configure({"depth": 2})
    assert not run_dir.exists()
    lazy.record(0, {"loss": 0.5})
    lazy.close()
    run = holter.open_run(run_dir)
    assert (run.config, run.tags, run.status) == ({"lr": 1, "depth": 2}, ("mine",), "finished")
    assert len(run.manifest["attempts"]) == 1


def test_late_configuration_is_stored_and_keeps_the_logger_open(run_dir, points_of):
    lazy = LazyLogger(run_dir, config={"lr": 1})
    loss = lazy.metric("loss")
    loss.log(0, 0.5)
    lazy.configure({"depth": 2})
    assert holter.open_run(run_dir).config == {"lr": 1, "depth": 2}
    lazy.configure({"lr": 3})
    loss.log(1, 0.25)
    lazy.close()
    assert points_of(run_dir) == {("loss", 0): 0.5, ("loss", 1): 0.25}
    run = holter.open_run(run_dir)
    assert (run.config, len(run.manifest["attempts"])) == ({"lr": 3, "depth": 2}, 1)
    lazy.record(2, {"loss": 0.125})
    lazy.close()
    assert holter.open_run(run_dir).config == {"lr": 3, "depth": 2}


def test_resumed_run_keeps_its_configuration(run_dir):
    holter.Logger(run_dir, config={"lr": 1, "depth": 1}).close()
    lazy = LazyLogger(run_dir, config={"depth": 2}, resume="allow")
    lazy.record(0, {"loss": 1.0})
    lazy.close()
    assert holter.open_run(run_dir).config == {"lr": 1, "depth": 2}


def test_configuration_may_contain_arrays(run_dir):
    lazy = LazyLogger(run_dir, config={"betas": np.ones(2), "weights": torch.ones(2), 1: "one"})
    lazy.configure({"betas": np.ones(2), "weights": torch.zeros(3), "lr": 1})
    lazy.open()
    lazy.configure({"betas": np.zeros(2), 2: "two"})
    lazy.close()
    config = holter.open_run(run_dir).config
    assert (config["lr"], config["betas"], config["2"]) == (1, "[0. 0.]", "two")


def test_flush_timeout_at_close_is_only_a_warning(run_dir):
    class Full:
        def close(self):
            raise holter.FlushTimeoutError("3 points stay in the journal")

    lazy = LazyLogger(run_dir)
    lazy._logger = Full()
    with pytest.warns(holter.HolterWarning, match="3 points stay in the journal"):
        lazy.close()
    assert not lazy.is_open


def test_unknown_attribute_does_not_open_the_run(run_dir):
    lazy = LazyLogger(run_dir)
    assert not hasattr(lazy, "add_graph")
    with pytest.raises(AttributeError, match="has no attribute 'add_graph'"):
        lazy.add_graph()
    assert (lazy.is_open, run_dir.exists(), repr(lazy)) == (False, False, f"LazyLogger({str(run_dir)!r}, closed)")
    assert lazy.name == "run-1"
    assert lazy.is_open
    lazy.close()


def test_failed_run_stays_failed(run_dir):
    lazy = LazyLogger(run_dir)
    lazy.record(0, {"loss": 1.0})
    lazy.close(has_failed=True)
    lazy.close()
    assert holter.open_run(run_dir).status == "failed"


PROGRAM = """
import sys
from holter.integrations._lazy_logger import LazyLogger
lazy = LazyLogger(sys.argv[1])
lazy.record(0, {"loss": 1.0})
assert not {"torch", "numpy"} & set(sys.modules)
raise ArithmeticError
"""


def test_uncaught_exception_leaves_the_run_failed(run_dir, points_of):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, run_dir], capture_output=True, text=True, timeout=240, check=False
    )
    assert "ArithmeticError" in done.stderr.splitlines()[-1], done.stderr
    assert holter.open_run(run_dir).status == "failed"
    assert points_of(run_dir) == {("loss", 0): 1.0}


def test_default_step_follows_the_largest(run_dir, points_of):
    lazy = LazyLogger(run_dir)
    lazy.record(None, {"a": 1.0})
    lazy.record(7, {"a": 2.0})
    lazy.record(3, {"a": 3.0})
    lazy.record(None, {"b": 4.0})
    lazy.record(np.int32(20), {"b": 5.0})
    lazy.close()
    assert points_of(run_dir) == {("a", 0): 1.0, ("a", 7): 2.0, ("a", 3): 3.0, ("b", 8): 4.0, ("b", 20): 5.0}


def test_step_must_be_an_integer(run_dir):
    with pytest.raises(TypeError):
        LazyLogger(run_dir).record("epoch 1", {"a": 1.0})


def test_other_types_are_skipped_with_one_warning_each(run_dir, points_of):
    lazy = LazyLogger(run_dir)
    with pytest.warns(holter.HolterWarning, match="skipping values of type str, such as 'text'"):
        lazy.record(0, {"text": "cat", "loss": 1.0})
    lazy.record(1, {"other": "dog", "loss": 0.5})
    with pytest.warns(holter.HolterWarning, match="type NoneType"):
        lazy.record(2, {"mfu": None})
    lazy.close()
    assert points_of(run_dir) == {("loss", 0): 1.0, ("loss", 1): 0.5}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0), (True, 1.0), (0.5, 0.5), (np.float32(0.5), 0.5), (np.ones((1, 1)), 1.0), (np.bool_(True), 1.0),
        (torch.tensor(2), 2.0), (torch.tensor([[0.5]], dtype=torch.bfloat16, requires_grad=True), 0.5),
        ("1.5", None), (b"1", None), (np.str_("2"), None), (None, None), ([1.0], None), (np.ones(2), None),
        (torch.ones(2), None), (1j, None), (10**400, None), ({"a": 1}, None), (torch.tensor(1j), None),
    ],
    ids=repr,
)  # fmt: skip
def test_to_number(value, number):
    assert to_number(value) == number


def test_nested_mappings_are_flattened():
    assert flatten({"a": 1, "b": {"c": 2, "d": {"e": 3}}}) == {"a": 1, "b/c": 2, "b/d/e": 3}


def test_next_directory(tmp_path):
    parent = tmp_path / "runs [1]"
    assert next_directory(parent, "run-", first=1) == (parent / "run-1", 1)
    for name in ("run-2", "run-10", "run-x", "run-", "run-³", "other-99"):
        (parent / name).mkdir(parents=True)
    assert next_directory(parent, "run-", first=1) == (parent / "run-11", 11)


def test_unpickled_logger_resumes_the_run(run_dir, points_of):
    original = LazyLogger(run_dir, config={"lr": 1}, tags=["mine"])
    original.record(0, {"loss": 1.0})
    copy = pickle.loads(pickle.dumps(original))
    assert not original.is_open
    copy.record(None, {"loss": 0.5})
    copy.close()
    assert points_of(run_dir) == {("loss", 0): 1.0, ("loss", 1): 0.5}


def test_completed_run_is_not_changed(run_dir, points_of):
    holter.Logger(run_dir).close()
    lazy = LazyLogger(run_dir)
    with pytest.warns(holter.HolterWarning, match="run-1-2"):
        lazy.record(0, {"loss": 1.0})
    lazy.close()
    assert lazy.path == run_dir.with_name("run-1-2")
    lazy.record(1, {"loss": 0.5})
    lazy.close()
    assert points_of(lazy.path) == {("loss", 0): 1.0, ("loss", 1): 0.5}
    assert points_of(run_dir) == {}


def test_resume_never_applies_only_to_the_first_open(run_dir):
    lazy = LazyLogger(run_dir, resume="never")
    lazy.record(0, {"loss": 1.0})
    lazy.close()
    lazy.record(1, {"loss": 1.0})
    lazy.close()
    with pytest.raises(FileExistsError):
        LazyLogger(run_dir, resume="never").record(0, {"loss": 1.0})


def test_disabled_recording_creates_no_files(run_dir, monkeypatch):
    monkeypatch.setenv("HOLTER_MODE", "disabled")
    lazy = LazyLogger(run_dir, config={"lr": 1})
    lazy.record(0, {"loss": 1.0})
    lazy.close(has_failed=True)
    assert not run_dir.parent.exists()
