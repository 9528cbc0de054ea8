"""The examples of docs/analysis.md run in order."""

import re
from pathlib import Path

import numpy as np

import holter

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"


def test_examples_run(tmp_path, monkeypatch):
    steps = np.arange(0, 10_001, 10)
    for seed, name in enumerate(["run-1", "run-2"]):
        loss = (
            4 + 6 * np.exp(-steps / 800) - 0.3 * (steps > 3500) + 0.05 * np.random.default_rng(seed).normal(size=1001)
        )
        with holter.Logger(tmp_path / "runs" / name, sinks=("sqlite",)) as logger:
            for step, value in zip(steps.tolist(), loss.tolist(), strict=True):
                logger.log(step, "train/loss", value)
                if step % 500 == 0:
                    logger.log_many(step, {"val/loss": value - 0.1, "val/ppl": float(np.exp(value - 0.1))})
                    logger.log_many(step, {f"effective_rank/blocks.{i}": 328 - step / 625 + i for i in range(3)})
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) >= 8
    names: dict[str, object] = {}
    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)
    assert names["change"] is None  # the ranks decline steadily
    assert names["found"].text == "329 → 313"


def test_every_public_name_is_documented():
    from holter import analysis

    described = {"Band", "BandKind", "Cell", "ChangePoint", "Comparison", "Family", "Rolling", "Row", "Trend"}
    text = PAGE.read_text()
    assert [name for name in analysis.__all__ if name not in described and f"`{name}`" not in text] == []
