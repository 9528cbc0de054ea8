"""Formats the results: every row for benches/README.md, the targets for the project's README.

A ratio is computed from the two figures printed next to it, as they are printed, so that a reader can check it.
"""

import pathlib
import re
from typing import Any

Results = dict[str, dict[str, Any]]

# What, the target, and a template for the measured figures: `{key}` is a figure, `{key / key}` a ratio of two.
TARGETS = (
    (
        "`logger.log` / a no-op builtin call with the same three arguments, both net of the loop",
        "2×",
        "{calls.log / calls.noop}× ({calls.log} ns / {calls.noop} ns; the subtracted loop takes {calls.empty} ns)",
    ),
    ("`Metric.log` / the same no-op", "2×", "{calls.metric / calls.noop}× ({calls.metric} ns / {calls.noop} ns)"),
    ("`log_array` of 1,000 float32, per point", "15 ns", "{calls.log_array} ns"),
    (
        "1,000 series into SQLite + Parquet + JSONL, writer on one core",
        "500,000 points/s",
        "{throughput.all.1000.rate},000 points/s; {throughput.all.1000.cpu} µs of CPU time per point",
    ),
    (
        "1,000 series into Parquet only",
        "4 million points/s",
        "{throughput.parquet.1000.rate},000 points/s; {throughput.parquet.1000.cpu} µs of CPU time per point",
    ),
    (
        "bytes per point at full speed, SQLite / Parquet",
        "27 / 4.5",
        "{size.seconds.sqlite} / {size.seconds.parquet}",
    ),
    ("bytes per point in a run that lasts days", "27 / 4.5", "{size.days.sqlite} / {size.days.parquet}"),
    (
        "one series of 10,000 points among 10 million: SQL query on SQLite / DuckDB on Parquet",
        "5 ms",
        "{queries.sqlite} ms / {queries.duckdb} ms",
    ),
    (
        "`import holter` / memory of an idle logger",
        "20 ms / 40 MB",
        "{imports.import} ms / {imports.memory_idle} MB",
    ),
    ("size of the wheel", "5 MB", "{imports.wheel} MB"),
)

# By bench: the ratios printed below its rows.
RATIOS = {
    "calls": (
        ("`logger.log` / no-op, both net of the loop", "calls.log", "calls.noop"),
        ("`Metric.log` / no-op, both net of the loop", "calls.metric", "calls.noop"),
    )
}
SCALES = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3}


def full(results: Results) -> str:
    """Format every row of every bench."""
    return "\n\n".join(_bench(name, result) for name, result in results.items())


def _bench(name: str, result: dict[str, Any]) -> str:
    processes = _counted(result["processes"], "process", "processes")
    conditions = f"{describe_machine(result['machine'])}. {processes}; load average before: {result['load before']}."
    lines = [
        f"### {name}\n",
        f"{result['date']}; {conditions}\n",
        "| what | median | low – high | unit |",
        "|---|---:|---:|---|",
        *(
            f"| {row['what']} | {format_number(row['value'])} | {_range(row)} | {row['unit']} |"
            for row in result["rows"]
        ),
    ]
    printed = {row["key"]: (format_number(row["value"]), row["unit"]) for row in result["rows"]}
    for what, over_key, under_key in RATIOS.get(name, ()):
        if over_key in printed and under_key in printed:
            (over, unit), (under, _) = printed[over_key], printed[under_key]
            lines.append(f"| {what}: {over} {unit} / {under} {unit} | {quotient(over, under)} |  | × |")
    return "\n".join(lines)


def targets(results: Results) -> str:
    """Format the rows of the project's README, each with its target."""
    printed = {row["key"]: format_number(row["value"]) for result in results.values() for row in result["rows"]}
    lines = ["| what | target | measured |", "|---|---|---|"]
    lines += [f"| {what} | {target} | {_filled(template, printed)} |" for what, target, template in TARGETS]
    machines = sorted(
        {f"{result['machine']['cpu']}, Python {result['machine']['python']}" for result in results.values()}
    )
    return f"Measured on {'; '.join(machines)}.\n\n" + "\n".join(lines)


def _filled(template: str, printed: dict[str, str]) -> str:
    def figure(match: re.Match[str]) -> str:
        keys = [printed[key] for key in match[1].split(" / ")]
        return quotient(*keys) if len(keys) == 2 else keys[0]

    try:
        return re.sub(r"\{([^}]+)\}", figure, template)
    except KeyError:
        return "not measured"


def quotient(over: str, under: str) -> str:
    """Divide two figures as printed, each with or without a unit of time."""
    return format_number(_parsed(over) / _parsed(under))


def _parsed(figure: str) -> float:
    number, _, unit = figure.partition(" ")
    return float(number.replace(",", "")) * SCALES.get(unit, 1.0)


def write(results: Results, benches_readme: pathlib.Path, project_readme: pathlib.Path) -> None:
    """Put the tables between the markers of both files."""
    put_between(benches_readme, "benches/run.py", full(results))
    put_between(project_readme, "benches/run.py", targets(results))


def put_between(path: pathlib.Path, program: str, text: str) -> None:
    """Replace the text between a program's markers in a file.

    Raises:
        LookupError: If the file lacks the markers.
    """
    begin, end = f"<!-- results of {program}: begin -->", f"<!-- results of {program}: end -->"
    before, found, rest = path.read_text("utf-8").partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise LookupError(f"{path} lacks the markers {begin} and {end}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


def describe_machine(machine: dict[str, str]) -> str:
    """Describe a machine in one line."""
    return "; ".join(f"{key} {value}" if key in ("kernel", "python") else value for key, value in machine.items())


def format_number(value: float) -> str:
    """Format a number with three digits, or more if the integer part has more."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _range(row: dict[str, Any]) -> str:
    return "" if row["low"] == row["high"] else f"{format_number(row['low'])} – {format_number(row['high'])}"


def _counted(count: int, singular: str, plural: str) -> str:
    return f"{count} {singular if count == 1 else plural}"
