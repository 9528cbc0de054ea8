"""The amount of work for each recorder, and its order."""

import dataclasses

from peers.jobs import PACED_POINTS_PER_SEC
from peers.recorder import Recorder

__all__ = ["JOBS_IN_ORDER", "QUICK", "Limits", "Workload", "workloads"]

JOBS_IN_ORDER = ("calls", "whole", "long", "store", "read", "killed", "killed_paced")


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of points and seconds for each process.

    A slow recorder logs until its time limit and is measured on the points that it logged.
    """

    repetitions: int = 3
    series: int = 200  # except in the jobs that fill a store and read it
    store_series: int = 100
    points: int = 1_000_000
    call_secs: float = 4.0
    whole_secs: float = 8.0
    store_secs: float = 300.0
    read_secs: float = 6.0
    killed_points: int = 102_600  # 513 steps, not a multiple of a batch size that a recorder may flush at
    killed_secs: float = 5.0
    paced_points: int = 8_600
    deadline_secs: float = 420.0

    @property
    def long_points(self) -> int:
        """Points for recorders that log a million in less than a second."""
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
class Workload:
    """The work of one process."""

    job: str
    way: str
    series: int
    points: int
    secs: float


def workloads(recorder: Recorder, job: str, limits: Limits) -> list[Workload]:
    """Return one recorder's work for a kind of job, one workload per process."""
    if job in ("store", "read"):
        secs = limits.store_secs if job == "store" else limits.read_secs
        return [Workload(job, recorder.bulk_way, limits.store_series, limits.points, secs)]
    if job == "killed":
        return [Workload(job, recorder.single_way, limits.series, limits.killed_points, limits.killed_secs)]
    if job == "killed_paced":
        secs = 4 * limits.paced_points / PACED_POINTS_PER_SEC
        return [Workload(job, recorder.single_way, limits.series, limits.paced_points, secs)]
    if job == "long":
        fast = [way.method for way in recorder.ways if way.is_fast]
        return [Workload("whole", method, limits.series, limits.long_points, limits.whole_secs) for method in fast]
    if job == "calls":
        # A call that logs a block of steps needs more points for the same number of calls.
        points_if_live = {True: limits.points, False: limits.long_points}
        ways = ((way.method, points_if_live[way.is_live]) for way in recorder.ways)
        return [Workload(job, method, limits.series, points, limits.call_secs) for method, points in ways]
    return [Workload(job, way.method, limits.series, limits.points, limits.whole_secs) for way in recorder.ways]
