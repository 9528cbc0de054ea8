"""In a forked child logging raises an error; the parent is not affected."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import holter
import run_files


def in_child(action: Callable[[], object]) -> None:
    """Run `action` in a forked child, which must succeed before a deadline."""
    with warnings.catch_warnings():
        # Python warns about forking a process with threads, which is tested here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        except BaseException:  # noqa: BLE001 - the child must not run the rest of the tests
            traceback.print_exc()
        finally:
            os._exit(code)
    deadline = time.monotonic() + 120
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        if time.monotonic() > deadline:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.002)


def logging_calls(logger: holter.Logger, metric: holter.Metric, metrics: holter.Metrics) -> list[Callable[[], object]]:
    import numpy

    return [
        lambda: logger.log(5, "known", 9.0),
        lambda: logger.log(5, "unknown", 9.0),
        lambda: logger.log({"known": 9.0}, step=5),
        lambda: metric.log(5, 9.0),
        lambda: logger.log_many(5, {"known": 9.0, "another": 9.0}),
        lambda: logger.log_array(5, metrics, numpy.full(1, 9.0)),
        lambda: logger.log_array(5, ["yet another"], numpy.full(1, 9.0)),
        lambda: logger.metric("one more"),
        lambda: logger.update_config({"lr": 1}),
    ]


def test_logging_in_the_child_raises_an_error_with_a_hint(run_dir: Path) -> None:
    logger = holter.Logger(run_dir, journal_points=1 << 10)
    logger.log(0, "known", 1.0)
    metric, metrics = logger.metric("known"), logger.metrics(["known"])

    def action() -> None:
        for call in logging_calls(logger, metric, metrics):
            with pytest.raises(holter.ForkedProcessError, match="return the value to the main process"):
                call()
        assert logger.health.accepted == 1
        logger.close()
        logger.__exit__(None, None, None)

    in_child(action)
    in_child(action)
    in_child(lambda: in_child(action))
    logger.log(1, "known", 2.0)
    assert logger.health.accepted == 2
    logger.close()
    assert run_files.sqlite_points(run_dir) == {("known", 0): 1.0, ("known", 1): 2.0}
    assert run_files.manifest(run_dir)["status"] == "finished"


def test_forks_while_other_threads_log_do_not_deadlock(run_dir: Path) -> None:
    logger = holter.Logger(run_dir, journal_points=1 << 10)
    stop = threading.Event()
    counts = [0, 0]

    def produce(index: int) -> None:
        while not stop.is_set():
            logger.log(counts[index], f"thread/{index}", 1.0)
            logger.log(0, f"thread/{index}/{counts[index]}", 1.0)
            counts[index] += 1
            if counts[index] % 50 == 0:
                stop.wait(0.0002)

    def action() -> None:
        with pytest.raises(holter.ForkedProcessError):
            logger.log(1, "child", 1.0)
        assert logger.health.dropped == 0
        logger.close()

    threads = [threading.Thread(target=produce, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(60):
        in_child(action)
    stop.set()
    for thread in threads:
        thread.join()
    logger.close()
    points = run_files.sqlite_points(run_dir)
    assert len(points) == 2 * sum(counts)
    assert ("child", 1) not in points


def test_a_child_can_record_its_own_run(run_dir: Path, tmp_path: Path) -> None:
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        logger.log(0, "parent", 1.0)

        def action() -> None:
            with holter.Logger(tmp_path / "child", journal_points=1 << 10) as own:
                own.log(0, "child", 2.0)

        in_child(action)
        logger.log(1, "parent", 1.0)
    assert run_files.sqlite_points(tmp_path / "child") == {("child", 0): 2.0}
    assert run_files.sqlite_points(run_dir) == {("parent", 0): 1.0, ("parent", 1): 1.0}


def test_the_parents_run_stays_locked_when_a_child_is_forked_or_exits(run_dir: Path) -> None:
    with holter.Logger(run_dir, journal_points=1 << 10):

        def action() -> None:
            with pytest.raises(holter.StoreError, match=f"process {os.getppid()} on "):
                holter.Logger(run_dir, journal_points=1 << 10)

        in_child(action)
        program = "import sys, holter; holter.Logger(sys.argv[1], journal_points=1024)"
        done = subprocess.run(
            [sys.executable, "-c", program, str(run_dir)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert f"process {os.getpid()} on " in done.stderr


def test_a_child_that_outlives_its_killed_parent_does_not_hold_the_lock(run_dir: Path) -> None:
    program = """
import os, signal, sys, time, holter
logger = holter.Logger(sys.argv[1], journal_points=1024)
logger.log(1, "loss", 0.5)
if os.fork() == 0:
    time.sleep(3600)
    os._exit(0)
print("forked", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, str(run_dir)], stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == b"forked\n"
            parent.wait(120)
            with holter.Logger(run_dir, journal_points=1 << 10) as logger:
                assert logger.recovered == 1
        finally:
            os.killpg(parent.pid, 9)
    assert run_files.sqlite_points(run_dir) == {("loss", 1): 0.5}


def _log_in_process(logger: holter.Logger) -> None:
    with pytest.raises(holter.ForkedProcessError):
        logger.log(3, "child", 1.0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_children_of_multiprocessing_do_not_affect_the_run(run_dir: Path) -> None:
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=_log_in_process, args=(logger,)) for _ in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join(120)
            assert child.exitcode == 0
        logger.log(1, "loss", 2.0)
    assert run_files.sqlite_points(run_dir) == {("loss", 0): 1.0, ("loss", 1): 2.0}


class LoggingDataset(torch.utils.data.Dataset[int]):
    """Logs each item that is read, in any process."""

    def __init__(self, logger: holter.Logger) -> None:
        self.logger = logger

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> int:
        self.logger.log(index, "worker/item", float(index))
        return index


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*pin_memory.*")
@pytest.mark.parametrize("persistent", [False, True])
def test_a_data_loader_worker_that_logs_raises_the_error_in_the_main_process(
    run_dir: Path, *, persistent: bool
) -> None:
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        loader = torch.utils.data.DataLoader(
            LoggingDataset(logger),
            batch_size=4,
            num_workers=2,
            multiprocessing_context="fork",
            persistent_workers=persistent,
            timeout=120,
        )
        for epoch in range(2):
            with pytest.raises(holter.ForkedProcessError, match="DataLoader worker"):
                next(iter(loader))
            logger.log(epoch, "loss", 0.5)
        del loader
    assert run_files.sqlite_points(run_dir) == {("loss", 0): 0.5, ("loss", 1): 0.5}


def test_a_logger_cannot_be_pickled_for_a_spawned_process(run_dir: Path) -> None:
    import pickle

    with holter.Logger(run_dir, journal_points=1 << 10) as logger, pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(logger)


def test_started_programs_do_not_inherit_descriptors_of_the_run(run_dir: Path) -> None:
    logger = holter.Logger(run_dir, journal_points=1 << 10)
    with subprocess.Popen(["sleep", "3600"], close_fds=False) as program:
        try:
            logger.close()
            descriptors = [str(path.readlink()) for path in Path(f"/proc/{program.pid}/fd").iterdir()]
            assert not [path for path in descriptors if str(run_dir) in path]
            holter.Logger(run_dir, resume="must", journal_points=1 << 10).close()
        finally:
            program.kill()
