"""The points of a chart as rows, in pages."""

from holter.dashboard.api._requests import TableRequest
from holter.dashboard.api._responses import TableResponse, TableRow
from holter.dashboard.api._runs import Entry, reading
from holter.dashboard.http._errors import RequestError

__all__ = ["COLUMNS", "MAX_SERIES", "table"]

COLUMNS = ("run", "name", "step", "value", "timestamp")
MAX_SERIES = 512


def table(entries: list[Entry], request: TableRequest) -> TableResponse:
    """Return rows `offset` to `offset + limit`, ordered by run and name as in the request.

    A series that a run does not have contributes no rows. `total` counts all rows. Only the series on the page are
    read, unless `start` or `stop` is set, where counting has to read the others too.

    Raises:
        RequestError: If the table has too many series, or a run cannot be read.
    """
    if len(request.runs) * len(request.names) > MAX_SERIES:
        raise RequestError(400, f"a table has at most {MAX_SERIES} series (runs × names); request fewer")
    rows: list[TableRow] = []
    total = 0
    for entry in entries:
        with reading(entry):
            counts = {facts.name: facts.count for facts in entry.run.facts()}
            for name in request.names:
                if name not in counts:
                    continue
                count = counts[name] if request.start is None and request.stop is None else None
                first = max(request.offset - total, 0)
                if count is None or (first < count and len(rows) < request.limit):
                    points = entry.run.series(name, request.start, request.stop)
                    count = len(points)
                    page = slice(first, first + request.limit - len(rows))
                    times = points.timestamps[page].astype("datetime64[ms]").astype(str).tolist()
                    columns = (points.steps[page].tolist(), points.values[page].tolist(), times)
                    rows += [
                        (entry.id, name, step, value, f"{time}Z") for step, value, time in zip(*columns, strict=True)
                    ]
                total += count
    return TableResponse(list(COLUMNS), rows, total)
