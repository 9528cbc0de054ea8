"""How `holter tail` displays updates: a live table on a terminal, lines in a pipe, JSON Lines for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from holter._text import iso_time, shortened, visible
from holter.cli.alerts import alert_style, alert_text, alerts_json
from holter.cli.documents import series_json
from holter.cli.output import echo, echo_json, is_terminal, terminal_console
from holter.cli.sparklines import read_sparklines
from holter.cli.text import STATUS_STYLES, count_text, value_text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType
    from typing_extensions import Self

    import holter
    from holter.alerts import Alert
    from holter.cli.commands.tail.watching import Update

__all__ = ["Display", "JsonLines", "LiveTable", "PlainLines", "display_for"]

NAME_LIMIT = 60
SPARKLINE_WIDTH = 30
NARROW = 80
HEADER_LINES = 4
ALERT_LINES = 3


class Display(Protocol):
    """Displays updates of a run; a context manager that restores the terminal."""

    def show(self, update: Update) -> None:
        """Display one update."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def display_for(run: holter.Run, *, as_json: bool) -> Display:
    """Return the display for the output: JSON, a terminal, or a pipe."""
    if as_json:
        return JsonLines(run)
    return LiveTable(run, terminal_console()) if is_terminal() else PlainLines()


class _Lines:
    """A display with nothing to restore."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


class PlainLines(_Lines):
    """One line for each series with new points (time of the update, step, value, name) and for each alert."""

    def show(self, update: Update) -> None:
        """Write the lines."""
        for series in update.changed:
            name = visible(series.name)
            echo(f"{iso_time(update.time)}  {series.last_step:>8}  {value_text(series.last_value):>12}  {name}")
        for alert in update.alerts:
            echo(f"{iso_time(alert.time)}  {alert.level}: {alert_text(alert)}")


class JsonLines(_Lines):
    """One JSON object for each update with changes, including a change of status."""

    def __init__(self, run: holter.Run) -> None:
        self._run = run
        self._status = ""

    def show(self, update: Update) -> None:
        """Write the object if something changed."""
        if not update.changed and not update.alerts and update.status == self._status:
            return
        self._status = update.status
        echo_json(
            {
                "time": iso_time(update.time),
                "path": str(self._run.path),
                "status": update.status,
                "is_live": update.is_live,
                "last_step": update.last_step,
                "nonfinite_series": [series.name for series in update.nonfinite],
                "alerts": alerts_json(update.alerts),
                "series": [series_json(series) for series in update.changed],
            },
            indent=None,
        )


class LiveTable:
    """A table that is redrawn in place at each update."""

    def __init__(self, run: holter.Run, console: Console) -> None:
        from rich.live import Live

        self._run = run
        self._console = console
        self._sparklines: dict[str, str] = {}
        self._alerts: list[Alert] = []
        # Without rich's refresh thread: the table changes only with an update.
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, update: Update) -> None:
        """Draw the table."""
        self._alerts = [*self._alerts, *update.alerts][-ALERT_LINES:]
        max_rows = max(self._console.height - HEADER_LINES - len(self._alerts), 1)
        drawn = {series.name for series in update.shown[:max_rows]}
        changed = [series.name for series in update.changed if series.name in drawn]
        self._sparklines.update(read_sparklines(self._run, changed, self._width()))
        self._live.update(self._table(update, max_rows), refresh=True)

    def _width(self) -> int:
        return SPARKLINE_WIDTH if self._console.width >= NARROW else SPARKLINE_WIDTH // 2

    def _table(self, update: Update, max_rows: int) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True, min_width=10)
        table.add_column(no_wrap=True, min_width=self._width())
        table.add_column(justify="right", no_wrap=True, min_width=10)
        for series in update.shown[:max_rows]:
            table.add_row(
                Text(shortened(visible(series.name), NAME_LIMIT), style="red" if series.nonfinite_count else ""),
                Text(value_text(series.last_value), style="bold"),
                Text(self._sparklines.get(series.name, ""), style="cyan"),
                Text(f"step {count_text(series.last_step)}", style="dim"),
            )
        hidden = len(update.shown) - max_rows
        more = [Text(f"… and {count_text(hidden)} more series; pass a PATTERN", style="dim")] if hidden > 0 else []
        return Group(self._header(update), table, *more, *self._alert_lines())

    def _alert_lines(self) -> list[RenderableType]:
        from rich.text import Text

        lines = [(f"{iso_time(alert.time)}  {alert_text(alert)}", alert_style(alert)) for alert in self._alerts]
        return [Text(line, style, no_wrap=True, overflow="ellipsis") for line, style in lines]

    def _header(self, update: Update) -> RenderableType:
        from rich.text import Text

        style = STATUS_STYLES.get(update.status, "")
        header = Text.assemble((visible(self._run.name), "bold"), "  ", (update.status, style), no_wrap=True)
        if update.last_step is None:
            return header.append("  no points yet")
        header.append(f"  step {count_text(update.last_step)}")
        if update.is_live and update.steps_per_second is not None:
            header.append(f"  {update.steps_per_second:.3g} steps/s")
        if update.nonfinite:
            header.append(f"  {count_text(len(update.nonfinite))} series with NaN or Inf", style="red")
        return header
