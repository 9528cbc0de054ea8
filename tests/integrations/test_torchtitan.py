"""torchtitan's metrics processor with a HolterLogger, compared with another of its loggers.

torchtitan trains only on GPUs; here its metrics processor logs a small training on the CPU, with a fake GPU memory
monitor.
"""

import contextlib
import warnings

import pytest
import torch

import holter
from holter.torch import watch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    metrics = pytest.importorskip("torchtitan.components.metrics", reason="torchtitan is not installed")

    from holter.integrations.torchtitan import HolterLogger

pytestmark = pytest.mark.filterwarnings("ignore")


class MemoryLogger(metrics.BaseLogger):
    """Keeps the values in memory."""

    def __init__(self):
        self.points = {}

    def log(self, metrics, step):
        self.points.update({(name, step): value for name, value in metrics.items()})


class FakeMemoryMonitor:
    """Replaces the monitor of a GPU's memory."""

    device_name = "H100"

    def get_peak_stats(self):
        return metrics.DeviceMemStats(1.5, 10.0, 2.5, 20.0, 0, 0)

    def reset_peak_stats(self):
        pass


class OneProcess:
    """The part of torchtitan's ParallelDims that the processor uses."""

    pp_enabled = False
    non_data_parallel_size = 1


@pytest.fixture
def processor(monkeypatch):
    monkeypatch.setattr(metrics, "build_device_memory_monitor", FakeMemoryMonitor)
    processor = metrics.MetricsProcessor(
        metrics.MetricsProcessor.Config(log_freq=1, disable_color_printing=True), parallel_dims=OneProcess()
    )
    processor.num_flops_per_token = 1
    processor.logger = metrics.LoggerContainer()
    return processor


def train(processor, watching=lambda model, optimizer: contextlib.nullcontext()):
    model = torch.nn.Linear(6, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    with watching(model, optimizer):
        fit(processor, model, optimizer)
    processor.log_validation(loss=0.5, step=8)
    processor.close()


def fit(processor, model, optimizer):
    for step in range(1, 9):
        batch = torch.randn(4, 6)
        loss = model(batch).square().mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        optimizer.step()
        optimizer.zero_grad()
        processor.ntokens_since_last_log += batch.numel()
        processor.data_loading_times.append(0.0)
        processor.log(step, loss.item(), loss.item(), norm.item(), extra_metrics={"lr": 0.1})


def test_values_match_another_logger(run_dir, processor, points_of):
    theirs = MemoryLogger()
    processor.logger.add_logger(theirs)
    processor.logger.add_logger(HolterLogger(run_dir, {"training": {"steps": 8}}, tags=["mine"]))
    train(processor)
    assert {
        ("loss_metrics/global_avg_loss", 8),
        ("grad_norm", 1),
        ("validation_metrics/loss", 8),
    } <= theirs.points.keys()
    assert points_of(run_dir) == theirs.points
    run = holter.open_run(run_dir)
    assert (run.config, run.tags, run.status) == ({"training": {"steps": 8}}, ("mine",), "finished")


def test_watch_records_into_the_logger(run_dir, processor):
    logger = HolterLogger(run_dir, tag="metrics")

    def watched(model, optimizer):
        vital_signs = watch(model, logger.logger, optimizer)
        vital_signs.step = 1  # torchtitan counts from 1
        return vital_signs

    processor.logger.add_logger(logger)
    train(processor, watched)
    run = holter.open_run(run_dir)
    norms, theirs = run.series("grad_norm_total"), run.series("metrics/grad_norm")
    assert norms.steps.tolist() == theirs.steps.tolist() == list(range(1, 9))
    assert norms.values.tolist() == pytest.approx(theirs.values.tolist(), rel=1e-5)


def test_other_types_are_skipped(run_dir, processor, points_of):
    logger = HolterLogger(run_dir)
    with pytest.warns(holter.HolterWarning, match="skipping values of type NoneType, such as 'mfu'"):
        logger.log({"mfu": None, "loss": torch.tensor(0.5)}, step=3)
    logger.close()
    assert points_of(run_dir) == {("loss", 3): 0.5}
