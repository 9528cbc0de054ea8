"""A table of runs, with the same values as the dashboard's list of runs."""

import html
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from holter._find import list_runs, report_unreadable
from holter._run import Run
from holter._series import load
from holter._summary import RunSummary, summarize
from holter._text import iso_time
from holter.exceptions import HolterError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunsTable", "runs"]

COLUMNS = (
    "name",
    "path",
    "status",
    "created",
    "duration_secs",
    "last_step",
    "steps_per_second",
    "loss",
    "series",
    "points",
    "nonfinite_series",
    "dropped",
    "tags",
    "group",
    "notes",
)


class RunsTable:
    """Runs as rows, oldest first; created by `holter.runs`.

    A sequence of dicts with the same keys: the columns `name`, `path`, `status`, `created` (a datetime),
    `duration_secs`, `last_step`, `steps_per_second`, `loss` (the latest value), `series`, `points`,
    `nonfinite_series`, `dropped`, `tags`, `group` and `notes`, then `config.KEY` for every setting of any run. A value
    that a run does not have is None. Notebooks display it as a table.
    """

    __slots__ = ("_rows", "columns")

    def __init__(self, summaries: Iterable[RunSummary]) -> None:
        rows = [_row(summary) for summary in summaries]
        settings = sorted({key for row in rows for key in row} - set(COLUMNS))
        self.columns = [*COLUMNS, *settings]
        self._rows = [{column: row.get(column) for column in self.columns} for row in rows]

    def to_pandas(self) -> "pd.DataFrame":
        """Return a pandas DataFrame with a row per run.

        Raises:
            ImportError: If pandas is not installed.
        """
        frame: pd.DataFrame = load("pandas", "pandas").DataFrame(self._rows, columns=self.columns)
        return frame

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._rows[index]

    def __repr__(self) -> str:
        shown = ("name", "status", "last_step", "loss", "created")
        cells = [shown, *([_text(row[column]) for column in shown] for row in self._rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(shown))]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        used = [column for column in self.columns if any(row[column] not in (None, [], 0) for row in self._rows)]
        head = "".join(f"<th>{html.escape(column)}</th>" for column in used)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_text(row[column]))}</td>" for column in used) + "</tr>" for row in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def runs(
    root: str | os.PathLike[str] = "runs",
    *,
    tags: str | Iterable[str] = (),
    where: Callable[[Run], object] | None = None,
    on_unreadable: Callable[[pathlib.Path, str], object] | None = None,
) -> RunsTable:
    """Return a table of the runs in a directory: status, progress, loss and config of each.

        holter.runs("runs", tags="sweep").to_pandas().sort_values("loss")

    Args:
        root: As for `list_runs`.
        tags: As for `list_runs`.
        where: As for `list_runs`.
        on_unreadable: As for `list_runs`.

    Raises:
        FileNotFoundError: If the directory does not exist.
    """
    summaries = []
    for run in list_runs(root, tags=tags, where=where, on_unreadable=on_unreadable):
        try:
            summaries.append(summarize(run))
        except (HolterError, OSError) as error:  # noqa: PERF203  one unreadable run must not hide the others
            report_unreadable(run.path, str(error), on_unreadable)
    return RunsTable(summaries)


def _row(summary: RunSummary) -> dict[str, Any]:
    return {
        "name": summary.name,
        "path": str(summary.run.path),
        "status": summary.status,
        "created": summary.created,
        "duration_secs": summary.duration_secs,
        "last_step": summary.last_step,
        "steps_per_second": summary.steps_per_second,
        "loss": None if summary.loss is None else summary.loss.last_value,
        "series": len(summary.series),
        "points": summary.num_points,
        "nonfinite_series": len(summary.nonfinite),
        "dropped": summary.dropped,
        "tags": summary.tags,
        "group": summary.group,
        "notes": summary.notes,
        **{f"config.{key}": value for key, value in summary.config.items()},
    }


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return iso_time(value) if hasattr(value, "astimezone") else str(value)


for _public in (RunsTable, runs):
    _public.__module__ = "holter"
