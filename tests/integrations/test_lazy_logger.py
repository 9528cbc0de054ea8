"""A run that is opened at its first use, as all adapters record."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

import holter
from holter.integrations._lazy_logger import LazyLogger, flat, free_directory, number_of


def test_run_is_opened_with_all_that_was_configured_before(run_dir):
    lazy = LazyLogger(run_dir, config={"lr": 1}, tags=["mine"])
    lazy.configure({"depth": 2})
    assert not run_dir.exists()
    lazy.record(0, {"loss": 0.5})
    lazy.close()
    run = holter.open_run(run_dir)
    assert (run.config, run.tags, run.status) == ({"lr": 1, "depth": 2}, ("mine",), "finished")
    assert len(run.manifest["attempts"]) == 1


def test_configuration_that_comes_late_is_kept_and_takes_no_lent_logger_away(run_dir, points_of):
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


def test_run_that_is_gone_on_with_keeps_its_configuration(run_dir):
    holter.Logger(run_dir, config={"lr": 1, "depth": 1}).close()
    lazy = LazyLogger(run_dir, config={"depth": 2})
    lazy.record(0, {"loss": 1.0})
    lazy.close()
    assert holter.open_run(run_dir).config == {"lr": 1, "depth": 2}


def test_configuration_may_hold_arrays(run_dir):
    lazy = LazyLogger(run_dir, config={"betas": np.ones(2), "weights": torch.ones(2), 1: "one"})
    lazy.configure({"betas": np.ones(2), "weights": torch.zeros(3), "lr": 1})
    lazy.open()
    lazy.configure({"betas": np.zeros(2), 2: "two"})
    lazy.close()
    config = holter.open_run(run_dir).config
    assert (config["lr"], config["betas"], config["2"]) == (1, "[0. 0.]", "two")


def test_disk_that_takes_nothing_is_not_what_a_training_ends_with(run_dir):
    class Full:
        def close(self):
            raise holter.FlushTimeoutError("3 points stay in the journal")

    lazy = LazyLogger(run_dir)
    lazy._logger = Full()
    with pytest.warns(holter.HolterWarning, match="3 points stay in the journal"):
        lazy.close()
    assert not lazy.is_open


def test_to_be_asked_for_something_unknown_opens_nothing(run_dir):
    lazy = LazyLogger(run_dir)
    assert not hasattr(lazy, "add_graph")
    with pytest.raises(AttributeError, match="has no attribute 'add_graph'"):
        lazy.add_graph()
    assert (lazy.is_open, run_dir.exists(), repr(lazy)) == (False, False, f"LazyLogger({str(run_dir)!r}, closed)")
    assert lazy.name == "run-1"
    assert lazy.is_open
    lazy.close()


def test_failure(run_dir):
    lazy = LazyLogger(run_dir)
    lazy.record(0, {"loss": 1.0})
    lazy.close(has_failed=True)
    lazy.close()  # closed is closed
    assert holter.open_run(run_dir).status == "failed"


PROGRAM = """
import sys
from holter.integrations._lazy_logger import LazyLogger
lazy = LazyLogger(sys.argv[1])
lazy.record(0, {"loss": 1.0})
assert not {"torch", "numpy"} & set(sys.modules)
raise ArithmeticError
"""


def test_exception_that_ends_the_program_leaves_the_run_failed(run_dir, points_of):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, run_dir], capture_output=True, text=True, timeout=60, check=False
    )
    assert "ArithmeticError" in done.stderr.splitlines()[-1], done.stderr
    assert holter.open_run(run_dir).status == "failed"
    assert points_of(run_dir) == {("loss", 0): 1.0}


def test_steps_that_are_not_given_follow_the_largest(run_dir, points_of):
    lazy = LazyLogger(run_dir)
    lazy.record(None, {"a": 1.0})
    lazy.record(7, {"a": 2.0})
    lazy.record(3, {"a": 3.0})
    lazy.record(None, {"b": 4.0})
    lazy.record(np.int32(20), {"b": 5.0})
    lazy.close()
    assert points_of(run_dir) == {("a", 0): 1.0, ("a", 7): 2.0, ("a", 3): 3.0, ("b", 8): 4.0, ("b", 20): 5.0}


def test_step_that_is_no_integer_is_an_error(run_dir):
    with pytest.raises(TypeError):
        LazyLogger(run_dir).record("epoch 1", {"a": 1.0})


def test_what_is_no_number_is_left_out_and_said_once_for_each_type(run_dir, points_of):
    lazy = LazyLogger(run_dir)
    with pytest.warns(holter.HolterWarning, match="type str are left out, such as 'text'"):
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
def test_numbers(value, number):
    assert number_of(value) == number


def test_nested_mappings_are_flattened():
    assert flat({"a": 1, "b": {"c": 2, "d": {"e": 3}}}) == {"a": 1, "b/c": 2, "b/d/e": 3}


def test_free_directory(tmp_path):
    parent = tmp_path / "runs [1]"
    assert free_directory(parent, "run-", first=1) == (parent / "run-1", 1)
    for name in ("run-2", "run-10", "run-x", "run-", "run-³", "other-99"):
        (parent / name).mkdir(parents=True)
    assert free_directory(parent, "run-", first=1) == (parent / "run-11", 11)


def test_an_open_run_goes_on_where_it_is_sent(run_dir, points_of):
    here = LazyLogger(run_dir, config={"lr": 1}, tags=["mine"])
    here.record(0, {"loss": 1.0})
    there = pickle.loads(pickle.dumps(here))
    assert not here.is_open
    there.record(None, {"loss": 0.5})
    there.close()
    assert points_of(run_dir) == {("loss", 0): 1.0, ("loss", 1): 0.5}


def test_only_the_first_opening_may_never_be_a_resume(run_dir):
    lazy = LazyLogger(run_dir, resume="never")
    lazy.record(0, {"loss": 1.0})
    lazy.close()
    lazy.record(1, {"loss": 1.0})
    lazy.close()
    with pytest.raises(FileExistsError):
        LazyLogger(run_dir, resume="never").record(0, {"loss": 1.0})


def test_recording_that_is_switched_off_touches_nothing(run_dir, monkeypatch):
    monkeypatch.setenv("HOLTER_MODE", "disabled")
    lazy = LazyLogger(run_dir, config={"lr": 1})
    lazy.record(0, {"loss": 1.0})
    lazy.close(has_failed=True)
    assert not run_dir.parent.exists()
