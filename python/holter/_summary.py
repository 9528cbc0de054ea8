"""The summary of a run that `holter ls`, `show` and `doctor`, the report and the dashboard format.

The core validates its own keys of `run.json` when it reads the file. The keys that only Python uses, such as `git`
and `tags`, are untrusted: a value of an unexpected type counts as absent. Texts are neither escaped nor bounded here;
each front end does that for its own output.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from holter._text import epoch_micros, flatten_config, parse_iso_time, time_of_micros
from holter.exceptions import StoreError

if TYPE_CHECKING:
    from holter import Run, SeriesFacts

__all__ = ["Attempt", "RunSummary", "loss_name", "summarize"]

_SPEED_POINTS: Final = 200
_TOTAL_STEPS: Final = frozenset(
    {
        "max_iters",
        "max_steps",
        "max_train_steps",
        "n_steps",
        "num_steps",
        "num_train_steps",
        "num_training_steps",
        "steps",
        "total_steps",
        "train_steps",
        "training_steps",
    }
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One process that recorded the run.

    Attributes:
        status: As in the manifest: `running` if the attempt crashed and was not recovered.
        started: When it opened the run; None if unknown.
        finished: When it closed the run; None if it has not, or if unknown.
        host: Its machine; None if unknown.
        pid: Its process id; None if unknown.
        dropped: Points that it could not record.
        config: Its configuration, nested settings as `optimizer.lr`.
        command_line: Its command.
        git: Its commit and branch.
        versions: Its versions of Python and of packages.
    """

    status: str
    started: datetime | None
    finished: datetime | None
    host: str | None
    pid: int | None
    dropped: int
    config: dict[str, Any]
    command_line: list[str]
    git: dict[str, str]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class RunSummary:
    """A run at one moment.

    Attributes:
        run: The run.
        manifest: The content of `run.json`.
        name: As `Run.name`.
        id: The run's random id.
        status: As `Run.status`.
        created: When the first attempt started, in UTC.
        finished: When the last attempt ended; None while the run is live, or if unknown.
        last_logged: When the last step was logged; None without points.
        steps_per_second: Over the latest points since the last restart; None if they do not determine it.
        series: All series, in the order of their names.
        dropped: Points that could not be recorded, over all attempts that have ended.
        attempts: The attempts, oldest first.
        tags: The tags.
        group: The group; None without one.
        notes: Free text about the run; None without any.
        config: The configuration of the last attempt, nested settings as `optimizer.lr`.
        command_line: The command of the last attempt.
        git: Its commit and branch.
        host: Its machine; None if unknown.
        pid: Its process id; None if unknown.
        versions: Its versions of Python and of packages.
        sinks: The kinds of stores that the run writes.
    """

    run: "Run"
    manifest: Mapping[str, Any]
    name: str
    id: str
    status: str
    created: datetime
    finished: datetime | None
    last_logged: datetime | None
    steps_per_second: float | None
    series: "list[SeriesFacts]"
    dropped: int
    attempts: list[Attempt]
    tags: list[str]
    group: str | None
    notes: str | None
    config: dict[str, Any]
    command_line: list[str]
    git: dict[str, str]
    host: str | None
    pid: int | None
    versions: dict[str, str]
    sinks: list[str]

    @property
    def is_live(self) -> bool:
        """Whether a process is recording the run."""
        return self.status == "running"

    @property
    def num_points(self) -> int:
        """Points of all series together."""
        return sum(facts.count for facts in self.series)

    @property
    def first_step(self) -> int | None:
        """The smallest step of any series; None without points."""
        return min((facts.first_step for facts in self.series), default=None)

    @property
    def last_step(self) -> int | None:
        """The largest step of any series; None without points."""
        return max((facts.last_step for facts in self.series), default=None)

    @property
    def nonfinite(self) -> "list[SeriesFacts]":
        """The series with NaN or infinite values."""
        return [facts for facts in self.series if facts.nonfinite_count]

    @property
    def loss(self) -> "SeriesFacts | None":
        """The series of the loss, as `loss_name` finds it; None without one."""
        by_name = {facts.name: facts for facts in self.series}
        name = loss_name(by_name)
        return None if name is None else by_name[name]

    @property
    def duration_secs(self) -> float | None:
        """Seconds from the start of the run to its end, or to its last point if it has not ended; None if unknown."""
        end = self.finished or self.last_logged
        return None if end is None else max(0.0, (end - self.created).total_seconds())

    @property
    def total_steps(self) -> int | None:
        """The number of steps that the configuration announces; None if it has no such setting."""
        for key, value in self.config.items():
            is_total = key.rpartition(".")[2].lower() in _TOTAL_STEPS
            if is_total and isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 53:
                return value
        return None


