"""Watching a framework's training on one process, or on all processes of a sharded model."""

import pickle
import subprocess
import sys

import pytest
import torch

import holter
from holter.integrations._lazy_logger import LazyLogger
from holter.integrations._model_watch import ModelWatch


def train(watch, model, optimizer, steps):
    for step in steps:
        watch.set_step(step)
        model(torch.ones(2, 4)).sum().backward()
        watch.commit_step()
        if optimizer is not None:
            optimizer.step()
        model.zero_grad()


def test_consecutive_trainings(tmp_path):
    watch = ModelWatch({"attention": None})
    for name in ("first", "second"):
        model, run = torch.nn.Linear(4, 1), LazyLogger(tmp_path / name)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        watch.start(model, [optimizer], run)
        train(watch, model, optimizer, range(5, 8))
        watch.stop()
        watch.stop()
        assert watch.current is None
        run.close()
        assert holter.open_run(run.path).series("grad_norm_total").steps.tolist() == [5, 6, 7]


def test_steps_never_decrease(run_dir):
    model, run, watch = torch.nn.Linear(4, 1), LazyLogger(run_dir), ModelWatch({})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch.start(model, [optimizer], run)
    train(watch, model, optimizer, [0, 0, 0, 10])  # as with several optimizer steps for a batch
    watch.stop()
    run.close()
    assert holter.open_run(run_dir).series("grad_norm_total").steps.tolist() == [0, 1, 2, 10]


def test_without_an_optimizer_steps_are_committed(run_dir):
    model, run, watch = torch.nn.Linear(4, 1), LazyLogger(run_dir), ModelWatch({})
    watch.start(model, [], run)
    train(watch, model, None, [0, 1, 4])
    watch.stop()
    run.close()
    assert holter.open_run(run_dir).series("grad_norm_total").steps.tolist() == [0, 1, 4]


def test_other_processes_do_not_watch(tmp_path):
    watch = ModelWatch({})
    watch.start(torch.nn.Linear(4, 1), [], None)
    train(watch, torch.nn.Linear(4, 1), None, [0])
    watch.stop()
    assert watch.current is None


def test_invalid_options_are_rejected_at_start(run_dir):
    run = LazyLogger(run_dir)
    with pytest.raises(ValueError, match="every"):
        ModelWatch({"every": 0}).start(torch.nn.Linear(4, 1), [], run)
    run.close(has_failed=True)


def test_pickling_does_not_copy_an_active_watch(run_dir):
    run, watch = LazyLogger(run_dir), ModelWatch({"every": 2})
    watch.start(torch.nn.Linear(4, 1), [], run)
    sent = pickle.loads(pickle.dumps(watch))
    assert (sent.current, watch.current is None) == (None, False)
    watch.stop()
    run.close()


PROGRAM = """
import os, sys, torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from holter.integrations._lazy_logger import LazyLogger
from holter.integrations._model_watch import ModelWatch

path = sys.argv[1]
rank = 0 if os.fork() else 1
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo", init_method=f"file://{path}.meeting", rank=rank, world_size=2)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, 1))
fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
run = LazyLogger(path) if rank == 0 else None
watch = ModelWatch({"attention": None})
watch.start(model, [optimizer], run)
for step in range(3):
    watch.set_step(step)
    model(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
watch.stop()
if run is not None:
    run.close()
torch.distributed.barrier()
torch.distributed.destroy_process_group()
if rank == 0:
    os.wait()
"""


def test_every_process_of_a_sharded_model_records_its_rank(run_dir):
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("torch is built without gloo")
    run_dir.parent.mkdir()
    command = [sys.executable, "-c", PROGRAM, run_dir]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    run = holter.open_run(run_dir)
    assert run.ranks == [0, 1]
    ranks = [run.open_rank(rank) for rank in run.ranks]
    assert [rank.status for rank in ranks] == ["finished", "finished"]
    first, second = (rank.series("grad_norm_total") for rank in ranks)
    assert first.steps.tolist() == second.steps.tolist() == [0, 1, 2]
    assert first.values.tolist() == second.values.tolist()
    assert min(first.values) > 0
