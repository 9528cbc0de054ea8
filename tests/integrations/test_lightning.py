"""Lightning's Trainer and Fabric with a HolterLogger, compared with Lightning's CSVLogger."""

import csv
import importlib.util
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import holter

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pl = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")
    from lightning.fabric import Fabric
    from lightning.pytorch.loggers import CSVLogger
    from lightning.pytorch.utilities import rank_zero_only

    from holter.integrations.lightning import HolterCallback, HolterLogger

# Lightning warns about few workers, batches without logging, and torch deprecations.
pytestmark = pytest.mark.filterwarnings("ignore")

BATCHES = 8


class LitAutoEncoder(pl.LightningModule):
    """A smaller version of the example in Lightning's README."""

    def __init__(self, learning_rate=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
        self.decoder = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 6))
        self.norms = []
        self.fails_at = None

    def training_step(self, batch, batch_idx):
        if self.global_step == self.fails_at:
            raise ArithmeticError("error in the training")
        loss = self._loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self._loss(batch))

    def test_step(self, batch, batch_idx):
        self.log("test_loss", self._loss(batch))

    def on_after_backward(self):
        squares = [parameter.grad.double().square().sum() for parameter in self.parameters()]
        self.norms.append(float(sum(squares).sqrt()))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)

    def _loss(self, batch):
        (x,) = batch
        return torch.nn.functional.mse_loss(self.decoder(self.encoder(x)), x)


@pytest.fixture
def batches():
    return DataLoader(TensorDataset(torch.randn(4 * BATCHES, 6)), batch_size=4)


def trainer(logger, **settings):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    return pl.Trainer(
        **{"accelerator": "cpu", "log_every_n_steps": 1, "max_epochs": 2, **quiet, **settings}, logger=logger
    )


def csv_points(logger):
    """The CSVLogger's values by name and step; later rows take precedence."""
    with Path(logger.log_dir, "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        (name, int(row["step"])): float(value)
        for row in rows
        for name, value in row.items()
        if name != "step" and value != ""
    }


def test_values_match_the_csv_logger(tmp_path, batches, points_of):
    ours, theirs = HolterLogger(tmp_path / "runs", "mine"), CSVLogger(tmp_path / "csv", "mine")
    trainer([ours, theirs]).fit(LitAutoEncoder(), batches, batches)
    expected = csv_points(theirs)
    assert {name for name, _ in expected} == {"epoch", "train_loss", "val_loss"}
    assert len(expected) == 2 * 2 * BATCHES + 2
    assert points_of(tmp_path / "runs" / "mine" / "version_0") == expected


def test_run_stores_hyperparameters_and_tags(tmp_path, batches):
    logger = HolterLogger(tmp_path, "mine", tags=["baseline"])
    trainer(logger, max_epochs=1).fit(LitAutoEncoder(learning_rate=0.25), batches)
    run = holter.open_run(logger.log_dir)
    assert (run.config, run.tags, run.status, run.name) == (
        {"learning_rate": 0.25}, ("baseline",), "finished", "mine/version_0"
    )  # fmt: skip
    assert len(run.manifest["attempts"]) == 1


def test_watch_records_unclipped_gradients_at_the_steps_of_the_loss(tmp_path, batches):
    logger, model = HolterLogger(tmp_path), LitAutoEncoder()
    callback = HolterCallback(exclude="encoder.*")
    trainer(logger, callbacks=[callback], gradient_clip_val=1e-3).fit(model, batches, batches)
    run = holter.open_run(logger.log_dir)
    norms, losses = run.series("grad_norm_total"), run.series("train_loss")
    assert norms.steps.tolist() == losses.steps.tolist() == list(range(2 * BATCHES))
    assert norms.values.tolist() == pytest.approx(model.norms, rel=1e-5)
    assert min(model.norms) > 1e-3
    assert {name for name in run.names("grad_norm/*") if "encoder" in name} == set()
    assert model.decoder[0]._forward_hooks == {}


def test_gradient_accumulation_counts_optimizer_steps(tmp_path, batches):
    logger = HolterLogger(tmp_path)
    trainer(logger, callbacks=[HolterCallback()], accumulate_grad_batches=4).fit(LitAutoEncoder(), batches)
    run = holter.open_run(logger.log_dir)
    assert run.series("grad_norm_total").steps.tolist() == [0, 1, 2, 3]