def summarize(run: "Run") -> RunSummary:
    """Read the summary of a run; costs little more than `run.facts()`.

    Raises:
        OSError: If the run was deleted.
        StoreError: If a file of it cannot be read or is damaged.
    """
    status = run.status  # before the series: if the run is not live, they are complete
    manifest = run.manifest
    series = run.facts()
    attempts = [_attempt(attempt) for attempt in manifest.get("attempts", ())]
    last_logged, steps_per_second = _pace(run, series, attempts[-1].started if attempts else None)
    return RunSummary(
        run=run,
        manifest=manifest,
        name=run.name,
        id=manifest.get("id", ""),
        status=status,
        created=_created(run),
        finished=None if status == "running" else parse_iso_time(manifest.get("finished")),
        last_logged=last_logged,
        steps_per_second=steps_per_second,
        series=series,
        dropped=manifest.get("dropped", 0),
        attempts=attempts,
        tags=_texts(manifest.get("tags")),
        group=_text(manifest.get("group")),
        notes=_text(manifest.get("notes")),
        config=flatten_config(manifest.get("config") or {}),
        command_line=_texts(manifest.get("command_line")),
        git=_text_map(manifest.get("git")),
        host=manifest.get("host"),
        pid=manifest.get("pid"),
        versions=_text_map(manifest.get("versions")),
        sinks=manifest["sinks"],
    )


def loss_name(names: Iterable[str]) -> str | None:
    """Return the name of the loss: of the training, else of the validation or test, else any name with `loss` in it."""
    from holter.analysis import naming  # imports numpy

    names = sorted(names)
    for split in ("train", "val", "test"):
        found = naming.find(names, split, naming.LOSS)
        if found is not None:
            return found
    return next((name for name in names if "loss" in name.lower() and not name.startswith("mark/")), None)


def _created(run: "Run") -> datetime:
    try:
        return run.created
    except OverflowError:
        raise StoreError(f"{run.path}: the start in run.json is outside the years 1 to 9999") from None


def _pace(run: "Run", series: "list[SeriesFacts]", restarted: datetime | None) -> tuple[datetime | None, float | None]:
    """When the last step was logged, and the steps per second of its series since the last restart."""
    if not series:
        return None, None
    newest = max(series, key=lambda facts: (facts.last_step, facts.count))
    stride = (newest.last_step - newest.first_step) // max(1, newest.count - 1)
    try:
        # Python's integers: the difference of two steps may exceed 64 bits.
        latest = run.series(newest.name, newest.last_step - _SPEED_POINTS * max(1, stride))
    except KeyError:  # deleted since
        return None, None
    micros = latest.timestamps.astype("int64").tolist()
    if not micros:
        return None, None
    restart = None if restarted is None else epoch_micros(restarted)
    first = 0 if restart is None else sum(time < restart for time in micros)
    try:
        last_logged = time_of_micros(micros[-1])
    except OverflowError:
        return None, None
    secs = 0.0 if first >= len(micros) - 1 else (micros[-1] - micros[first]) / 1e6
    steps = int(latest.steps[-1]) - int(latest.steps[min(first, len(micros) - 1)])
    return last_logged, steps / secs if secs > 0 else None


def _attempt(manifest: Mapping[str, Any]) -> Attempt:
    return Attempt(
        status=manifest["status"],
        started=parse_iso_time(manifest.get("started")),
        finished=parse_iso_time(manifest.get("finished")),
        host=manifest.get("host"),
        pid=manifest.get("pid"),
        dropped=manifest.get("dropped", 0),
        config=flatten_config(manifest.get("config") or {}),
        command_line=_texts(manifest.get("command_line")),
        git=_text_map(manifest.get("git")),
        versions=_text_map(manifest.get("versions")),
    )


def _text(value: object) -> str | None:
    """Text as it is, other JSON as its text."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list) else ()
    return [text for item in items if (text := _text(item)) is not None]


def _text_map(value: object) -> dict[str, str]:
    items = value.items() if isinstance(value, dict) else ()
    return {str(key): text for key, item in items if (text := _text(item)) is not None}
