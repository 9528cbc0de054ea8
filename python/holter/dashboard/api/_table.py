"""The points behind a chart as rows, a page at a time: what a screen reader, or a doubt, needs."""

from typing import Any

from holter.dashboard.api._requests import TableSpec
from holter.dashboard.api._runs import Entry, reading
from holter.dashboard.http._errors import Refused

__all__ = ["COLUMNS", "MAX_SERIES", "table"]

COLUMNS = ("run", "name", "step", "value", "timestamp")
MAX_SERIES = 512


def table(entries: list[Entry], spec: TableSpec) -> dict[str, Any]:
    """Return the rows `offset` to `offset + limit` of all points that are asked for, ordered as the request is.

    A name that a run does not have has no rows. `total` counts all rows. Only the series that the page shows are
    read, unless the range of steps is bounded, where counting needs the others, too.

    Raises:
        Refused: If too many series are asked for, or a run cannot be read.
    """
    if len(spec.runs) * len(spec.names) > MAX_SERIES:
        raise Refused(400, f"a table is of at most {MAX_SERIES} series (runs × names); ask for fewer")
    rows: list[list[Any]] = []
    total = 0
    for entry in entries:
        with reading(entry):
            counts = {facts.name: facts.count for facts in entry.run.facts()}
            for name in spec.names:
                if name not in counts:
                    continue
                count = counts[name] if spec.start is None and spec.stop is None else None
                first = max(spec.offset - total, 0)
                if count is None or (first < count and len(rows) < spec.limit):
                    points = entry.run.series(name, spec.start, spec.stop)
                    count = len(points)
                    page = slice(first, first + spec.limit - len(rows))
                    times = points.timestamps[page].astype("datetime64[ms]").astype(str).tolist()
                    columns = (points.steps[page].tolist(), points.values[page].tolist(), times)
                    rows += [
                        [entry.id, name, step, value, f"{time}Z"] for step, value, time in zip(*columns, strict=True)
                    ]
                total += count
    return {"columns": list(COLUMNS), "rows": rows, "total": total}
