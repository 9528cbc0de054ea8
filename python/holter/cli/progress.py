"""Progress bars on standard error: only on a terminal, and only for work that takes long enough."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holter._text import shortened, visible
from holter.cli.output import is_terminal, terminal_console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["byte_bar", "point_bar"]

MIN_BYTES = 4 << 20
MIN_POINTS = 200_000
REFRESH_SECS = 0.1
DESCRIPTION_LIMIT = 40


def byte_bar(description: str, num_bytes: int) -> AbstractContextManager[Callable[[int], None]]:
    """Return a context manager that yields `on_progress(num_bytes_done)`."""
    return _bar(description, num_bytes, MIN_BYTES, is_bytes=True)


def point_bar(num_points: int) -> AbstractContextManager[Callable[[int], None]]:
    """Return a context manager that yields `on_progress(num_points_done)`."""
    return _bar("points", num_points, MIN_POINTS, is_bytes=False)


@contextmanager
def _bar(description: str, total: int, min_total: int, *, is_bytes: bool) -> Iterator[Callable[[int], None]]:
    if total < min_total or not is_terminal(error=True):
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    amount = DownloadColumn() if is_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=terminal_console(error=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task(shortened(visible(description), DESCRIPTION_LIMIT), total=total)
        refreshed = 0.0

        def on_progress(completed: int) -> None:
            nonlocal refreshed
            progress.update(task, completed=completed)
            # Steps may be small and many: drawing the bar for each would take longer than the work.
            if time.monotonic() - refreshed > REFRESH_SECS:
                progress.refresh()
                refreshed = time.monotonic()

        yield on_progress
