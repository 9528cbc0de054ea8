"""Four processes of one distributed run, one of them killed: the run, read as one, has every point that was logged.

Real processes that talk by gloo, each recording its own rank. What they had logged stands in pages of memory shared
with this process, written after each call that returned.
"""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

import holter
import rank_child
from rank_child import OWN, PROCESSES, REDUCE_EVERY, REDUCED
from recording_child import CLOSED, LOGGING
from run_files import as_points, same
from waiting import wait_until

torch = pytest.importorskip("torch")
if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("torch is built without gloo", allow_module_level=True)

DEADLINE_SECS = 240


@pytest.fixture
def processes(tmp_path):
    """The ranks' processes and their pages."""
    pages = [rank_child.page_of(tmp_path, rank) for rank in range(PROCESSES)]
    command = [sys.executable, rank_child.__file__, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([*command, str(rank)], stderr=subprocess.PIPE, text=True, env=environment)
        for rank in range(PROCESSES)
    ]
    yield processes, pages
    for process, page in zip(processes, pages, strict=True):
        process.kill()
        process.communicate()
        page.close()


@pytest.mark.parametrize("victim", [2, 0], ids=["one of them", "the first"])
def test_no_point_of_any_rank_is_lost_when_one_is_killed(tmp_path, processes, victim):
    children, pages = processes
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    least = random.Random(seed).randrange(200, 1_500)

    def has_logged(least):
        assert all(child.poll() is None or page.phase == CLOSED for child, page in zip(children, pages, strict=True))
        return pages[victim].phase >= LOGGING and pages[victim].acknowledged(OWN) >= least

    wait_until(lambda: has_logged(least), DEADLINE_SECS)
    children[victim].kill()
    run = holter.open_run(rank_child.run_of(tmp_path))
    assert run.ranks == list(range(PROCESSES))
    assert children[victim].wait(DEADLINE_SECS) == -signal.SIGKILL
    deadline = time.monotonic() + DEADLINE_SECS
    for rank, child in enumerate(children):
        if rank != victim:
            _, errors = child.communicate(timeout=deadline - time.monotonic())
            assert child.returncode == 0, errors
    check(run, pages, victim)
    holter.recover(run.open_rank(victim).path)
    check(run, pages, victim)


def check(run, pages, victim):
    """The run, read as one, has what each rank had logged, nothing else, and at most the one call that was cut off."""
    assert (run.status, run.is_live) == ("crashed", False)
    assert run.names() == ["loss", *(f"ranks/{rank}/grad_norm" for rank in range(PROCESSES)), "reduced/loss"]
    columns = (run.to_arrow("[!r]*"), run.to_arrow("ranks/*"))
    rows = [row for table in columns for row in table.select(["rank", "name", "step", "value"]).to_pylist()]
    for rank, page in enumerate(pages):
        found = as_points((row["name"], row["step"], row["value"]) for row in rows if row["rank"] == rank)
        logged = list(rank_child.points(rank))
        count = page.acknowledged(OWN)
        assert count == len(logged) or rank == victim
        expected, cut_off = as_points(logged[:count]), as_points(logged[count : count + 1])
        assert expected.keys() <= found.keys() <= expected.keys() | cut_off.keys()
        assert all(same(found[key], (expected | cut_off)[key]) for key in found)
        series = run.series("loss", rank=rank)
        assert [("loss", step) for step in series.steps] == sorted(key for key in found if key[0] == "loss")
    means = run.series("reduced/loss")
    least = pages[0].acknowledged(REDUCED)
    assert least > 0
    assert least <= len(means) <= least + 1
    assert means.steps.tolist() == [REDUCE_EVERY * index for index in range(len(means))]
    assert means.values.tolist() == [rank_child.reduced(step) for step in means.steps.tolist()]
