"""The results as tables: all of them for benches/README.md, the promised ones for the project's README."""

import pathlib
from typing import Any

Results = dict[str, dict[str, Any]]

# What is promised: what, the target, and the measured keys in a sentence of their own.
PROMISED = (
    (
        "`logger.log`, against a no-op builtin call with the same three arguments in the same loop",
        "2.5×",
        "{calls.log_ratio_with_loop}× ({calls.log} ns beside {calls.noop} ns, the loop of {calls.empty} ns taken off)",
    ),
    ("`Metric.log`, against the same", "2×", "{calls.metric_ratio_with_loop}× ({calls.metric} ns)"),
    ("`log_array` of 1,000 float32, per point", "15 ns", "{calls.log_array} ns"),
    (
        "1,000 series into SQLite + Parquet + JSONL, the writer on one core",
        "500,000 points/s",
        "{throughput.all.1000.rate},000 points/s; {throughput.all.1000.cpu} µs of the processor a point",
    ),
    (
        "the same into Parquet alone",
        "4 million points/s",
        "{throughput.parquet.1000.rate},000 points/s; {throughput.parquet.1000.cpu} µs a point",
    ),
    (
        "bytes per point, SQLite / Parquet, at full speed",
        "27 / 4.5",
        "{size.seconds.sqlite} / {size.seconds.parquet}",
    ),
    ("the same, in a run of days", "27 / 4.5", "{size.days.sqlite} / {size.days.parquet}"),
    (
        "one series of 10,000 points among 10 million: the note's SQL / DuckDB on Parquet",
        "5 ms",
        "{queries.sqlite} ms / {queries.duckdb} ms",
    ),
    (
        "`import holter` / an idle logger's memory",
        "20 ms / 40 MB",
        "{imports.import} ms / {imports.memory_idle} MB",
    ),
    ("the wheel", "5 MB", "{imports.wheel} MB"),
)


def full(results: Results) -> str:
    """Every row of every bench."""
    parts = []
    for name, result in results.items():
        processes = _counted(result["processes"], "process", "processes")
        parts.append(
            f"### {name}\n\n{result['date']}; {machine_in_words(result['machine'])}. {processes}; "
            f"load of the machine before: {result['load before']}.\n\n"
            "| what | median | low – high | unit |\n|---|---:|---:|---|"
        )
        parts[-1] += "".join(
            f"\n| {row['what']} | {short(row['value'])} | {_range(row)} | {row['unit']} |" for row in result["rows"]
        )
    return "\n\n".join(parts)


def promised(results: Results) -> str:
    """The rows that the project's README shows, each with its target."""
    found = {row["key"]: short(row["value"]) for result in results.values() for row in result["rows"]}
    lines = ["| what | target | measured |", "|---|---|---|"]
    for what, target, text in PROMISED:
        shown = text
        for key, value in found.items():
            shown = shown.replace("{" + key + "}", value)
        lines.append(f"| {what} | {target or '–'} | {'not yet' if '{' in shown else shown} |")
    machines = sorted(
        {f"{result['machine']['cpu']}, Python {result['machine']['python']}" for result in results.values()}
    )
    return f"Measured on {'; '.join(machines)}.\n\n" + "\n".join(lines)


def write(results: Results, benches_readme: pathlib.Path, project_readme: pathlib.Path) -> None:
    """Put the tables between the markers of both files."""
    put_between(benches_readme, "benches/run.py", full(results))
    put_between(project_readme, "benches/run.py", promised(results))


def put_between(path: pathlib.Path, program: str, text: str) -> None:
    """Replace what a program has put between its markers in a file.

    Raises:
        LookupError: If the file lacks the markers.
    """
    begin, end = f"<!-- results of {program}: begin -->", f"<!-- results of {program}: end -->"
    before, found, rest = path.read_text("utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise LookupError(f"{path} lacks the markers {begin} and {end}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


def machine_in_words(machine: dict[str, str]) -> str:
    """A machine as one line."""
    return "; ".join(f"{key} {value}" if key in ("kernel", "python") else value for key, value in machine.items())


def short(value: float) -> str:
    """Three digits, more only before the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _range(row: dict[str, Any]) -> str:
    return "" if row["low"] == row["high"] else f"{short(row['low'])} – {short(row['high'])}"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
