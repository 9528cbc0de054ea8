"""How much each recorder is given to do, in which order."""

import dataclasses

from peers.jobs import PACED_POINTS_PER_SEC
from peers.recorder import Recorder

__all__ = ["JOBS_IN_ORDER", "QUICK", "Limits", "Share", "shares"]

JOBS_IN_ORDER = ("calls", "whole", "long", "store", "read", "killed", "killed_paced")


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much is logged and how long it may take, in each process.

    Whoever is slow logs for so many seconds and is measured by what it got done.
    """

    repetitions: int = 3
    series: int = 200  # of all jobs but those that fill a store and read it
    store_series: int = 100
    points: int = 1_000_000
    call_secs: float = 4.0
    whole_secs: float = 8.0
    store_secs: float = 300.0
    read_secs: float = 6.0
    killed_points: int = 102_600  # of steps that no round number divides, since many write each so many
    killed_secs: float = 5.0
    paced_points: int = 8_600
    deadline_secs: float = 420.0

    @property
    def long_points(self) -> int:
        """The points of those whom a million would not keep busy for a second."""
        return 10 * self.points


QUICK = Limits(
    repetitions=1,
    points=60_000,
    call_secs=0.5,
    whole_secs=1.5,
    store_secs=15.0,
    read_secs=1.0,
    killed_points=20_600,
    killed_secs=1.0,
    paced_points=2_600,
    deadline_secs=120.0,
)


@dataclasses.dataclass(frozen=True)
class Share:
    """What one process is given to do."""

    job: str
    way: str
    series: int
    points: int
    secs: float


def shares(recorder: Recorder, job: str, limits: Limits) -> list[Share]:
    """What one recorder has to do for a kind of job, a process for each."""
    if job in ("store", "read"):
        secs = limits.store_secs if job == "store" else limits.read_secs
        return [Share(job, recorder.by_name, limits.store_series, limits.points, secs)]
    if job == "killed":
        return [Share(job, recorder.one_by_one, limits.series, limits.killed_points, limits.killed_secs)]
    if job == "killed_paced":
        secs = 4 * limits.paced_points / PACED_POINTS_PER_SEC
        return [Share(job, recorder.one_by_one, limits.series, limits.paced_points, secs)]
    if job == "long":
        fast = [way.method for way in recorder.ways if way.is_fast]
        return [Share("whole", method, limits.series, limits.long_points, limits.whole_secs) for method in fast]
    if job == "calls":
        points_if_live = {True: limits.points, False: limits.long_points}  # many steps a call: there would be few calls
        ways = ((way.method, points_if_live[way.is_live]) for way in recorder.ways)
        return [Share(job, method, limits.series, points, limits.call_secs) for method, points in ways]
    return [Share(job, way.method, limits.series, limits.points, limits.whole_secs) for way in recorder.ways]
