"""What was promised of Holter beside the field, from one run: each with its goal, and met or missed by how much."""

from typing import NamedTuple

from peers.results import Results
from peers.words import nanoseconds, rate, seconds, short

__all__ = ["Ratio", "ratios"]

OURS, PARQUET, RUST = "holter", "holter-parquet", ("expman", "rerun")
Found = tuple[float, str]
"""A figure, and whose it is."""


class Ratio(NamedTuple):
    """One line of the table.

    Args:
        what: What is compared; the larger the ratio, the better for Holter.
        goal: The ratio that was promised; None where nothing was.
        measured: The ratio; None where a figure is missing.
        detail: The figures themselves.
    """

    what: str
    goal: float | None
    measured: float | None
    detail: str

    @property
    def verdict(self) -> str:
        """Whether the goal was met."""
        if self.measured is None:
            return "not measured"
        if self.goal is None:
            return "no goal"
        if self.measured >= self.goal:
            return "**met**"
        return f"**missed** by {short(self.goal / self.measured)}×" if self.measured else "**missed**"


def ratios(results: Results) -> list[Ratio]:
    """All lines; none where Holter was not measured."""
    if OURS not in results.recorders:
        return []
    return [*_calls(results), *_whole(results), *_read(results), _lost(results), _bytes(results)]


def _divided(over: float | None, under: float | None) -> float | None:
    return over / under if over is not None and under else None


def _calls(results: Results) -> list[Ratio]:
    def line(what: str, goal: float, theirs: tuple[str, str], ours: str) -> Ratio:
        over, under = (results.median(*way, "batch_ns") for way in (_in_calls(*theirs), _in_calls(OURS, ours)))
        by_means = _divided(*(results.median(*way, "mean_ns") for way in (_in_calls(*theirs), _in_calls(OURS, ours))))
        detail = "" if over is None or under is None else f"{nanoseconds(over)} and {nanoseconds(under)} a point"
        return Ratio(what, goal, _divided(over, under), detail + (f"; by means {short(by_means)}×" if by_means else ""))

    found = [line("`log` beside TensorBoard's `add_scalar`", 400, ("tensorboard", "log"), "log")]
    theirs, ours = (results.median(name, "killed_paced", "log", "p50_ns") for name in ("tensorboard", OURS))
    detail = f"{nanoseconds(theirs)} and {nanoseconds(ours)}" if theirs and ours else ""
    what = "the same at 4,000 points/s, each call timed by itself, the timer in both"
    found.append(Ratio(what, None, _divided(theirs, ours), detail))
    rust = [(cost, name) for name in RUST if (cost := results.median(*_in_calls(name, "log"), "batch_ns"))]
    if rust:
        name = min(rust)[1]
        title = results.title(name)
        found.append(line(f"`log` beside the cheapest other recorder in Rust, {title}", 8, (name, "log"), "log"))
        what = f"`log_array` beside the call of {title} that takes a dictionary"
        found.append(line(what, 20, (name, "log_many"), "log_array"))
    return found


def _in_calls(name: str, way: str) -> tuple[str, str, str]:
    return name, "calls", way


def _whole(results: Results) -> list[Ratio]:
    def best(names: list[str], *, live: bool) -> Found | None:
        rates = [
            (found.median, f"{results.title(name)}, {way.title}")
            for name in names
            for way in results.recorders[name].ways
            if way.is_named and way.is_live == live and (found := results.rate(name, "whole", way.method))
        ]
        return max(rates, default=None)

    def long(name: str, method: str) -> Found | None:
        found = results.rate(name, "long", method)
        return (found.median, f"{results.title(name)}, {results.recorders[name].way(method).title}") if found else None

    def line(what: str, ours: Found | None, theirs: Found | None) -> Ratio:
        if not ours or not theirs:
            return Ratio(what, 1, None, "")
        detail = "; ".join(f"{rate(value)} points/s: {whose}" for value, whose in (ours, theirs))
        return Ratio(what, 1, ours[0] / theirs[0], detail)

    until = "points/s until durable and readable"
    ours, live, later = best([OURS], live=True), best(results.peers, live=True), best(results.peers, live=False)
    return [
        line(f"{until}, all three sinks, beside named series logged step by step", ours, live),
        line("the same, beside 1,000 finished steps of a named series a call", ours, later),
        line(
            f"{until}, Parquet alone, beside Rerun's vectors without names (5.1 million when the goal was set)",
            long(PARQUET, "log_array"),
            long("rerun", "log_vector"),
        ),
    ]


def _read(results: Results) -> list[Ratio]:
    def line(whose: str, theirs: list[tuple[float, str]]) -> Ratio:
        over, name = min(theirs, default=(None, ""))
        detail = f"{seconds(over)} and {seconds(ours)}" if over and ours else ""
        what = f"one series read back, beside {whose}" + (f", {results.title(name)}" if name else "")
        return Ratio(what, 100, _divided(over, ours), detail)

    def secs(name: str) -> float | None:
        return results.median(name, "read", results.recorders[name].by_name, "secs")

    ours = secs(OURS)
    readers = [(found, name) for name in results.peers if (found := secs(name))]
    nearest = [each for each in readers if each[1] == "expman"]
    return [line("the nearest competitor's reader", nearest), line("the fastest of all other readers", readers)]


def _lost(results: Results) -> Ratio:
    def lost(names: list[str]) -> list[tuple[int, int, str]]:
        found = [(results.lost(name, job), name) for name in names for job in ("killed", "killed_paced")]
        return [(*counts, name) for counts, name in found if counts]

    ours = lost([name for name in (OURS, PARQUET) if name in results.recorders])
    num_lost, num_logged = sum(each[0] for each in ours), sum(each[1] for each in ours)
    losing = {name for num, _, name in lost(results.peers) if num}
    detail = f"{num_lost:,} of {num_logged:,}; {len(losing)} of {len(results.peers)} others lose some"
    measured = (0.0 if num_lost else 1.0) if num_logged else None
    return Ratio("points lost at SIGKILL whose call had returned: none", 1, measured, detail)


def _bytes(results: Results) -> Ratio:
    theirs = [
        (found, f"{results.title(name)}, {way.title}")
        for name in results.peers
        for job in ("store", "whole", "long")
        for way in results.recorders[name].ways
        if (found := results.bytes_per_point(name, job, way.method))
    ]
    ours = results.bytes_per_point(OURS, "store", results.recorders[OURS].by_name, "Parquet")
    smallest = min(theirs, default=None)
    return Ratio(
        "bytes of a point in Parquet, beside the smallest of all others' stores",
        1,
        _divided(smallest and smallest[0], ours),
        f"{short(smallest[0])} by {smallest[1]}; {short(ours)}" if smallest and ours else "",
    )
