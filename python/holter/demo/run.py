"""One demo from the first line on the terminal to the last: open a run, train, close it, say what it holds."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import click
from rich.console import Console

import holter
from holter.demo.console import TrainingDisplay, show_how_to_look, show_outcome, show_recorded
from holter.demo.data import CorpusMissingError
from holter.demo.model import ModelConfig
from holter.demo.train import BATCH, LEARNING_RATE, Outcome, train


def run_demo(data: str, steps: int, seed: int, out: Path | None) -> Outcome:
    """Train and record; `out` is the run's directory, by default the next free one in `runs`."""
    console = Console()
    path = _free_directory(data) if out is None else out
    config = {"data": data, "steps": steps, "seed": seed, "batch": BATCH, "learning_rate": LEARNING_RATE}
    try:
        logger = holter.Logger(path, config={**config, "model": vars(ModelConfig())}, tags=("demo",), resume="never")
    except FileExistsError:
        raise click.ClickException(f"{path} holds a run already; choose another --out or remove it") from None
    with logger, TrainingDisplay(console, data, steps) as display:
        try:
            outcome = train(data, steps, seed, logger, display)
        except CorpusMissingError as error:
            raise click.ClickException(str(error)) from None
    points = logger.health.accepted
    show_outcome(console, outcome)
    show_recorded(console, path, holter.open_run(path).names(), points)
    show_how_to_look(console, path, data)
    return outcome


def _free_directory(data: str) -> Path:
    """`runs/prose`, or `runs/prose-2` where that is taken, and so on."""
    for number in count(1):
        path = Path("runs") / (data if number == 1 else f"{data}-{number}")
        if not path.exists():
            return path
    raise AssertionError("count has no end")
