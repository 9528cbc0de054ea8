"""A framework's training watched on the processes that have to take part: one, or, of a sharded model, all."""

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
        watch.step_begins(step)
        model(torch.ones(2, 4)).sum().backward()
        watch.step_computed()
        if optimizer is not None:
            optimizer.step()
        model.zero_grad()


def test_one_training_after_the_other(tmp_path):
    watch = ModelWatch({"attention": None})
    for name in ("first", "second"):
        model, run = torch.nn.Linear(4, 1), LazyLogger(tmp_path / name)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        watch.begin(model, [optimizer], run)
        train(watch, model, optimizer, range(5, 8))
        watch.end()
        watch.end()
        assert watch.current is None
        run.close()
        assert holter.open_run(run.path).series("grad_norm_total").steps.tolist() == [5, 6, 7]


def test_steps_never_go_back(run_dir):
    model, run, watch = torch.nn.Linear(4, 1), LazyLogger(run_dir), ModelWatch({})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch.begin(model, [optimizer], run)
    train(watch, model, optimizer, [0, 0, 0, 10])  # as where an optimizer steps several times for a batch
    watch.end()
    run.close()
    assert holter.open_run(run_dir).series("grad_norm_total").steps.tolist() == [0, 1, 2, 10]


def test_without_an_optimizer_steps_are_committed(run_dir):
    model, run, watch = torch.nn.Linear(4, 1), LazyLogger(run_dir), ModelWatch({})
    watch.begin(model, [], run)
    train(watch, model, None, [0, 1, 4])
    watch.end()
    run.close()
    assert holter.open_run(run_dir).series("grad_norm_total").steps.tolist() == [0, 1, 4]


def test_process_that_need_not_look_does_not(tmp_path):
    watch = ModelWatch({})
    watch.begin(torch.nn.Linear(4, 1), [], None)
    train(watch, torch.nn.Linear(4, 1), None, [0])
    watch.end()
    assert watch.current is None


def test_options_that_make_no_sense_are_refused_when_the_training_begins(run_dir):
    run = LazyLogger(run_dir)
    with pytest.raises(ValueError, match="every"):
        ModelWatch({"every": 0}).begin(torch.nn.Linear(4, 1), [], run)
    run.close(has_failed=True)


def test_watch_stays_where_it_is_when_it_is_sent(run_dir):
    run, watch = LazyLogger(run_dir), ModelWatch({"every": 2})
    watch.begin(torch.nn.Linear(4, 1), [], run)
    sent = pickle.loads(pickle.dumps(watch))
    assert (sent.current, watch.current is None) == (None, False)
    watch.end()
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
watch.begin(model, [optimizer], run)
for step in range(3):
    watch.step_begins(step)
    model(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()
watch.end()
if run is not None:
    run.close()
torch.distributed.barrier()
torch.distributed.destroy_process_group()
if rank == 0:
    os.wait()
"""


def test_every_process_of_a_sharded_model_records_its_part(run_dir):
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("torch is built without gloo")
    run_dir.parent.mkdir()
    command = [sys.executable, "-c", PROGRAM, run_dir]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    run = holter.open_run(run_dir)
    assert run.ranks == [0, 1]
    parts = [run.open_rank(rank) for rank in run.ranks]
    assert [part.status for part in parts] == ["finished", "finished"]
    ours, theirs = (part.series("grad_norm_total") for part in parts)
    assert ours.steps.tolist() == theirs.steps.tolist() == [0, 1, 2]
    assert ours.values.tolist() == theirs.values.tolist()
    assert min(ours.values) > 0
