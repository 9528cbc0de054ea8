"""The figures as tables: all of them for benches/RESULTS.md, a few for the project's README."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from tables import machine_in_words, put_between

from peers.ratios import ratios
from peers.recorder import Way
from peers.results import Range, Results
from peers.words import nanoseconds, rate, seconds, share, short, table
from peers.work import BLOCK_STEPS

__all__ = ["full", "summary", "write"]

PROGRAM = "benches/peers"


def write(stored: dict[str, Any], results_page: pathlib.Path, project_readme: pathlib.Path) -> None:
    """Put the tables between the markers of both files."""
    put_between(results_page, PROGRAM, full(stored))
    put_between(project_readme, PROGRAM, summary(stored))


def full(stored: dict[str, Any]) -> str:
    """Every table."""
    results = Results(stored)
    failed = [
        f"{results.title(name)}, {job}: {run['error']}"
        for name, jobs in stored["figures"].items()
        for job, runs in jobs.items()
        for run in runs
        if "error" in run
    ]
    parts = {
        "What was promised": _ratios(results),
        "A call": _calls(results),
        "From the first call until all is durable and readable": _whole(results),
        "A store of a million points, and SIGKILL": _stores(results),
        "How each is configured": _settings(results),
        "Not measured": _list([f"{name}: {reason}" for name, reason in stored["missing"].items()]),
        "What failed": _list(failed),
    }
    return "\n\n".join([_head(stored), *(f"### {title}\n\n{text}" for title, text in parts.items() if text)])


def summary(stored: dict[str, Any]) -> str:
    """One row a recorder."""
    results = Results(stored)
    header = ["recorder", "one point a call", "points/s until durable", "bytes a point"]
    header += ["one series of a million points read", "lost at SIGKILL"]
    rows = []
    for name, recorder in results.recorders.items():
        rates = [results.rate(name, "whole", way.method) for way in recorder.ways if way.is_named and way.is_live]
        rows.append(
            [
                recorder.title,
                _text(results.range(name, "calls", recorder.scalar, "batch_ns"), nanoseconds),
                _text(max(filter(None, rates), default=None), rate),
                _maybe(results.bytes_per_point(name, "store", recorder.by_name), short),
                _text(results.range(name, "read", recorder.by_name, "secs"), seconds),
                _lost(results, name, "killed"),
            ]
        )
    return f"{stored['date']}; {machine_in_words(stored['machine'])}.\n\n{table(header, rows)}"


def _head(stored: dict[str, Any]) -> str:
    limits = stored["limits"]
    return (
        f"{stored['date']}; {machine_in_words(stored['machine'])}. {stored['repetitions']} repetitions in "
        f"{stored['minutes']} minutes; load of the machine before: {stored['load before']}. At most "
        f"{limits['points']:,} points, and ten times as many where the table says so; {limits['series']} series, "
        f"{limits['store_series']} in the stores that are read."
    )


def _ratios(results: Results) -> str:
    rows = [
        [
            each.what,
            "" if each.goal is None or each.goal == 1 else f"{short(each.goal)}×",
            _maybe(each.measured, lambda ratio: f"{short(ratio)}×"),
            each.verdict,
            each.detail,
        ]
        for each in ratios(results)
    ]
    return table(["what", "goal", "measured", "verdict", "figures"], rows, num_texts=5) if rows else ""


def _calls(results: Results) -> str:
    rows = []
    for name, way in _ways(results):
        points = 1 if way.is_scalar else results.stored["limits"]["series"] * (1 if way.is_live else BLOCK_STEPS)
        singles = [("calls", "p99_ns"), ("calls", "p99.9_ns"), ("killed_paced", "p50_ns"), ("killed_paced", "p99_ns")]
        rows.append(
            [
                results.title(name),
                way.title,
                _text(results.range(name, "calls", way.method, "batch_ns"), nanoseconds, spread=True),
                _text(results.range(name, "calls", way.method, "mean_ns"), nanoseconds),
                *(_text(results.range(name, job, way.method, key, 1 / points), nanoseconds) for job, key in singles),
            ]
        )
    header = ["recorder", "call", "median", "mean", "p99", "p99.9", "at 4,000/s: median", "p99"]
    return table(header, rows, num_texts=2)


def _whole(results: Results) -> str:
    rows = []
    for name, way in _ways(results):
        for job in ("whole", "long"):
            if not (runs := results.runs(name, job, way.method)):
                continue
            given, found = (sum(each[key] for each in runs) for key in ("points", "found"))
            notes = ["" if way.is_named else ", no names", ", ten times as many" if job == "long" else ""]
            grown = results.range(name, job, way.method, "grown_bytes", 1e-6)
            rows.append(
                [
                    results.title(name),
                    way.title + "".join(notes),
                    f"{max(each['points'] for each in runs):,}",
                    _text(results.rate(name, job, way.method), rate, spread=True),
                    _text(results.rate(name, job, way.method, "closed_secs"), rate),
                    _text(grown, short),
                    _maybe(results.bytes_per_point(name, job, way.method), short),
                    f"{share(given - found, given)} not found" if found != given else "",
                ]
            )
    header = ["recorder", "call", "points", "points/s", "with `close`", "memory grown, MB", "bytes a point", ""]
    return table(header, rows, num_texts=2)


def _stores(results: Results) -> str:
    rows = []
    for name, recorder in results.recorders.items():
        read = results.runs(name, "read", recorder.by_name)
        stored = results.runs(name, "store", recorder.by_name)
        sizes = stored[0]["bytes"] if stored else {}
        parts = [f"{part} {short(size / stored[0]['points'])}" for part, size in sizes.items() if size]
        rows.append(
            [
                results.title(name),
                _maybe(results.bytes_per_point(name, "store", recorder.by_name), short)
                + (f" ({', '.join(parts)})" if len(parts) > 1 else ""),
                f"{read[0]['length']:,}" if read else "–",
                _text(results.range(name, "read", recorder.by_name, "secs"), seconds, spread=True),
                _text(results.range(name, "read", recorder.by_name, "further_secs"), seconds),
                read[0]["exactness"] if read else "–",
                _lost(results, name, "killed"),
                _lost(results, name, "killed_paced"),
            ]
        )
    header = ["recorder", "bytes a point", "points of the series", "opened and read", "one more", "values"]
    return table([*header, "lost, full speed", "lost, 4,000/s"], rows)


def _settings(results: Results) -> str:
    rows = []
    for name, recorder in results.recorders.items():
        versions = ", ".join(f"{package} {version}" for package, version in results.versions(name).items())
        ways = recorder.settings, recorder.durable, recorder.reader
        rows.append([recorder.title, versions or "–", *ways])
    return table(["recorder", "version", "settings", "durable and readable when", "reader"], rows, num_texts=5)


def _ways(results: Results) -> Iterator[tuple[str, Way]]:
    return ((name, way) for name, recorder in results.recorders.items() for way in recorder.ways)


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _lost(results: Results, name: str, job: str) -> str:
    return _maybe(results.lost(name, job), lambda found: share(*found))


def _text(found: Range | None, text: Callable[[float], str], *, spread: bool = False) -> str:
    if found is None:
        return "–"
    low, high = text(found.low), text(found.high)
    return text(found.median) + (f" ({low} – {high})" if spread and low != high else "")


def _maybe(found: Any, text: Callable[[Any], str]) -> str:
    return "–" if found is None else text(found)
