"""What `holter tail` shows of each look: a live table on a terminal, lines in a pipe, JSON lines for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from holter.cli.alerts import alert_style, alert_text, alerts_json
from holter.cli.facts import series_json
from holter.cli.output import echo, echo_json, is_terminal, terminal_console
from holter.cli.sparklines import read_sparklines
from holter.cli.text import count_text, shortened, time_text, value_text, visible

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console, RenderableType
    from typing_extensions import Self

    import holter
    from holter.alerts import Alert
    from holter.cli.commands.tail.watching import Look

__all__ = ["Display", "JsonLines", "LiveTable", "PlainLines", "display_for"]

NAME_LIMIT = 60
SPARKLINE_WIDTH = 30
NARROW = 80
HEADER_LINES = 4
ALERT_LINES = 3


class Display(Protocol):
    """Shows looks at a run; a context manager, so that the terminal is put back in order."""

    def update(self, look: Look) -> None:
        """Show one look."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def display_for(run: holter.Run, *, as_json: bool) -> Display:
    """Return what suits the output."""
    if as_json:
        return JsonLines(run)
    return LiveTable(run, terminal_console()) if is_terminal() else PlainLines()


class _Lines:
    """What needs no putting in order."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


class PlainLines(_Lines):
    """A line for each series that has a new point: the time of the look, step, value, name. And one for each alert."""

    def update(self, look: Look) -> None:
        """Write the lines."""
        for series in look.changed:
            name = visible(series.name)
            echo(f"{time_text(look.time)}  {series.last_step:>8}  {value_text(series.last_value):>12}  {name}")
        for alert in look.alerts:
            echo(f"{time_text(alert.time)}  {alert.level}: {alert_text(alert)}")


class JsonLines(_Lines):
    """A JSON object for each look at which something was new, and for the last one."""

    def __init__(self, run: holter.Run) -> None:
        self._run = run
        self._status = ""

    def update(self, look: Look) -> None:
        """Write the object, if there is news."""
        if not look.changed and not look.alerts and look.status == self._status:
            return
        self._status = look.status
        echo_json(
            {
                "time": time_text(look.time),
                "path": str(self._run.path),
                "status": look.status,
                "is_live": look.is_live,
                "last_step": look.last_step,
                "nonfinite_series": [series.name for series in look.nonfinite],
                "alerts": alerts_json(look.alerts),
                "series": [series_json(series) for series in look.changed],
            },
            indent=None,
        )


class LiveTable:
    """A table that stays in place and is drawn anew at each look."""

    def __init__(self, run: holter.Run, console: Console) -> None:
        from rich.live import Live

        self._run = run
        self._console = console
        self._sparklines: dict[str, str] = {}
        self._alerts: list[Alert] = []
        # Without its refreshing thread: the table changes only when there was a look.
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self, look: Look) -> None:
        """Draw the table."""
        self._alerts = [*self._alerts, *look.alerts][-ALERT_LINES:]
        room = max(self._console.height - HEADER_LINES - len(self._alerts), 1)
        drawn = {series.name for series in look.shown[:room]}
        changed = [series.name for series in look.changed if series.name in drawn]
        self._sparklines.update(read_sparklines(self._run, changed, self._width()))
        self._live.update(self._table(look, room), refresh=True)

    def _width(self) -> int:
        return SPARKLINE_WIDTH if self._console.width >= NARROW else SPARKLINE_WIDTH // 2

    def _table(self, look: Look, room: int) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_column(justify="right", no_wrap=True, min_width=10)
        table.add_column(no_wrap=True, min_width=self._width())
        table.add_column(justify="right", no_wrap=True, min_width=10)
        for series in look.shown[:room]:
            is_bad = series.nonfinite_count > 0
            table.add_row(
                Text(shortened(visible(series.name), NAME_LIMIT), style="red" if is_bad else ""),
                Text(value_text(series.last_value), style="bold"),
                Text(self._sparklines.get(series.name, ""), style="cyan"),
                Text(f"step {count_text(series.last_step)}", style="dim"),
            )
        hidden = len(look.shown) - room
        more = [Text(f"… and {count_text(hidden)} more series; a PATTERN chooses", style="dim")] if hidden > 0 else []
        return Group(self._header(look), table, *more, *self._alert_lines())

    def _alert_lines(self) -> list[RenderableType]:
        from rich.text import Text

        lines = [(f"{time_text(alert.time)}  {alert_text(alert)}", alert_style(alert)) for alert in self._alerts]
        return [Text(line, style, no_wrap=True, overflow="ellipsis") for line, style in lines]

    def _header(self, look: Look) -> RenderableType:
        from rich.text import Text

        style = {"running": "green", "failed": "red", "crashed": "red"}.get(look.status, "")
        header = Text.assemble((visible(self._run.name), "bold"), "  ", (look.status, style), no_wrap=True)
        if look.last_step is None:
            return header.append("  no points yet")
        header.append(f"  step {count_text(look.last_step)}")
        if look.is_live and look.steps_per_sec is not None:
            header.append(f"  {look.steps_per_sec:.3g} steps/s")
        if look.nonfinite:
            header.append(f"  {count_text(len(look.nonfinite))} series not finite", style="red")
        return header
