"""accelerate's training loop with a HolterTracker, compared with a tracker that keeps the values in memory."""

import contextlib
import warnings

import pytest
import torch

import holter
from holter.torch import watch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    from accelerate import Accelerator, PartialState
    from accelerate.state import AcceleratorState, GradientState
    from accelerate.tracking import GeneralTracker

    from holter.integrations.accelerate import HolterTracker

pytestmark = pytest.mark.filterwarnings("ignore")


class MemoryTracker(GeneralTracker):
    """Keeps the values in memory."""

    name = "memory"
    requires_logging_directory = False

    def __init__(self):
        super().__init__()
        self.points = {}

    @property
    def tracker(self):
        return self.points

    def log(self, values, step=None, **kwargs):
        self.points.update({(name, step): value for name, value in values.items()})


@pytest.fixture(autouse=True)
def fresh_accelerator():
    """Reset accelerate's process-wide state, which tests must not share."""
    yield
    for state in (AcceleratorState, PartialState, GradientState):
        state._reset_state()


def train(accelerator, *, watches=False):
    """The training loop of accelerate's quick tour."""
    model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    data = torch.utils.data.DataLoader(torch.randn(32, 6), batch_size=4)
    model, optimizer, data = accelerator.prepare(model, optimizer, data)
    accelerator.init_trackers("project", config={"lr": 0.1, "optimizer": "adam"})
    watched = contextlib.nullcontext()
    if watches:
        watched = watch(model, accelerator.get_tracker("holter", unwrap=True), optimizer.optimizer)
    with watched:
        fit(accelerator, model, optimizer, data)
    accelerator.end_training()


def fit(accelerator, model, optimizer, data):
    for step, batch in enumerate(data):
        loss = (model(batch) - batch.sum(1, keepdim=True)).square().mean()
        accelerator.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        accelerator.log({"train_loss": loss.item(), "half": loss.item() / 2}, step=step)


def test_values_match_another_tracker(tmp_path, points_of):
    theirs = MemoryTracker()
    train(Accelerator(cpu=True, log_with=[HolterTracker("run-1", tmp_path, tags=["mine"]), theirs]))
    assert len(theirs.points) == 16
    assert points_of(tmp_path / "run-1") == theirs.points
    run = holter.open_run(tmp_path / "run-1")
    assert (run.config, run.tags, run.status) == ({"lr": 0.1, "optimizer": "adam"}, ("mine",), "finished")
    assert (run.name, len(run.manifest["attempts"])) == ("run-1", 1)


def test_watch_records_into_the_tracker(tmp_path):
    train(Accelerator(cpu=True, log_with=HolterTracker("run-1", tmp_path)), watches=True)
    run = holter.open_run(tmp_path / "run-1")
    assert run.series("grad_norm_total").steps.tolist() == run.series("train_loss").steps.tolist() == list(range(8))
    assert run.config == {"lr": 0.1, "optimizer": "adam"}


@pytest.mark.parametrize(
    ("settings", "attempts"), [({}, {"run-1": 1, "run-1-2": 1}), ({"resume": "allow"}, {"run-1": 2})]
)
def test_second_training_starts_a_new_run_unless_resumed(tmp_path, settings, attempts):
    for _ in range(2):
        train(Accelerator(cpu=True, log_with=HolterTracker("run-1", tmp_path, **settings)))
    runs = holter.list_runs(tmp_path)
    assert {run.path.name: len(run.manifest["attempts"]) for run in runs} == attempts
    assert all(run.series("train_loss").steps.tolist() == list(range(8)) for run in runs)


def test_values_of_every_kind(tmp_path, points_of):
    accelerator = Accelerator(cpu=True, log_with=HolterTracker("run-1", tmp_path))
    accelerator.init_trackers("project")
    accelerator.log({"loss": torch.tensor(0.5), "parts": {"a": 1, "b": 2}})
    with pytest.warns(holter.HolterWarning, match="skipping values of type str, such as 'text'"):
        accelerator.log({"text": "hello", "loss": 0.25})
    tracker = accelerator.get_tracker("holter")
    with pytest.warns(holter.HolterWarning, match="skipping images, such as 'cats'"):
        tracker.log_images({"cats": []}, step=1)
    with pytest.warns(holter.HolterWarning, match="skipping tables, such as 'answers'"):
        tracker.log_table("answers", columns=["a"], data=[[1]])
    accelerator.end_training()
    assert points_of(tmp_path / "run-1") == {
        ("loss", 0): 0.5, ("parts/a", 0): 1.0, ("parts/b", 0): 2.0, ("loss", 1): 0.25
    }  # fmt: skip


def test_run_without_values_keeps_its_configuration(tmp_path):
    accelerator = Accelerator(cpu=True, log_with=HolterTracker("run-1", tmp_path))
    accelerator.init_trackers("project", config={"lr": 1})
    accelerator.end_training()
    accelerator.end_training()
    run = holter.open_run(tmp_path / "run-1")
    assert (run.config, run.status, len(run.manifest["attempts"])) == ({"lr": 1}, "finished", 1)


def test_other_processes_record_nothing(tmp_path, monkeypatch):
    tracker = HolterTracker("run-1", tmp_path)
    accelerator = Accelerator(cpu=True, log_with=tracker)
    monkeypatch.setattr(PartialState, "is_main_process", property(lambda self: False))
    monkeypatch.setattr(PartialState, "use_distributed", property(lambda self: True))
    accelerator.init_trackers("project", config={"lr": 1})
    accelerator.log({"loss": 1.0}, step=0)
    for call in (tracker.start, tracker.finish):
        call()
    tracker.store_init_configuration({"lr": 1})
    tracker.log({"loss": 1.0}, step=0)
    tracker.log_images({"cats": []})
    assert list(tmp_path.iterdir()) == []
