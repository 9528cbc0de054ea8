"""`update_config` writes late configuration into `run.json` at once, without affecting the recording."""

import json
import os
import signal
import subprocess
import sys
import threading
import warnings

import pytest

import holter


def config_on_disk(run_dir):
    return json.loads((run_dir / "run.json").read_text()).get("config")


def test_values_are_added_and_replaced(run_dir):
    with holter.Logger(run_dir, config={"lr": 1, "model": {"layers": 2, "width": 3}}) as logger:
        logger.update_config({"seed": 7, "lr": 0.5})
        assert config_on_disk(run_dir) == {"lr": 0.5, "model": {"layers": 2, "width": 3}, "seed": 7}
        logger.update_config({"model": {"layers": 4}})
        logger.update_config({})
        assert holter.open_run(run_dir).config == {"lr": 0.5, "model": {"layers": 4}, "seed": 7}
        assert holter.open_run(run_dir).status == "running"
        logger.log(0, "loss", 0.5)
    run = holter.open_run(run_dir)
    assert (run.config["seed"], run.status, len(run.manifest["attempts"])) == (7, "finished", 1)


def test_a_run_without_a_configuration_gets_one(run_dir):
    with holter.Logger(run_dir) as logger:
        assert config_on_disk(run_dir) is None
        logger.update_config({1: float("nan"), "path": run_dir, "text": "\ud800"})
    assert config_on_disk(run_dir) == {"1": "nan", "path": str(run_dir), "text": "\\ud800"}


def test_a_resume_keeps_the_configuration_unless_another_is_passed(run_dir):
    with holter.Logger(run_dir, config={"lr": 1}) as logger:
        logger.update_config({"seed": 7})
    holter.Logger(run_dir, resume="must").close()
    assert config_on_disk(run_dir) == {"lr": 1, "seed": 7}
    with pytest.warns(holter.HolterWarning, match="different config: lr: 1 -> 2"):
        holter.Logger(run_dir, resume="must", config={"lr": 2}).close()
    assert config_on_disk(run_dir) == {"lr": 2}


KILLED = """
import os, signal, sys
import holter
logger = holter.Logger(sys.argv[1], config={"lr": 1})
logger.log(0, "loss", 0.5)
logger.update_config({"seed": 7})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_update_survives_sigkill(run_dir):
    done = subprocess.run([sys.executable, "-c", KILLED, str(run_dir)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert config_on_disk(run_dir) == {"lr": 1, "seed": 7}
    assert holter.recover(run_dir) == 1
    run = holter.open_run(run_dir)
    assert (run.config, run.status) == ({"lr": 1, "seed": 7}, "crashed")


def test_concurrent_updates_are_all_kept(run_dir):
    with holter.Logger(run_dir) as logger:

        def add(number):
            for index in range(10):
                logger.update_config({f"{number}.{index}": index})
                logger.log(index, f"series_{number}", 1.0)

        threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert config_on_disk(run_dir) == {f"{number}.{index}": index for number in range(4) for index in range(10)}


def test_invalid_configurations_and_closed_runs_raise_errors(run_dir):
    logger = holter.Logger(run_dir, config={"lr": 1})
    with pytest.raises(TypeError, match="config must be a mapping, got list"):
        logger.update_config([1])
    logger.close()
    with pytest.raises(holter.RunClosedError):
        logger.update_config({"seed": 7})
    assert config_on_disk(run_dir) == {"lr": 1}


def test_a_forked_child_cannot_update(run_dir):
    with holter.Logger(run_dir) as logger:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            signal.alarm(120)
            try:
                logger.update_config({"seed": 7})
            except holter.ForkedProcessError:
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert config_on_disk(run_dir) is None


def test_a_disabled_logger_does_not_update(run_dir, monkeypatch):
    monkeypatch.setenv("HOLTER_MODE", "disabled")
    with holter.Logger(run_dir) as logger:
        logger.update_config({"seed": 7})
    assert not run_dir.exists()