def test_exception_leaves_the_run_failed_and_the_model_unhooked(tmp_path, batches, points_of):
    logger, theirs, model = HolterLogger(tmp_path / "runs"), CSVLogger(tmp_path / "csv"), LitAutoEncoder()
    model.fails_at = 5
    with pytest.raises(ArithmeticError, match="error in the training"):
        trainer([logger, theirs], callbacks=[HolterCallback()]).fit(model, batches)
    run = holter.open_run(logger.log_dir)
    assert run.status == "failed"
    found = points_of(logger.log_dir)
    assert {key: found[key] for key in csv_points(theirs)} == csv_points(theirs)
    assert run.series("grad_norm_total").steps.tolist() == list(range(5))
    assert all(module._forward_hooks == {} for module in model.modules())


def test_resumed_training_resumes_its_run(tmp_path, batches, points_of):
    def train(logger, epochs, checkpoint=None):
        torch.manual_seed(1)
        training = trainer(logger, max_epochs=epochs, callbacks=[HolterCallback()])
        training.fit(LitAutoEncoder(), batches, ckpt_path=checkpoint)
        return training

    uninterrupted = HolterLogger(tmp_path, "uninterrupted")
    train(uninterrupted, 2)
    first = train(HolterLogger(tmp_path, "parts", version=0), 1)
    first.save_checkpoint(tmp_path / "after-1.ckpt")
    resumed = HolterLogger(tmp_path, "parts", version=0)
    train(resumed, 2, tmp_path / "after-1.ckpt")

    run = holter.open_run(tmp_path / "parts" / "version_0")
    assert [attempt["status"] for attempt in run.manifest["attempts"]] == ["finished", "finished"]
    found, expected = points_of(run.path), points_of(uninterrupted.log_dir)
    assert found.keys() == expected.keys()
    assert [found[key] for key in expected] == pytest.approx(list(expected.values()), rel=1e-5)


def test_evaluation_after_training_resumes_the_run(tmp_path, batches):
    logger = HolterLogger(tmp_path)
    training, model = trainer(logger, max_epochs=1), LitAutoEncoder()
    training.fit(model, batches)
    assert holter.open_run(logger.log_dir).status == "finished"
    (result,) = training.test(model, batches, verbose=False)
    run = holter.open_run(logger.log_dir)
    assert run.status == "finished"
    assert run.series("test_loss").values.tolist() == [result["test_loss"]]
    assert run.config == {"learning_rate": 0.1}
    assert [run.path] == [found.path for found in holter.list_runs(tmp_path)]


def test_every_run_gets_its_own_version(tmp_path):
    assert HolterLogger(tmp_path).version == 0
    first = HolterLogger(tmp_path)
    first.log_metrics({"loss": 1.0}, step=0)
    first.finalize("success")
    second = HolterLogger(tmp_path)
    assert (second.version, second.log_dir) == (1, str(tmp_path / "lightning_logs" / "version_1"))
    assert HolterLogger(tmp_path, version="night").log_dir == str(tmp_path / "lightning_logs" / "night")
    assert HolterLogger(tmp_path, name=None, version=3).log_dir == str(tmp_path / "version_3")


def test_version_taken_by_another_process_is_an_error(tmp_path):
    ours, theirs = HolterLogger(tmp_path), HolterLogger(tmp_path)
    assert ours.version == theirs.version == 0
    theirs.log_metrics({"loss": 1.0}, step=0)
    with pytest.raises(FileExistsError):
        ours.log_metrics({"loss": 2.0}, step=0)
    theirs.finalize("success")


def test_checkpoints_are_saved_in_the_run_directory(tmp_path, batches):
    logger = HolterLogger(tmp_path, "mine")
    trainer(logger, max_epochs=1, enable_checkpointing=True).fit(LitAutoEncoder(), batches)
    assert len(list(Path(logger.log_dir, "checkpoints").glob("*.ckpt"))) == 1


def test_other_ranks_record_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = HolterLogger(tmp_path)
    logger.log_hyperparams({"lr": 1})
    logger.log_metrics({"loss": 1.0}, step=0)
    logger.experiment.log(0, "mine", 1.0)
    logger.save()
    logger.finalize("failed")
    assert list(tmp_path.iterdir()) == []


def test_logger_without_metrics_creates_no_files(tmp_path):
    logger = HolterLogger(tmp_path)
    logger.log_hyperparams({"lr": 1})
    logger.log_graph(torch.nn.Linear(1, 1))
    logger.save()
    logger.finalize("success")
    assert list(tmp_path.iterdir()) == []


