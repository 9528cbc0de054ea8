"""Targets for Holter compared with other recorders in the same run, and whether they are met.

Every ratio is computed from the two figures printed next to it, as they are printed.
"""

from collections.abc import Callable
from typing import NamedTuple

from tables import quotient

from peers.formatting import format_number, nanoseconds, rate, seconds
from peers.results import Results

__all__ = ["Target", "targets"]

OURS, PARQUET, RUST = "holter", "holter-parquet", ("expman", "rerun")
Figure = tuple[float, str]
"""A figure, and where it comes from."""


class Target(NamedTuple):
    """One row of the table.

    Args:
        what: What is compared; the larger the ratio, the better for Holter.
        target: The smallest ratio that meets the target; None if there is no target.
        ratio: The measured ratio as printed; None if a figure is missing.
        figures: The two figures as printed, the first divided by the second.
    """

    what: str
    target: float | None
    ratio: str | None
    figures: str

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.ratio is None:
            return "not measured"
        if self.target is None:
            return "no target"
        return "**met**" if float(self.ratio.replace(",", "")) >= self.target else "**missed**"


def targets(results: Results) -> list[Target]:
    """Return all rows; none if Holter was not measured."""
    if OURS not in results.recorders:
        return []
    return [*_calls(results), *_throughput(results), *_reading(results), _bytes(results)]


def points_lost(results: Results) -> tuple[int, int, int] | None:
    """Count Holter's points lost at SIGKILL, its points logged, and the other recorders that lose points."""

    def lost(names: list[str]) -> list[tuple[int, int, str]]:
        found = [(results.lost(name, job), name) for name in names for job in ("killed", "killed_paced")]
        return [(*counts, name) for counts, name in found if counts]

    ours = lost([name for name in (OURS, PARQUET) if name in results.recorders])
    losing = {name for num_lost, _, name in lost(results.peers) if num_lost}
    return (sum(each[0] for each in ours), sum(each[1] for each in ours), len(losing)) if ours else None


def _compared(
    what: str,
    target: float | None,
    figures: tuple[float | None, float | None],
    text: Callable[[float], str],
    suffix: str = "",
) -> Target:
    over, under = figures
    if not over or not under:
        return Target(what, target, None, "")
    printed = text(over), text(under)
    return Target(what, target, quotient(*printed), " / ".join(printed) + suffix)


def _calls(results: Results) -> list[Target]:
    def row(what: str, target: float, theirs: tuple[str, str], ours: str) -> Target:
        over = results.median(theirs[0], "calls", theirs[1], "batch_ns")
        under = results.median(OURS, "calls", ours, "batch_ns")
        return _compared(what, target, (over, under), nanoseconds, " per point")

    found = [row("TensorBoard's `add_scalar` / `log`", 400, ("tensorboard", "log"), "log")]
    over, under = (results.median(name, "killed_paced", "log", "p50_ns") for name in ("tensorboard", OURS))
    what = "the same at 4,000 points/s, single calls, including the timer"
    found.append(_compared(what, None, (over, under), nanoseconds))
    rust = [(cost, name) for name in RUST if (cost := results.median(name, "calls", "log", "batch_ns"))]
    if rust:
        name = min(rust)[1]
        title = results.title(name)
        found.append(row(f"the cheapest other recorder in Rust, {title} / `log`", 8, (name, "log"), "log"))
        found.append(row(f"the call of {title} that takes a dict / `log_array`", 20, (name, "log_many"), "log_array"))
    return found


def _throughput(results: Results) -> list[Target]:
    def best(names: list[str], *, live: bool) -> Figure | None:
        rates = [
            (found.median, f"{results.title(name)}, {way.title}")
            for name in names
            for way in results.recorders[name].ways
            if way.is_named and way.is_live == live and (found := results.rate(name, "whole", way.method))
        ]
        return max(rates, default=None)

    def long(name: str, method: str) -> Figure | None:
        found = results.rate(name, "long", method)
        return (found.median, f"{results.title(name)}, {results.recorders[name].way(method).title}") if found else None

    def row(what: str, ours: Figure | None, theirs: Figure | None) -> Target:
        if not ours or not theirs:
            return Target(what, 1, None, "")
        return _compared(what, 1, (ours[0], theirs[0]), rate, f" ({ours[1]} / {theirs[1]})")

    until = "points/s until durable and readable"
    ours, live, later = best([OURS], live=True), best(results.peers, live=True), best(results.peers, live=False)
    return [
        row(f"{until}: Holter with three sinks / named series logged step by step", ours, live),
        row("the same / 1,000 finished steps of a named series per call", ours, later),
        row(
            f"{until}: Holter with Parquet only / Rerun's vectors without names",
            long(PARQUET, "log_array"),
            long("rerun", "log_vector"),
        ),
    ]


def _reading(results: Results) -> list[Target]:
    def secs(name: str) -> float | None:
        return results.median(name, "read", results.recorders[name].bulk_way, "secs")

    def row(reader: str, candidates: list[tuple[float, str]]) -> Target:
        over, name = min(candidates, default=(None, ""))
        what = f"reading one series: {reader}" + (f", {results.title(name)}" if name else "") + " / Holter"
        return _compared(what, 100, (over, secs(OURS)), seconds)

    readers = [(found, name) for name in results.peers if (found := secs(name))]
    nearest = [each for each in readers if each[1] == "expman"]
    return [row("the nearest competitor", nearest), row("the fastest other reader", readers)]


def _bytes(results: Results) -> Target:
    theirs = [
        (found, f"{results.title(name)}, {way.title}")
        for name in results.peers
        for job in ("store", "whole", "long")
        for way in results.recorders[name].ways
        if (found := results.bytes_per_point(name, job, way.method))
    ]
    ours = results.bytes_per_point(OURS, "store", results.recorders[OURS].bulk_way, "Parquet")
    over, source = min(theirs, default=(None, ""))
    what = "bytes per point: the smallest store of the others / Holter's Parquet files"
    return _compared(what, 1, (over, ours), format_number, f" ({source} / Holter)")
