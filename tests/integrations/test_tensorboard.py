"""SummaryWriter: torch's signatures, and the same values as torch's writer."""

import inspect
import warnings

import numpy as np
import pytest
import torch

import holter
from holter.integrations.tensorboard import SummaryWriter


def test_values_match_torchs_writer(tmp_path, points_of):
    theirs_module = pytest.importorskip("torch.utils.tensorboard", reason="tensorboard is not installed")
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

    def train(writer):
        torch.manual_seed(0)
        model = torch.nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        data = torch.randn(8, 4)
        for step in range(10):
            loss = model(data).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            writer.add_scalar("Loss/train", loss, step)
            writer.add_scalar("Weight", model.weight[0, 0].item(), global_step=step)
        writer.close()

    train(SummaryWriter(tmp_path / "ours"))
    train(theirs_module.SummaryWriter(tmp_path / "theirs"))
    theirs = accumulator.EventAccumulator(str(tmp_path / "theirs")).Reload()
    expected = {(tag, event.step): event.value for tag in theirs.Tags()["scalars"] for event in theirs.Scalars(tag)}
    assert len(expected) == 20
    assert points_of(tmp_path / "ours") == expected


def test_public_methods_match_torchs_signatures():
    theirs_module = pytest.importorskip("torch.utils.tensorboard", reason="tensorboard is not installed")
    theirs = {name: value for name, value in vars(theirs_module.SummaryWriter).items() if not name.startswith("_")}
    assert [name for name in theirs if not hasattr(SummaryWriter, name)] == []
    for name in ("add_scalar", "add_scalars", "add_histogram", "add_hparams"):
        assert list(inspect.signature(getattr(SummaryWriter, name)).parameters) == list(
            inspect.signature(theirs[name]).parameters
        )
    ours = list(inspect.signature(SummaryWriter).parameters)
    assert ours == [*inspect.signature(theirs_module.SummaryWriter).parameters, "settings"]


def test_values_keep_their_precision(run_dir, points_of):
    with SummaryWriter(run_dir) as writer:
        writer.add_scalar("third", 1 / 3, 2**40)
        writer.add_scalar("third", np.float64("nan"), -1)
        writer.add_scalar("third", torch.tensor([[0.25]], requires_grad=True), 7)
    found = points_of(run_dir)
    assert found["third", 2**40] == 1 / 3
    assert np.isnan(found["third", -1])
    assert found["third", 7] == 0.25


def test_add_scalars_joins_the_tags(run_dir, points_of):
    with SummaryWriter(run_dir) as writer:
        writer.add_scalars("loss", {"train": 1.0, "valid": 2.0}, 3)
    assert points_of(run_dir) == {("loss/train", 3): 1.0, ("loss/valid", 3): 2.0}


def test_default_steps_are_counted_for_each_tag(run_dir, points_of):
    with SummaryWriter(run_dir) as writer:
        for value in (1.0, 2.0):
            writer.add_scalar("a", value)
            writer.add_scalar("b", value)
    assert points_of(run_dir) == {("a", 0): 1.0, ("a", 1): 2.0, ("b", 0): 1.0, ("b", 1): 2.0}


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor, list], ids=["numpy", "torch", "list"])
def test_histograms_are_recorded_as_quantiles(run_dir, points_of, convert):
    values = np.random.default_rng(0).normal(size=1001)
    with SummaryWriter(run_dir) as writer:
        writer.add_histogram("weights", convert(values), 5, bins="auto")
    found = points_of(run_dir)
    names = {"min": 0, "p05": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "max": 100}
    expected = {(f"weights/{name}", 5): np.percentile(values, percent) for name, percent in names.items()}
    assert found == pytest.approx({**expected, ("weights/nonfinite", 5): 0.0})


def test_histograms_of_nonfinite_values(run_dir, points_of):
    with SummaryWriter(run_dir) as writer:
        writer.add_histogram("some", [1.0, float("nan"), float("inf")], 0)
        writer.add_histogram("none", torch.full((2, 2), float("nan"), dtype=torch.bfloat16), 0)
        with pytest.raises(ValueError, match="'empty' must have at least one element"):
            writer.add_histogram("empty", [], 0)
    found = points_of(run_dir)
    assert (found["some/max", 0], found["some/nonfinite", 0], found["none/nonfinite", 0]) == (1.0, 2.0, 4.0)
    assert [name for name, _ in found if name.startswith("none")] == ["none/nonfinite"]


