"""Measures all available recorders in turns."""

import dataclasses
import os
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from support import values

import holter
from peers import environments
from peers.jobs import Task
from peers.plan import JOBS_IN_ORDER, Limits, Workload, workloads
from peers.processes import FailedError, run_job
from peers.recorder import Recorder  # noqa: TC001, no block for one name
from peers.recorders import load

__all__ = ["Bench"]

PACKAGE = pathlib.Path(__file__).parent


class Bench:
    """The recorders and their figures.

    Args:
        limits: The amount of work for each recorder.
        directory: A temporary directory for the stores.
        wheel: Holter's wheel; None for the package that this interpreter imports.
    """

    def __init__(self, limits: Limits, directory: pathlib.Path, wheel: pathlib.Path | None = None) -> None:
        self.missing: dict[str, str] = {}
        self.figures: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self.versions: dict[str, dict[str, str]] = {}
        self._limits, self._directory, self._wheel = limits, directory, wheel
        self._recorders: dict[str, Recorder] = {}
        self._pythons: dict[str, pathlib.Path] = {}
        self._paths: dict[str, str] = {}
        self._values = {}
        for series in {limits.series, limits.store_series}:
            self._values[series] = directory / f"values-{series}.f64"
            values(limits.long_points // series, series).tofile(self._values[series])
        # Contains only `peers`, so that modules in benches/ cannot shadow a recorder's imports.
        (directory / "path").mkdir()
        (directory / "path" / "peers").symlink_to(PACKAGE)

    def add(self, name: str) -> None:
        """Create the environment of a recorder, or store why that is not possible."""
        recorder = load(name)
        path = [self._directory / "path"]
        try:
            if not name.startswith("holter"):
                python = environments.environment(name, recorder)
            elif self._wheel:
                python = environments.environment("holter", recorder, wheel=self._wheel)
            else:
                python = pathlib.Path(sys.executable)
                path.append(pathlib.Path(holter.__file__).parent.parent)
        except environments.MissingError as error:
            self.missing[name] = str(error)
            _log(f"{name}: {error}")
            return
        self._recorders[name], self._pythons[name] = recorder, python
        self._paths[name] = os.pathsep.join(map(str, path))
        self.figures[name] = {}

    def measure(self, turn: int) -> None:
        """Do one repetition: each kind of job for all recorders in turn, starting with a different one each time."""
        names = list(self._recorders)
        first = turn * len(names) // self._limits.repetitions
        for job in JOBS_IN_ORDER:
            if job == "store" and turn:
                continue  # the size does not change between repetitions
            for name in names[first:] + names[:first]:
                for work in workloads(self._recorders[name], job, self._limits):
                    _log(f"{turn + 1} of {self._limits.repetitions}, {job}: {name}, {work.way}")
                    self._measure(name, job, work)

    def _measure(self, name: str, job: str, work: Workload) -> None:
        """Run one process, and the processes that count the points in its store."""
        with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as temporary:
            is_kept = job in ("store", "read")
            place = self._directory / f"store-{name}" if is_kept else pathlib.Path(temporary) / "store"
            place.mkdir(exist_ok=True)
            values_path = str(self._values[work.series])
            task = Task(work.job, name, work.way, str(place), values_path, work.series, work.points, work.secs)
            counted: dict[str, Any] = {}

            def count() -> None:
                counted.update(self._run(name, dataclasses.replace(task, job="count"), {}))

            figures = self._run(name, task, {"durable": count} if work.job == "whole" else {})
            if job.startswith("killed") and "error" not in figures:
                count()
            figures = {**figures, **counted}
        self.versions.setdefault(name, {}).update(figures.pop("versions", {}))
        self.figures[name].setdefault(f"{job} {work.way}", []).append(figures)

    def _run(self, name: str, task: Task, on_stage: dict[str, Callable[[], None]]) -> dict[str, Any]:
        try:
            return run_job(
                self._pythons[name],
                task,
                python_path=self._paths[name],
                log=self._directory / f"{name}.log",
                deadline_secs=self._limits.deadline_secs + task.limit_secs,
                arguments=environments.shared_directories(self._recorders[name]),
                on_stage=on_stage,
            )
        except FailedError as error:
            _log(f"{name}, {task.job}: {error}")
            return {"error": str(error)}


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
