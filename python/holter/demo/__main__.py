"""The demo's command, `python -m holter.demo` and `holter demo`."""

from __future__ import annotations

from pathlib import Path

import click

DEFAULT_STEPS = 600
INTERRUPTED = 130
"""The exit status of a program that Ctrl-C ended, by the shell's convention."""


@click.command(context_settings={"max_content_width": 100, "show_default": True})
@click.option(
    "--data",
    type=click.Choice(["prose", "code"]),
    default="prose",
    help="What to read: Python's language reference, or the standard library's source code.",
)
@click.option("--steps", type=click.IntRange(min=1), default=DEFAULT_STEPS, help="How many training steps.")
@click.option("--seed", type=int, default=0, help="Seed of the model's initial weights.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="runs/<data>, or the next free runs/<data>-N",
    help="The run's directory. Refused if it holds a run already.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    help="Threads that compute. The model is so small that a second one gains little.",
)
def main(data: str, steps: int, seed: int, out: Path | None, threads: int) -> None:
    """Train a small language model on real text and record its every vital sign.

    The model is a byte-level transformer whose blocks also have a matrix memory (M_init) and a mixer (alpha). At every
    step Holter records the gradient norm of every parameter, the entropy and sparsity of every layer's attention, what
    every memory reads and writes, and every mixer's alpha with its gradient; and now and then the effective rank of
    every M_init and the perplexity on held-out text. With the default number of steps it takes about a minute.

    \b
    Examples:
      python -m holter.demo                          the first run, on English
      python -m holter.demo --data code              the second: the same architecture, different data
      python -m holter.demo --steps 50 --out /tmp/x  a glance
    """  # noqa: D301  \b is click's sign for lines that stay as they are
    try:
        import torch  # here, so that --help works without it and its absence can be explained
    except ImportError:
        message = "the demo trains with PyTorch, which is missing: pip install holter[torch]"
        raise click.ClickException(message) from None
    torch.set_num_threads(threads)
    from holter.demo.run import run_demo

    outcome = run_demo(data, steps, seed, out)
    if outcome.interrupted:
        raise SystemExit(INTERRUPTED)


if __name__ == "__main__":
    main(prog_name="python -m holter.demo")
