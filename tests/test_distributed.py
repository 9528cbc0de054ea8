"""Four processes record one distributed run, and one of them is killed: the run contains every logged point.

Real processes that communicate through gloo, each recording its own rank. Pages of memory shared with this process
count the points whose calls have returned.
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


@pytest.fixture(params=[2, 0], ids=["rank 2", "rank 0"])
def victim(request):
    """The rank that is killed."""
    return request.param


@pytest.fixture
def processes(tmp_path, victim):
    """Start a process for each rank; yield the processes and their pages."""
    pages = [rank_child.page_of(tmp_path, rank) for rank in range(PROCESSES)]
    command = [sys.executable, rank_child.__file__, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [*command, str(rank), *(["wait"] if rank == victim else [])],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(PROCESSES)
    ]
    yield processes, pages
    for process, page in zip(processes, pages, strict=True):
        process.kill()
        process.communicate()
        page.close()


def test_no_point_of_any_rank_is_lost_when_one_is_killed(tmp_path, processes, victim):
    children, pages = processes
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    minimum = random.Random(seed).randrange(200, 1_500)

    def has_logged(minimum):
        assert all(child.poll() is None or page.phase == CLOSED for child, page in zip(children, pages, strict=True))
        return pages[victim].phase >= LOGGING and pages[victim].acknowledged(OWN) >= minimum

    wait_until(lambda: has_logged(minimum), DEADLINE_SECS)
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
    """Check that the run has exactly the logged points of each rank, plus at most the victim's interrupted call."""
    assert (run.status, run.is_live) == ("crashed", False)
    assert run.names() == ["loss", *(f"ranks/{rank}/grad_norm" for rank in range(PROCESSES)), "reduced/loss"]
    columns = (run.to_arrow("[!r]*"), run.to_arrow("ranks/*"))
    rows = [row for table in columns for row in table.select(["rank", "name", "step", "value"]).to_pylist()]
    for rank, page in enumerate(pages):
        found = as_points((row["name"], row["step"], row["value"]) for row in rows if row["rank"] == rank)
        logged = list(rank_child.points(rank))
        count = page.acknowledged(OWN)
        assert count == len(logged) or rank == victim
        expected, interrupted = as_points(logged[:count]), as_points(logged[count : count + 1])
        allowed = expected | interrupted
        assert expected.keys() <= found.keys() <= allowed.keys()
        assert all(same(found[key], allowed[key]) for key in found)
        series = run.series("loss", rank=rank)
        assert [("loss", step) for step in series.steps] == sorted(key for key in found if key[0] == "loss")
    means = run.series("reduced/loss")
    minimum = pages[0].acknowledged(REDUCED)
    assert minimum > 0
    assert minimum <= len(means) <= minimum + 1
    assert means.steps.tolist() == [REDUCE_EVERY * index for index in range(len(means))]
    assert means.values.tolist() == [rank_child.reduced(step) for step in means.steps.tolist()]
