"""The demo's output: a progress bar on a terminal, a few lines in a pipe, and next steps at the end."""

from __future__ import annotations

import math
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from typing_extensions import Self

    from holter.demo.train import Outcome

LINES_IN_PIPE = 10

QUERY = "\"SELECT step, value FROM metrics WHERE name='grad_norm/blocks.0.M_init'\""


class TrainingDisplay:
    """Shows the progress of a training. A context manager that removes the bar at the end."""

    def __init__(self, console: Console, data: str, steps: int) -> None:
        self._console = console
        self._steps = steps
        self._perplexity = math.nan
        self._line_every = max(1, steps // LINES_IN_PIPE)
        self._progress: Progress | None = None
        if console.is_terminal:
            self._progress = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("loss {task.fields[loss]:.3f}  val ppl {task.fields[perplexity]:.2f}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._progress.add_task(f"training on {data}", total=steps, loss=math.nan, perplexity=math.nan)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def step(self, step: int, loss: float) -> None:
        """Show a completed step."""
        if self._progress is not None:
            self._progress.update(self._task, completed=step + 1, loss=loss)
        elif (step + 1) % self._line_every == 0:
            self._console.print(
                f"step {step + 1:>5} of {self._steps}   train loss {loss:.3f}   val ppl {self._perplexity:.2f}",
                highlight=False,
            )

    def validated(self, step: int, perplexity: float) -> None:
        """Show the perplexity of the held-out text before this step."""
        del step
        self._perplexity = perplexity
        if self._progress is not None:
            self._progress.update(self._task, perplexity=perplexity)


def show_outcome(console: Console, outcome: Outcome) -> None:
    """Print the result of the training."""
    if outcome.interrupted:
        console.print(f"\nStopped after {outcome.steps} steps; all of them are recorded.")
    console.print(
        f"\n{outcome.steps} steps in {outcome.seconds:.0f} s. Perplexity per byte of held-out text: "
        f"[bold]{outcome.perplexity:.2f}[/bold] (byte frequencies alone: {outcome.unigram_perplexity:.1f}).",
        highlight=False,
        soft_wrap=True,
    )


def show_recorded(console: Console, path: Path, names: list[str], points: int) -> None:
    """Print the recorded series by family."""
    families = Counter(_family(name) for name in names)
    table = Table(title=f"{points:,} points of {len(names)} metrics in {path}", title_justify="left")
    table.add_column("metric")
    table.add_column("series", justify="right")
    for family, count in sorted(families.items()):
        table.add_row(family, str(count))
    console.print()
    console.print(table)


def show_next_steps(console: Console, path: Path, data: str) -> None:
    """Print commands that show the run, ready to copy."""
    database = path / "metrics.sqlite"
    holter = _command()
    other = "prose" if data == "code" else "code"
    lines = [
        "",
        "[bold]Next steps[/bold]",
        "",
        "  in the browser, also during a run:",
        f"    {holter} serve {path.parent}",
        "",
        "  in the terminal:",
        f"    {holter} plot {path} 'attention_entropy/layer_*'",
        "",
        "  with the SQLite shell, also during a run:",
        f"    sqlite3 {database} {QUERY}",
        "",
        "  with pyarrow (or DuckDB, Polars, Spark), for many runs at once:",
        "    import pyarrow.dataset as ds",
        f'    run = ds.dataset("{path / "parquet"}")',
        "    run.to_table(filter=ds.field('name') == 'attention_entropy/layer_0').to_pandas()",
        "",
        "  with Holter:",
        "    import holter",
        f'    holter.open_run("{path}").series("memory_rw_ratio/layer_0").values',
        "",
        f"  compare with the same model on other data: python -m holter.demo --data {other}",
        f"    {holter} compare {path} {path.parent / other}",
    ]
    for line in lines:
        console.print(line, highlight=False, markup=line.startswith("[bold]"), soft_wrap=True)


def _command() -> str:
    """Return the command `holter` as a shell can find it, even if the environment is not activated."""
    if shutil.which("holter"):
        return "holter"
    script = Path(sys.executable).with_name("holter")
    if not script.exists():
        return f"{sys.executable} -m holter.cli"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)


def _family(name: str) -> str:
    """Return the table row of a series, such as `grad_norm/*` for `grad_norm/blocks.0.M_init`."""
    head, slash, rest = name.partition("/")
    if not slash:
        return name
    if rest.startswith("layer_"):
        return f"{head}/layer_*"
    return f"{head}/*" if head == "grad_norm" else name
