"""Formats the figures: all tables for benches/RESULTS.md, a summary for the project's README."""

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from tables import describe_machine, put_between

from peers.formatting import format_number, nanoseconds, rate, seconds, share, table
from peers.recorder import Way
from peers.results import Range, Results
from peers.targets import points_lost, targets
from peers.work import BLOCK_STEPS

__all__ = ["full", "summary", "write"]

PROGRAM = "benches/peers"


def write(stored: dict[str, Any], results_page: pathlib.Path, project_readme: pathlib.Path) -> None:
    """Put the tables between the markers of both files."""
    put_between(results_page, PROGRAM, full(stored))
    put_between(project_readme, PROGRAM, summary(stored))


def full(stored: dict[str, Any]) -> str:
    """Format every table."""
    results = Results(stored)
    failed = [
        f"{results.title(name)}, {job}: {run['error']}"
        for name, jobs in stored["figures"].items()
        for job, runs in jobs.items()
        for run in runs
        if "error" in run
    ]
    parts = {
        "Targets": _targets(results),
        "Time per call": _calls(results),
        "Throughput until durable and readable": _whole(results),
        "A store of a million points, and SIGKILL": _stores(results),
        "Configuration": _settings(results),
        "Not measured": _list([f"{name}: {reason}" for name, reason in stored["missing"].items()]),
        "Failed": _list(failed),
    }
    return "\n\n".join([_head(stored), *(f"### {title}\n\n{text}" for title, text in parts.items() if text)])


def summary(stored: dict[str, Any]) -> str:
    """Format one row per recorder."""
    results = Results(stored)
    header = ["recorder", "one point per call", "points/s until durable", "bytes/point"]
    header += ["read one series of a million points", "lost at SIGKILL"]
    rows = []
    for name, recorder in results.recorders.items():
        rates = [results.rate(name, "whole", way.method) for way in recorder.ways if way.is_named and way.is_live]
        rows.append(
            [
                recorder.title,
                _text(results.range(name, "calls", recorder.scalar, "batch_ns"), nanoseconds),
                _text(max(filter(None, rates), default=None), rate),
                _maybe(results.bytes_per_point(name, "store", recorder.bulk_way), format_number),
                _text(results.range(name, "read", recorder.bulk_way, "secs"), seconds),
                _lost(results, name, "killed"),
            ]
        )
    return f"{stored['date']}; {describe_machine(stored['machine'])}.\n\n{table(header, rows)}"


def _head(stored: dict[str, Any]) -> str:
    limits = stored["limits"]
    return (
        f"{stored['date']}; {describe_machine(stored['machine'])}. {stored['repetitions']} repetitions in "
        f"{stored['minutes']} minutes; load average before: {stored['load before']}. At most "
        f"{limits['points']:,} points, or ten times as many in the rows marked so; {limits['series']} series, "
        f"{limits['store_series']} in the stores that are read."
    )


def _targets(results: Results) -> str:
    rows = [
        [
            each.what,
            _maybe(each.target, lambda target: f"{target:g}×"),
            _maybe(each.ratio, lambda ratio: f"{ratio}×"),
            each.verdict,
            each.figures,
        ]
        for each in targets(results)
    ]
    if counts := points_lost(results):
        num_lost, num_logged, num_losing = counts
        rows.append(
            [
                "points lost at SIGKILL after their call had returned",
                "0",
                f"{num_lost:,}",
                "**missed**" if num_lost else "**met**",
                f"of {num_logged:,}; {num_losing} of {len(results.peers)} others lose points",
            ]
        )
    return table(["what", "target", "measured", "verdict", "figures"], rows, num_texts=5) if rows else ""


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
            logged, found = (sum(each[key] for each in runs) for key in ("points", "found"))
            notes = ["" if way.is_named else ", no names", ", ten times as many" if job == "long" else ""]
            grown = results.range(name, job, way.method, "grown_bytes", 1e-6)
            rows.append(
                [
                    results.title(name),
                    way.title + "".join(notes),
                    f"{max(each['points'] for each in runs):,}",
                    _text(results.rate(name, job, way.method), rate, spread=True),
                    _text(results.rate(name, job, way.method, "closed_secs"), rate),
                    _text(grown, format_number),
                    _maybe(results.bytes_per_point(name, job, way.method), format_number),
                    f"{share(logged - found, logged)} not found" if found != logged else "",
                ]
            )
    header = ["recorder", "call", "points", "points/s", "including `close`", "memory growth, MB", "bytes/point", ""]
    return table(header, rows, num_texts=2)


def _stores(results: Results) -> str:
    rows = []
    for name, recorder in results.recorders.items():
        read = results.runs(name, "read", recorder.bulk_way)
        stored = results.runs(name, "store", recorder.bulk_way)
        sizes = stored[0]["bytes"] if stored else {}
        parts = [f"{part} {format_number(size / stored[0]['points'])}" for part, size in sizes.items() if size]
        rows.append(
            [
                results.title(name),
                _maybe(results.bytes_per_point(name, "store", recorder.bulk_way), format_number)
                + (f" ({', '.join(parts)})" if len(parts) > 1 else ""),
                f"{read[0]['length']:,}" if read else "–",
                _text(results.range(name, "read", recorder.bulk_way, "secs"), seconds, spread=True),
                _text(results.range(name, "read", recorder.bulk_way, "further_secs"), seconds),
                read[0]["exactness"] if read else "–",
                _lost(results, name, "killed"),
                _lost(results, name, "killed_paced"),
            ]
        )
    header = ["recorder", "bytes/point", "points in the series", "open and read", "read another", "values"]
    return table([*header, "lost, full speed", "lost, 4,000/s"], rows)


def _settings(results: Results) -> str:
    rows = []
    for name, recorder in results.recorders.items():
        versions = ", ".join(f"{package} {version}" for package, version in results.versions(name).items())
        rows.append([recorder.title, versions or "–", recorder.settings, recorder.durable, recorder.reader])
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