def test_experiment_logs_directly(tmp_path, points_of):
    logger = HolterLogger(tmp_path, prefix="mine")
    experiment = logger.experiment
    experiment.log(3, "by hand", 0.5)
    logger.finalize("success")
    experiment.log_many(4, {"by hand": 0.25})  # still usable after the run was closed
    logger.log_metrics({"loss": torch.tensor(2.0), "parts": {"a": 1}})
    logger.finalize("finished")
    expected = {("by hand", 3): 0.5, ("by hand", 4): 0.25, ("mine/loss", 0): 2.0, ("mine/parts/a", 0): 1.0}
    assert points_of(logger.log_dir) == expected


def test_hyperparameters_in_every_form(tmp_path):
    from argparse import Namespace

    logger = HolterLogger(tmp_path)
    logger.log_hyperparams(Namespace(lr=1))
    logger.log_hyperparams(None)
    logger.log_hyperparams({"depth": 2}, {"hp_metric": 0.5}, step=7)
    logger.finalize("success")
    run = holter.open_run(logger.log_dir)
    assert run.config == {"lr": 1, "depth": 2}
    assert run.series("hp_metric").steps.tolist() == [7]


def test_callback_needs_a_holter_logger(batches):
    with pytest.raises(ValueError, match="HolterLogger"):
        trainer(False, callbacks=[HolterCallback()]).fit(LitAutoEncoder(), batches)


def test_fast_dev_run_is_not_watched(tmp_path, batches):
    trainer(HolterLogger(tmp_path), callbacks=[HolterCallback()], fast_dev_run=True).fit(LitAutoEncoder(), batches)
    assert list(tmp_path.iterdir()) == []


def test_logger_and_callback_can_be_pickled(tmp_path, points_of):
    logger = HolterLogger(tmp_path, "sent")
    logger.log_hyperparams({"lr": 1})
    logger.log_metrics({"loss": 1.0}, step=0)
    copy, _ = pickle.loads(pickle.dumps((logger, HolterCallback(every=2))))
    copy.log_metrics({"loss": 0.5}, step=1)
    copy.finalize("success")
    assert points_of(logger.log_dir) == {("loss", 0): 1.0, ("loss", 1): 0.5}


def test_unpickled_loggers_share_one_run(tmp_path, points_of):
    logger = HolterLogger(tmp_path)
    for step in range(2):  # like `fit` and `test`, if each starts its own processes
        sent = pickle.loads(pickle.dumps(logger))
        sent.log_metrics({"loss": step}, step=step)
        sent.finalize("success")
    assert points_of(logger.log_dir) == {("loss", 0): 0.0, ("loss", 1): 1.0}
    assert len(holter.list_runs(tmp_path)) == 1


def test_fabric(tmp_path, points_of):
    logger = HolterLogger(tmp_path)
    fabric = Fabric(accelerator="cpu", loggers=[logger])
    fabric.log("loss", torch.tensor(0.5), step=2)
    fabric.log_dict({"loss": 0.25, "rate": 1}, step=3)
    logger.finalize("success")
    assert points_of(logger.log_dir) == {("loss", 2): 0.5, ("loss", 3): 0.25, ("rate", 3): 1.0}


PROGRAM = """
import sys, torch, pytorch_lightning as pl
from holter.integrations.lightning import HolterCallback, HolterLogger

class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(4, 1)
    def training_step(self, batch, batch_idx):
        loss = self.net(batch).square().mean()
        self.log("loss", loss, sync_dist=True)
        return loss
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

def main():
    assert issubclass(HolterLogger, pl.loggers.Logger)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp_fork", max_epochs=1, logger=HolterLogger(sys.argv[1]),
        log_every_n_steps=1, callbacks=[HolterCallback()], enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False,
    ).fit(Model(), torch.utils.data.DataLoader(torch.randn(32, 4), batch_size=4))

if __name__ == "__main__":
    main()
"""  # fmt: skip


def test_pytorch_lightning_and_two_processes(tmp_path):
    if importlib.util.find_spec("pytorch_lightning") is None:
        pytest.skip("pytorch_lightning is not installed")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, program, tmp_path / "runs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    (run,) = holter.list_runs(tmp_path / "runs")
    assert (run.status, run.ranks) == ("finished", [0])
    assert run.series("loss").steps.tolist() == [0, 1, 2, 3]
    assert run.series("grad_norm_total").steps.tolist() == [0, 1, 2, 3]
