"""Progress bars on the error output, where somebody looks and it takes long enough; nowhere else anything."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holter.cli.output import is_terminal, terminal_console
from holter.cli.text import shortened, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["byte_bar", "point_bar"]

BYTES_WORTH_A_BAR = 4 << 20
POINTS_WORTH_A_BAR = 200_000
SECS_BETWEEN_BARS = 0.1
DESCRIPTION_LIMIT = 40


def byte_bar(description: str, num_bytes: int) -> AbstractContextManager[Callable[[int], None]]:
    """Give a function that takes how many bytes have been read so far."""
    return _bar(description, num_bytes, BYTES_WORTH_A_BAR, is_bytes=True)


def point_bar(num_points: int) -> AbstractContextManager[Callable[[int], None]]:
    """Give a function that takes how many points have been written so far."""
    return _bar("points", num_points, POINTS_WORTH_A_BAR, is_bytes=False)


@contextmanager
def _bar(description: str, total: int, least: int, *, is_bytes: bool) -> Iterator[Callable[[int], None]]:
    if total < least or not is_terminal(error=True):
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    amount = DownloadColumn() if is_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=terminal_console(error=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task(shortened(visible(description), DESCRIPTION_LIMIT), total=total)
        drawn = 0.0

        def told(completed: int) -> None:
            nonlocal drawn
            progress.update(task, completed=completed)
            # Steps may be small and many: drawing the bar for each would take longer than the work.
            if time.monotonic() - drawn > SECS_BETWEEN_BARS:
                progress.refresh()
                drawn = time.monotonic()

        yield told
