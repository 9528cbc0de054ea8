"""A finished run with a known summary."""

import math
from pathlib import Path

import numpy as np
import pytest

import holter
from holter._text import epoch_micros
from summary_run import MANIFEST, START, edit


@pytest.fixture
def ten_steps_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 0 is logged when the run starts, and each further step a tenth of a second later."""
    read = holter.Run.series

    def series(run: holter.Run, name: str, *bounds: int) -> holter.Series:
        found = read(run, name, *bounds)
        start = np.datetime64(epoch_micros(START), "us")
        times = start + found.steps * np.timedelta64(100_000, "us")
        return holter.Series(found.name, found.steps, found.values, times)

    monkeypatch.setattr(holter.Run, "series", series)


@pytest.fixture
def run(tmp_path: Path, ten_steps_per_second: None) -> holter.Run:
    """A finished run of two attempts: 100 steps of a loss with a NaN, 5 validations, one mark."""
    path = tmp_path / "runs" / "gpt"
    with holter.Logger(path, journal_points=1 << 12) as logger:
        for step in range(100):
            logger.log(step, "train/loss", math.nan if step == 7 else 100.0 - step)
            if step % 20 == 0:
                logger.log(step, "val/loss", 50.0 + abs(step - 40))
        logger.log(60, "mark/checkpoint", 1.0)
    return edit(path, **MANIFEST)
