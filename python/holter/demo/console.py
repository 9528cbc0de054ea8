"""What the demo shows: a progress bar on a terminal, a line now and then in a pipe, and in the end where to look."""

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

LINES_IN_A_PIPE = 10

QUERY = "\"SELECT step, value FROM metrics WHERE name='grad_norm/blocks.0.M_init'\""


class TrainingDisplay:
    """Shows a training while it runs. A context manager, so that a bar is taken down again."""

    def __init__(self, console: Console, data: str, steps: int) -> None:
        self._console = console
        self._steps = steps
        self._perplexity = math.nan
        self._line_every = max(1, steps // LINES_IN_A_PIPE)
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
        """A step has been trained."""
        if self._progress is not None:
            self._progress.update(self._task, completed=step + 1, loss=loss)
        elif (step + 1) % self._line_every == 0:
            self._console.print(
                f"step {step + 1:>5} of {self._steps}   train loss {loss:.3f}   val ppl {self._perplexity:.2f}",
                highlight=False,
            )

    def validated(self, step: int, perplexity: float) -> None:
        """The held-out text has been looked at before this step."""
        del step
        self._perplexity = perplexity
        if self._progress is not None:
            self._progress.update(self._task, perplexity=perplexity)


def show_outcome(console: Console, outcome: Outcome) -> None:
    """One paragraph: did it learn?"""
    if outcome.interrupted:
        console.print(f"\nStopped after {outcome.steps} steps; everything up to there is recorded.")
    console.print(
        f"\n{outcome.steps} steps in {outcome.seconds:.0f} s. Perplexity per byte of held-out text: "
        f"[bold]{outcome.perplexity:.2f}[/bold] (byte frequencies alone: {outcome.unigram_perplexity:.1f}).",
        highlight=False,
        soft_wrap=True,
    )


def show_recorded(console: Console, path: Path, names: list[str], points: int) -> None:
    """What the run holds, family by family."""
    families = Counter(_family(name) for name in names)
    table = Table(title=f"{points:,} points of {len(names)} metrics in {path}", title_justify="left")
    table.add_column("metric")
    table.add_column("series", justify="right")
    for family, count in sorted(families.items()):
        table.add_row(family, str(count))
    console.print()
    console.print(table)


def show_how_to_look(console: Console, path: Path, data: str) -> None:
    """Ways to the charts and to the numbers, to be copied as they stand."""
    database = path / "metrics.sqlite"
    holter = _command()
    other = "prose" if data == "code" else "code"
    lines = [
        "",
        "[bold]Look at it[/bold]",
        "",
        "  in the browser, also while a run is going on:",
        f"    {holter} serve {path.parent}",
        "",
        "  in the terminal:",
        f"    {holter} plot {path} 'attention_entropy/layer_*'",
        "",
        "  with SQLite's shell, also while a run is going on:",
        f"    sqlite3 {database} {QUERY}",
        "",
        "  with pyarrow (or DuckDB, Polars, Spark), many runs at once:",
        "    import pyarrow.dataset as ds",
        f'    run = ds.dataset("{path / "parquet"}")',
        "    run.to_table(filter=ds.field('name') == 'attention_entropy/layer_0').to_pandas()",
        "",
        "  with Holter:",
        "    import holter",
        f'    holter.open_run("{path}").series("memory_rw_ratio/layer_0").values',
        "",
        f"  the same model on other data, to compare: python -m holter.demo --data {other}",
        f"    {holter} compare {path} {path.parent / other}",
    ]
    for line in lines:
        console.print(line, highlight=False, markup=line.startswith("[bold]"), soft_wrap=True)


def _command() -> str:
    """The command `holter` as a shell finds it: an environment that is not activated is not searched."""
    if shutil.which("holter"):
        return "holter"
    beside = Path(sys.executable).with_name("holter")
    if not beside.exists():
        return f"{sys.executable} -m holter.cli"
    return str(beside.relative_to(Path.cwd()) if beside.is_relative_to(Path.cwd()) else beside)


def _family(name: str) -> str:
    """`grad_norm/blocks.0.M_init` and its kin are one line of the table, `grad_norm/*`."""
    head, slash, rest = name.partition("/")
    if not slash:
        return name
    if rest.startswith("layer_"):
        return f"{head}/layer_*"
    return f"{head}/*" if head == "grad_norm" else name