def test_hyperparameters_are_stored_in_the_configuration(run_dir, points_of):
    with SummaryWriter(run_dir) as writer:
        writer.add_hparams({"lr": 0.1}, {"hparam/loss": 2.0}, global_step=0)
        writer.add_scalar("loss", 1.0, 0)
        writer.add_hparams({"batch": 8}, {"hparam/loss": 1.0}, run_name="x", global_step=1)
        with pytest.warns(holter.HolterWarning, match="a run has one configuration.*'lr'"):
            writer.add_hparams({"lr": 0.2}, {})
        with pytest.raises(TypeError, match="must be dictionaries"):
            writer.add_hparams([("lr", 1)], {})
    assert holter.open_run(run_dir).config == {"lr": 0.2, "batch": 8}
    assert points_of(run_dir) == {("hparam/loss", 0): 2.0, ("loss", 0): 1.0, ("hparam/loss", 1): 1.0}


SKIPPED = {
    "add_text": ("note", "hello"),
    "add_image": ("cat", np.zeros((3, 2, 2))),
    "add_images": ("cats", np.zeros((1, 3, 2, 2))),
    "add_image_with_boxes": ("cat", np.zeros((3, 2, 2)), np.zeros((1, 4))),
    "add_figure": ("plot", object()),
    "add_video": ("film", np.zeros((1, 1, 3, 2, 2))),
    "add_audio": ("sound", np.zeros(4)),
    "add_graph": (torch.nn.Linear(1, 1),),
    "add_onnx_graph": ("model.onnx",),
    "add_embedding": (np.zeros((2, 2)),),
    "add_pr_curve": ("curve", [0, 1], [0.1, 0.9]),
    "add_pr_curve_raw": ("curve", [1], [1], [1], [1], [1], [1]),
    "add_custom_scalars": ({},),
    "add_custom_scalars_multilinechart": (["a", "b"],),
    "add_custom_scalars_marginchart": (["a", "b", "c"],),
    "add_mesh": ("mesh", np.zeros((1, 3, 3))),
    "add_tensor": ("tensor", torch.zeros(2)),
    "add_histogram_raw": ("counts", 0, 1, 1, 1, 1, [1], [1]),
}


@pytest.mark.parametrize("method", SKIPPED)
def test_unsupported_data_is_skipped_with_one_warning(run_dir, method):
    writer = SummaryWriter(run_dir)
    with pytest.warns(holter.HolterWarning, match="skipping"):
        getattr(writer, method)(*SKIPPED[method])
    getattr(writer, method)(*SKIPPED[method], global_step=1)  # a second warning would be an error
    writer.close()
    assert not run_dir.exists()


def test_ignored_arguments_warn_once(run_dir, points_of):
    with pytest.warns(holter.HolterWarning, match="skipping purge_step"):
        writer = SummaryWriter(run_dir, purge_step=3, max_queue=1, flush_secs=1, filename_suffix="x")
    with pytest.warns(holter.HolterWarning, match="skipping walltime"):
        writer.add_scalar("a", 1.0, 0, walltime=0.0, new_style=True, double_precision=True)
    writer.add_scalar("a", 2.0, 1, walltime=1.0)
    writer.close()
    assert points_of(run_dir) == {("a", 0): 1.0, ("a", 1): 2.0}


def test_closed_writer_can_be_used_again(run_dir, points_of):
    writer = SummaryWriter(run_dir, config={"lr": 1})
    writer.flush()
    writer.add_scalar("a", 1.0, 0)
    writer.flush()
    writer.close()
    writer.add_scalar("a", 2.0, 1)
    writer.close()
    assert points_of(run_dir) == {("a", 0): 1.0, ("a", 1): 2.0}
    assert (writer.get_logdir(), holter.open_run(run_dir).config) == (str(run_dir), {"lr": 1})


def test_log_dir_of_a_completed_run_is_not_reused(run_dir):
    for _ in range(2):
        with warnings.catch_warnings(), SummaryWriter(run_dir) as writer:
            warnings.simplefilter("ignore", holter.HolterWarning)
            writer.add_scalar("a", 1.0, 0)
    assert writer.log_dir == writer.get_logdir() == str(run_dir.with_name("run-1-2"))


def test_exception_leaves_the_run_failed(run_dir):
    with pytest.raises(ArithmeticError), SummaryWriter(run_dir) as writer:
        writer.add_scalar("a", 1.0, 0)
        raise ArithmeticError
    assert holter.open_run(run_dir).status == "failed"


def test_default_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(comment="-lr0.1") as writer:
        writer.add_scalar("a", 1.0, 0)
    (run,) = holter.list_runs()
    assert (run.path.name.endswith("-lr0.1"), str(run.path)) == (True, writer.log_dir)
