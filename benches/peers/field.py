"""All recorders that can be measured here, each with its environment, and what has been found of them."""

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
from peers.plan import JOBS_IN_ORDER, Limits, Share, shares
from peers.processes import FailedError, run_job
from peers.recorder import Recorder  # noqa: TC001, no block for one name
from peers.recorders import load

__all__ = ["Field"]

PACKAGE = pathlib.Path(__file__).parent


class Field:
    """The recorders, measured in turns.

    Args:
        limits: How much they are given to do.
        directory: Where their stores lie; nothing in it is needed afterwards.
        wheel: Holter's wheel. Without it, it is the package that this interpreter imports.
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
        (
            directory / "path"
        ).mkdir()  # holds `peers` alone: no peer finds another module of ours under a name of its own
        (directory / "path" / "peers").symlink_to(PACKAGE)

    def add(self, name: str) -> None:
        """Make the environment of a recorder, or note why it cannot be made."""
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
            _say(f"{name}: {error}")
            return
        self._recorders[name], self._pythons[name] = recorder, python
        self._paths[name] = os.pathsep.join(map(str, path))
        self.figures[name] = {}

    def measure(self, turn: int) -> None:
        """Do one repetition: each kind of job for all recorders in turn, beginning with another one each time."""
        names = list(self._recorders)
        first = turn * len(names) // self._limits.repetitions
        for job in JOBS_IN_ORDER:
            if job == "store" and turn:
                continue  # its bytes are the same each time
            for name in names[first:] + names[:first]:
                for share in shares(self._recorders[name], job, self._limits):
                    _say(f"{turn + 1} of {self._limits.repetitions}, {job}: {name}, {share.way}")
                    self._measure(name, job, share)

    def _measure(self, name: str, job: str, share: Share) -> None:
        """One process, and those that count what it has left."""
        with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as made:
            place = self._directory / f"store-{name}" if job in ("store", "read") else pathlib.Path(made) / "store"
            place.mkdir(exist_ok=True)
            values_path = str(self._values[share.series])
            task = Task(share.job, name, share.way, str(place), values_path, share.series, share.points, share.secs)
            counted: dict[str, Any] = {}

            def count() -> None:
                counted.update(self._run(name, dataclasses.replace(task, job="count"), {}))

            figures = self._run(name, task, {"settled": count} if share.job == "whole" else {})
            if job.startswith("killed") and "error" not in figures:
                count()
            figures = {**figures, **counted}
        self.versions.setdefault(name, {}).update(figures.pop("versions", {}))
        self.figures[name].setdefault(f"{job} {share.way}", []).append(figures)

    def _run(self, name: str, task: Task, on_mark: dict[str, Callable[[], None]]) -> dict[str, Any]:
        try:
            return run_job(
                self._pythons[name],
                task,
                python_path=self._paths[name],
                log=self._directory / f"{name}.log",
                deadline_secs=self._limits.deadline_secs + task.limit_secs,
                arguments=environments.lent_places(self._recorders[name]),
                on_mark=on_mark,
            )
        except FailedError as error:
            _say(f"{name}, {task.job}: {error}")
            return {"error": str(error)}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
