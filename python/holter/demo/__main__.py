"""The demo's command line: `python -m holter.demo` and `holter demo`."""

from __future__ import annotations

from pathlib import Path

import click

DEFAULT_STEPS = 600
INTERRUPTED = 130
"""The shell's exit status for SIGINT."""


@click.command(context_settings={"max_content_width": 100, "show_default": True})
@click.option(
    "--data",
    type=click.Choice(["prose", "code"]),
    default="prose",
    help="The text: Python's language reference, or the standard library's source code.",
)
@click.option("--steps", type=click.IntRange(min=1), default=DEFAULT_STEPS, help="Number of training steps.")
@click.option("--seed", type=int, default=0, help="Seed for the initial weights.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="runs/<data>, or the next free runs/<data>-N",
    help="Directory of the run; must not contain one.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    help="Number of PyTorch threads. More threads gain little, because the model is small.",
)
def main(data: str, steps: int, seed: int, out: Path | None, threads: int) -> None:
    """Train a small language model on real text and record all vital signs.

    The model is a byte-level transformer with a matrix memory (M_init) and a mixer (alpha) in each block. Every step
    records the gradient norm of every parameter, the entropy and sparsity of every layer's attention, the norms that
    every memory reads and writes, and every mixer's alpha with its gradient. Every few steps record the effective rank
    of every M_init and the perplexity on held-out text. The default number of steps takes about a minute.

    \b
    Examples:
      python -m holter.demo                          first run, on English
      python -m holter.demo --data code              second run: same architecture, different data
      python -m holter.demo --steps 50 --out /tmp/x  quick look
    """  # noqa: D301  \b prevents click from rewrapping
    try:
        import torch  # not at the top, so that --help and the error message work without it
    except ImportError:
        message = "the demo needs PyTorch; install it with: pip install 'holter[torch]'"
        raise click.ClickException(message) from None
    torch.set_num_threads(threads)
    from holter.demo.run import run_demo

    outcome = run_demo(data, steps, seed, out)
    if outcome.interrupted:
        raise SystemExit(INTERRUPTED)


if __name__ == "__main__":
    main(prog_name="python -m holter.demo")
