"""`log` with a dict, alongside `log(step, name, value)`."""

import numpy as np
import pytest

import holter


@pytest.fixture
def logger(tmp_path):
    with holter.Logger(tmp_path / "run") as logger:
        yield logger


def points(logger) -> dict[str, list[tuple[int, float]]]:
    run = holter.open_run(logger.path)
    return {n: list(zip((s := run.series(n)).steps.tolist(), s.values.tolist(), strict=True)) for n in run.names()}


def test_dict_with_a_step(logger):
    logger.log({"loss": 1.0, "lr": np.float32(0.5), "epoch": 2}, step=3)
    assert points(logger) == {"epoch": [(3, 2.0)], "loss": [(3, 1.0)], "lr": [(3, 0.5)]}


def test_nested_dicts_are_joined_by_slashes(logger):
    logger.log({"val": {"ppl": 9.0, "top": {"1": 0.5}}, "empty": {}}, step=0)
    assert points(logger) == {"val/ppl": [(0, 9.0)], "val/top/1": [(0, 0.5)]}


def test_without_a_step_the_next_one_is_used(logger):
    logger.log({"a": 1.0})
    logger.log({"a": 2.0})
    logger.log({"a": 3.0}, step=10)
    logger.log({"a": 4.0})
    logger.log({"a": 5.0}, step=5)
    logger.log({"a": 6.0})
    assert points(logger) == {"a": [(0, 1.0), (1, 2.0), (5, 5.0), (10, 3.0), (11, 4.0), (12, 6.0)]}


def test_the_next_step_follows_the_fast_path(logger):
    logger.log(41, "fast", 1.0)
    logger.log({"a": 1.0})
    logger.log_many(100, {"b": 1.0})
    logger.log({"a": 2.0})
    assert points(logger)["a"] == [(42, 1.0), (101, 2.0)]


def test_the_next_step_continues_a_resumed_run(tmp_path):
    with holter.Logger(tmp_path / "run") as logger:
        logger.log(7, "a", 1.0)
        assert (logger.resumed, logger.last_step) == (False, None)
    with holter.Logger(tmp_path / "run", resume="must") as logger:
        assert (logger.resumed, logger.last_step) == (True, 7)
        logger.log({"a": 2.0})
        assert points(logger) == {"a": [(7, 1.0), (8, 2.0)]}


def test_keywords_work(logger):
    logger.log(step=1, name="a", value=2.0)
    logger.log(2, name="a", value=3.0)
    assert points(logger) == {"a": [(1, 2.0), (2, 3.0)]}


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"good": 1.0, "loss": "high"}, TypeError, "the value of 'loss' must be a number, got str 'high'"),
        ({"val": {"acc": None}}, TypeError, "the value of 'val/acc' must be a number, got NoneType None"),
        ({"big": 10**400}, ValueError, "the value of 'big' must fit in a float64"),
        ({"vector": np.ones(3)}, ValueError, r"the value of 'vector' must be one number, got ndarray of shape \(3,\)"),
        ({3: 1.0}, TypeError, "name must be a str, got int 3"),
        ({"": 1.0}, ValueError, "must not be empty"),
    ],
)
def test_errors_name_the_key_and_nothing_is_recorded(logger, values, error, message):
    with pytest.raises(error, match=message):
        logger.log(values, step=0)
    if all(isinstance(key, str) and not isinstance(value, dict) for key, value in values.items()):
        with pytest.raises(error, match=message):
            logger.log_many(0, values)
    assert points(logger) == {}


def test_dict_that_contains_itself_is_rejected(logger):
    values: dict = {}
    values["a"] = values
    with pytest.raises(ValueError, match="nested more than 32 levels deep, or contain themselves"):
        logger.log(values)
    assert points(logger) == {}


def test_rejected_dict_does_not_advance_the_step(logger):
    with pytest.raises(TypeError):
        logger.log({"a": "bad"}, step=1000)
    logger.log({"a": 1.0})
    assert points(logger) == {"a": [(0, 1.0)]}


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((), {}, "log takes"),
        ((1, "a"), {}, "value must be a number, got NoneType"),
        ((1, {"a": 1.0}), {}, "log_many takes"),
        (({"a": 1.0}, "a", 1.0), {"step": 1}, "log takes"),
        ((5,), {}, "log takes"),
    ],
)
def test_other_calls_are_rejected(logger, arguments, keywords, message):
    with pytest.raises(TypeError, match=message):
        logger.log(*arguments, **keywords)


def test_errors_name_the_public_function():
    with pytest.raises(TypeError, match=r"Logger\(\) got an unexpected keyword argument 'project'"):
        holter.Logger("runs/x", project="p")


@pytest.mark.parametrize("function", [holter.Logger, holter.open_run, holter.list_runs])
def test_urls_are_rejected_with_a_hint(function):
    with pytest.raises(ValueError, match=r"s3://bucket/runs.*holter sync"):
        function("s3://bucket/runs")


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with holter.Logger("~/runs/run-1") as logger:
        assert logger.path == tmp_path / "runs/run-1"
    assert holter.open_run("~/runs/run-1").name == "run-1"
    assert len(holter.list_runs("~/runs")) == 1


def test_group_and_notes_are_kept(tmp_path):
    with holter.Logger(tmp_path / "run", group="sweep", notes="first try"):
        pass
    run = holter.open_run(tmp_path / "run")
    assert (run.group, run.notes) == ("sweep", "first try")
    with pytest.raises(TypeError, match="group must be a str, got int 3"):
        holter.Logger(tmp_path / "other", group=3)


def test_disabled_logger_accepts_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLTER_MODE", "disabled")
    logger = holter.Logger(tmp_path / "run")
    logger.log({"a": 1.0})
    assert (logger.name, logger.resumed, logger.last_step) == ("run", False, None)
    logger.close()
    assert not (tmp_path / "run").exists()
