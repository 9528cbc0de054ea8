"""Fixtures: runs recorded with the logger."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import holter

Columns = tuple[np.ndarray, np.ndarray]


def recorded(path: Path, series: Mapping[str, Columns], **settings) -> holter.Run:
    """Record series of steps and values, and open the run."""
    with holter.Logger(path, **settings) as logger:
        for name, (steps, values) in series.items():
            metric = logger.metric(name)
            for step, value in zip(steps.tolist(), values.tolist(), strict=True):
                metric.log(step, value)
    return holter.open_run(path)


@pytest.fixture
def record(tmp_path) -> Callable[..., holter.Run]:
    """A function that records a run in a directory with the given name."""
    return lambda directory, series, **settings: recorded(tmp_path / directory, series, **settings)


@pytest.fixture(scope="session")
def long_run(tmp_path_factory) -> holter.Run:
    """100,000 steps of a noisy series with a spike at step 54,321, NaN from 70,000 to 70,009 and +Inf at 80,000."""
    steps = np.arange(100_000)
    values = np.random.default_rng(0).normal(1.0, 0.1, len(steps))
    values[54_321] = 50.0
    values[70_000:70_010] = np.nan
    values[80_000] = np.inf
    # The second of two layers has a dip of one step.
    calm = np.full(len(steps), 2.0)
    dipped = np.full(len(steps), 4.0)
    dipped[33_333] = -9.0
    path = tmp_path_factory.mktemp("long") / "long"
    return recorded(path, {"noisy": (steps, values), "part/layer_0": (steps, calm), "part/layer_1": (steps, dipped)})


@pytest.fixture(scope="session")
def layered_run(tmp_path_factory) -> holter.Run:
    """300 steps of a small training: losses, perplexity, gradient norm, learning rate, 12 layers, marks."""
    rng = np.random.default_rng(1)
    steps = np.arange(300)
    loss = 3.0 * np.exp(-steps / 80) + 1.0 + rng.normal(0, 0.02, 300)
    series = {
        "train/loss": (steps, loss),
        "val/loss": (steps[::50], loss[::50] + 0.1),
        "val/ppl": (steps[::50], np.exp(loss[::50] + 0.1)),
        "grad_norm_total": (steps, rng.lognormal(0, 0.3, 300)),
        "train/learning_rate": (steps, 3e-4 * (1 - steps / 400)),
        "mark/checkpoint": (np.array([100, 200]), np.ones(2)),
    }
    for layer in range(12):
        values = 3.0 - layer / 10 + rng.normal(0, 0.05, 300)
        if layer == 3:
            values[150:155] = np.nan
        series[f"attention_entropy/layer_{layer}"] = (steps, values)
    return recorded(tmp_path_factory.mktemp("layered") / "layered", series, config={"lr": 3e-4, "model": {"dim": 64}})
