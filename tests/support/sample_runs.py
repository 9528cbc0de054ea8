"""Training-like runs that are recorded in a moment, for tests of the readers and charts.

The arguments determine everything, so the expected chart can be computed. Nothing is trained: the values are
formulas with seeded noise.
"""

import json
import math
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import holter

LAYERS = 6
PARAMETERS = ("attn.qkv.weight", "attn.out.weight", "mlp.up.weight", "mlp.down.weight")
SPIKE_STEP = 137
"""The step at which `grad_norm_total` is a hundred times as large."""
NAN_STEP = 50
"""The step at which `attention_entropy/layer_3` is NaN."""
INF_STEP = 60
"""The step at which `train/loss` is infinite."""
TRANSITION_STEP = 250
"""The step at which the loss drops (a phase transition)."""


def names() -> list[str]:
    """Return the series with a point at every step."""
    families = [f"attention_entropy/layer_{layer}" for layer in range(LAYERS)]
    families += [f"attention_sparsity/layer_{layer}" for layer in range(LAYERS)]
    gradients = [f"grad_norm/blocks.{layer}.{parameter}" for layer in range(LAYERS) for parameter in PARAMETERS]
    return ["train/loss", "grad_norm_total", "lr", *families, *gradients]


def values(steps: int, seed: int = 0) -> "np.ndarray":
    """Return the values of `names()`, shape (steps, names)."""
    random = np.random.default_rng(seed)
    at = np.arange(steps, dtype=np.float64)
    loss = 1.5 + 3.0 * np.exp(-at / 120) - 0.6 / (1 + np.exp(-(at - TRANSITION_STEP) / 4))
    total = 1 + 4 * np.exp(-at / 80)
    columns = [loss, total, 3e-4 * np.minimum(1, (at + 1) / 50)]
    columns += [3.5 - 0.3 * layer - 0.8 * (at > TRANSITION_STEP) * (layer % 2) for layer in range(LAYERS)]
    columns += [0.05 + 0.02 * layer + 0 * at for layer in range(LAYERS)]
    columns += [total / (2 + layer + index) for layer in range(LAYERS) for index in range(len(PARAMETERS))]
    table = np.stack(columns, axis=1) * (1 + 0.03 * random.standard_normal((steps, len(columns))))
    where = {name: column for column, name in enumerate(names())}
    for step, name, value in (
        (SPIKE_STEP, "grad_norm_total", 100 * total[min(SPIKE_STEP, steps - 1)]),
        (NAN_STEP, "attention_entropy/layer_3", math.nan),
        (INF_STEP, "train/loss", math.inf),
    ):
        if step < steps:
            table[step, where[name]] = value
    return table


def record(
    path: Path,
    *,
    steps: int = 400,
    seed: int = 0,
    config: Mapping[str, Any] | None = None,
    tags: tuple[str, ...] = ("sample",),
    first_step: int = 0,
) -> Path:
    """Record a run of `steps` steps and close it: about 40 series, `val/ppl` every 20 steps, a mark every 200."""
    settings = {"lr": 3e-4, "seed": seed, "data": "prose", "total_steps": steps, "model": {"layers": LAYERS}}
    with holter.Logger(path, config={**settings, **(config or {})}, tags=tags) as logger:
        _log(logger, steps, seed, first_step)
    return path


def _log(logger: "holter.Logger", steps: int, seed: int, first_step: int) -> None:
    metrics = logger.metrics(names())
    table = values(steps, seed)
    for index, row in enumerate(table):
        step = first_step + index
        logger.log_array(step, metrics, row)
        if index % 20 == 19:
            loss = float(table[index, 0]) + 0.1
            logger.log_many(
                step, {"val/loss": loss, "val/ppl": math.exp(loss), "effective_rank/memory": 328 - index / 25}
            )
        if index and index % 200 == 0:
            logger.log(step, "mark/checkpoint", 1.0)


def record_few(path: Path, points: int = 3, name: str | None = None) -> Path:
    """Record a run of one series, `loss`, and close it."""
    with holter.Logger(path, name=name) as logger:
        for step in range(points):
            logger.log(step, "loss", 1.0)
    return path


def record_many_series(path: Path, *, series: int = 5000, steps: int = 3) -> Path:
    """Record a run of many series and few steps, for tests of long lists of names."""
    many = [f"grad_norm/blocks.{index // 20}.part_{index % 20}.weight" for index in range(series)]
    with holter.Logger(path) as logger:
        metrics = logger.metrics(many)
        for step in range(steps):
            logger.log_array(step, metrics, np.linspace(0.1, 1.0, series) + step)
    return path


def main(path: str, steps: str, pause_secs: str) -> None:
    """Record a run slowly, as a separate program; print `recording` at the start, stop at the end of the input."""
    count, pause = int(steps), float(pause_secs)
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    with holter.Logger(path, config={"total_steps": count}) as logger:
        metrics = logger.metrics(names())
        for step, row in enumerate(values(count)):
            logger.log_array(step, metrics, row)
            if step == 0:
                print(json.dumps({"recording": path}), flush=True)
            if stop.wait(pause):
                break


if __name__ == "__main__":
    main(*sys.argv[1:])
