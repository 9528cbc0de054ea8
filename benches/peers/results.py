"""The figures of a run as medians over its repetitions, with their range."""

import statistics
from typing import Any, NamedTuple

from peers.recorder import Recorder  # noqa: TC001, no block for one name
from peers.recorders import RECORDERS, load

__all__ = ["Range", "Results"]

MIN_STORE_POINTS = 100_000  # in a smaller store the fixed overhead dominates


class Range(NamedTuple):
    """The median, minimum and maximum over the repetitions."""

    median: float
    low: float
    high: float


class Results:
    """The figures in `peers.json` by recorder, job and way."""

    def __init__(self, stored: dict[str, Any]) -> None:
        self.stored = stored
        self.recorders: dict[str, Recorder] = {name: load(name) for name in RECORDERS if name in stored["figures"]}

    @property
    def peers(self) -> list[str]:
        """All recorders except Holter."""
        return [name for name in self.recorders if not name.startswith("holter")]

    def versions(self, name: str) -> dict[str, str]:
        """Return the versions of a recorder's package and of the packages shared with it."""
        return dict(self.stored["versions"].get(name, {}))

    def title(self, name: str) -> str:
        """Return a recorder's title with its version; empty if it was not measured."""
        if name not in self.recorders:
            return ""
        title, comma, how = self.recorders[name].title.partition(",")
        return " ".join([title, *list(self.versions(name).values())[:1]]) + comma + how

    def runs(self, name: str, job: str, way: str | None) -> list[dict[str, Any]]:
        """Return the figures of each repetition that did not fail."""
        found = self.stored["figures"].get(name, {}).get(f"{job} {way}", [])
        return [figures for figures in found if "error" not in figures]

    def range(self, name: str, job: str, way: str | None, key: str, scale: float = 1.0) -> Range | None:
        """Return the range of one figure, times `scale`; None if there is none."""
        return _range([each[key] * scale for each in self.runs(name, job, way) if each.get(key) is not None])

    def median(self, name: str, job: str, way: str | None, key: str) -> float | None:
        """Return the median of one figure; None if there is none."""
        found = self.range(name, job, way, key)
        return found.median if found else None

    def rate(self, name: str, job: str, way: str, until: str = "durable_secs") -> Range | None:
        """Return points per second until durable and readable, or until closed; only points read back count."""
        return _range([each["found"] / each[until] for each in self.runs(name, job, way)])

    def lost(self, name: str, job: str) -> tuple[int, int] | None:
        """Count the points not read back although their call had returned, and all points, over all repetitions."""
        runs = self.runs(name, job, self.recorders[name].single_way)
        logged = sum(each["points"] for each in runs)
        return (logged - sum(each["found"] for each in runs), logged) if runs else None

    def bytes_per_point(self, name: str, job: str, way: str, part: str | None = None) -> float | None:
        """Return the bytes per point in a closed store, or in one part of it; None if the stores are too small."""
        found = _range(
            [
                (each["bytes"][part] if part else sum(each["bytes"].values())) / each["points"]
                for each in self.runs(name, job, way)
                if each["points"] >= MIN_STORE_POINTS
            ]
        )
        return found.median if found else None


def _range(found: list[float]) -> Range | None:
    return Range(statistics.median(found), min(found), max(found)) if found else None
