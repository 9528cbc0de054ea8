"""What a run has found, as medians over its repetitions, with their range."""

import statistics
from typing import Any, NamedTuple

from peers.recorder import Recorder  # noqa: TC001, no block for one name
from peers.recorders import RECORDERS, load

__all__ = ["Range", "Results"]

FEWEST_POINTS = 100_000  # of a store: in a smaller one, what every store has counts for too much


class Range(NamedTuple):
    """The median of the repetitions, the smallest and the largest."""

    median: float
    low: float
    high: float


class Results:
    """The figures of `peers.json` by recorder, job and way."""

    def __init__(self, stored: dict[str, Any]) -> None:
        self.stored = stored
        self.recorders: dict[str, Recorder] = {name: load(name) for name in RECORDERS if name in stored["figures"]}

    @property
    def peers(self) -> list[str]:
        """All but Holter."""
        return [name for name in self.recorders if not name.startswith("holter")]

    def versions(self, name: str) -> dict[str, str]:
        """The version of a recorder's package and of those that are lent to it."""
        return dict(self.stored["versions"].get(name, {}))

    def title(self, name: str) -> str:
        """A recorder's title with its version; empty if there is no such recorder."""
        if name not in self.recorders:
            return ""
        title, comma, how = self.recorders[name].title.partition(",")
        return " ".join([title, *list(self.versions(name).values())[:1]]) + comma + how

    def runs(self, name: str, job: str, way: str | None) -> list[dict[str, Any]]:
        """The figures of each repetition that gave some."""
        found = self.stored["figures"].get(name, {}).get(f"{job} {way}", [])
        return [figures for figures in found if "error" not in figures]

    def range(self, name: str, job: str, way: str | None, key: str, scale: float = 1.0) -> Range | None:
        """One figure, times `scale`; None where there is none."""
        return _range([each[key] * scale for each in self.runs(name, job, way) if each.get(key) is not None])

    def median(self, name: str, job: str, way: str | None, key: str) -> float | None:
        """The median of one figure; None where there is none."""
        found = self.range(name, job, way, key)
        return found.median if found else None

    def rate(self, name: str, job: str, way: str, until: str = "settled_secs") -> Range | None:
        """Points a second, of those that were found again, until they were durable and readable, or closed."""
        return _range([each["found"] / each[until] for each in self.runs(name, job, way)])

    def lost(self, name: str, job: str) -> tuple[int, int] | None:
        """How many points whose call had returned were not found, of how many, over all repetitions."""
        runs = self.runs(name, job, self.recorders[name].one_by_one)
        logged = sum(each["points"] for each in runs)
        return (logged - sum(each["found"] for each in runs), logged) if runs else None

    def bytes_per_point(self, name: str, job: str, way: str, part: str | None = None) -> float | None:
        """The bytes of a point in a closed store, or in one part of it; None where the stores are too small to say."""
        found = _range(
            [
                (each["bytes"][part] if part else sum(each["bytes"].values())) / each["points"]
                for each in self.runs(name, job, way)
                if each["points"] >= FEWEST_POINTS
            ]
        )
        return found.median if found else None


def _range(found: list[float]) -> Range | None:
    return Range(statistics.median(found), min(found), max(found)) if found else None
