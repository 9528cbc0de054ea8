"""Simulated power loss: changes that were not synced are present, absent or torn.

Every point before a `flush` that returned must be present, and no point that was not logged. Points after the last
flush may be present or absent. Finds a sync that is missing or in the wrong order, a name that is not synced, and a
failed sync that is treated as done because a later one succeeded.

`tests.faults.disk_model` describes the model. The journal is written through a mapping, which the log of calls does
not contain: each of its pages may have its initial or its final content. fallocate is disabled, because the log does
not contain it either.
"""

import errno
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from expected_points import Expectation
from recording_child import CLOSED, LOGGED, Workload
from tests.faults import shim, stages
from tests.faults.case import Case, trials
from tests.faults.disk_model import Change, Disk, Kind, Names, Node, read_log
from tests.faults.reading import Rejected
from tests.faults.shim import Action, shimmed
from tests.faults.trial import Trial

CRASHES = 25
"""Power losses per trial, at random moments of one recording."""
PAGE_BYTES = 4096
SLOT_BYTES = 32

DESCRIPTIONS = {
    Names.ORDERED: "names durable as on ext4, XFS and Btrfs",
    Names.STRICT: "names durable as POSIX guarantees",
}


def cases() -> Iterator[Case]:
    """Yield one case per model of names, and one with a failed sync."""
    for names, description in DESCRIPTIONS.items():
        yield Case(
            f"power/{names.value}",
            f"power loss, {description}",
            partial(_lose_power, names=names),
            trials(full=60, quick=5, small=1),
            check_available=shim.check_available,
        )
    yield Case(
        "power/failed-sync",
        "power loss after a failed sync, whose data is never written",
        partial(_lose_power, names=Names.ORDERED, fails_sync=True),
        trials(full=60, quick=5, small=1),
        check_available=shim.check_available,
    )


@dataclass(frozen=True)
class Recording:
    """The changes of a disk, and the final content of the journals."""

    workload: list[Workload]
    changes: list[Change]
    journals: dict[int, tuple[int, bytes]]
    """By number of changes: the attempt that left a journal, and its bytes."""

    def marks(self) -> list[int]:
        """Return the numbers of changes after which a flush had just returned."""
        return [number for number, change in enumerate(self.changes, 1) if _is_mark(change) and _mark(change)[1]]

    def flushed(self, until: int) -> dict[int, int]:
        """Return how many points of each attempt were flushed after `until` changes."""
        return dict(_mark(change) for change in self.changes[:until] if _is_mark(change))

    def logged(self, until: int) -> dict[int, int]:
        """Return how many points of each attempt may have been logged by then: those up to the next flush."""
        for change in self.changes[until:]:
            if _is_mark(change):
                attempt, count = _mark(change)
                return {**self._all_before(attempt), attempt: count}
        return self._all_before(len(self.workload))

    def _all_before(self, attempt: int) -> dict[int, int]:
        return {
            workload.attempt: sum(1 for _ in workload.points(0))
            for workload in self.workload
            if workload.attempt < attempt
        }


def _is_mark(change: Change) -> bool:
    return change.kind == Kind.WRITE and change.path == "marks"


def _mark(change: Change) -> tuple[int, int]:
    """Return the attempt, and how many points it had flushed."""
    attempt, count = change.data.decode().split()
    return int(attempt), int(count)


def _lose_power(trial: Trial, names: Names, *, fails_sync: bool = False) -> None:
    recording = record(trial, trial.random.choice(stages.SINKS), fails_sync=fails_sync)
    marks = recording.marks()
    assert marks, "nothing was flushed"
    moments = [
        trial.random.choice(marks) if trial.random.random() < 0.4 else trial.random.randint(1, len(recording.changes))
        for _ in range(CRASHES)
    ]
    for number, moment in enumerate(sorted(moments)):
        crash(trial, recording, moment, names, trial.folder / f"crash-{number}")


def record(trial: Trial, sinks: tuple[str, ...], *, fails_sync: bool = False) -> Recording:
    """Record two attempts of a run; the first is killed, the second sometimes."""
    root = (trial.folder / "disk").resolve()
    root.mkdir()
    log = trial.folder / "log"
    temporary = trial.folder / "temporary"
    temporary.mkdir()
    workloads: list[Workload] = []
    journals: dict[int, tuple[int, bytes]] = {}
    for attempt in range(2):
        workload = Workload(
            attempt,
            steps=40,
            flush_every=trial.random.randint(2, 12),
            sinks=sinks,
            waits_for_kill=attempt == 0 or trial.random.random() < 0.5,
            tolerates_errors=fails_sync,
            marks=str(root / "marks"),
        )
        workloads.append(workload)
        with shimmed(trial.folder, root) as page:
            if fails_sync:
                number = trial.random.randint(1, 25)
                page.inject(Kind.SYNC, Action.FAIL, first=number, last=number, error=errno.EIO)
            child = trial.record(
                root / "run",
                workload,
                env={"TMPDIR": str(temporary), **page.environment(log=log, fallocate_error=errno.EOPNOTSUPP)},
                stdout=subprocess.DEVNULL,
                stderr=trial.folder / "stderr",
            )
            trial.await_phase(child, LOGGED if workload.waits_for_kill else CLOSED)
            child.kill() if workload.waits_for_kill else child.wait()
        journal = root / "run" / "journal.holter"
        if journal.exists():
            journals[len(read_log(log, root))] = (attempt, journal.read_bytes())
    # A journal that could not be created in the run's folder is in a tmpfs, which a power loss empties.
    shutil.rmtree(temporary)
    return Recording(workloads, read_log(log, root), journals)


def crash(trial: Trial, recording: Recording, moment: int, names: Names, folder: Path) -> None:
    """Simulate a power loss after `moment` changes, and check the run."""
    flushed, logged = recording.flushed(moment), recording.logged(moment)
    expectation = Expectation()
    for workload in recording.workload:
        for index, (name, step, value) in enumerate(workload.points(0)):
            if index < flushed.get(workload.attempt, 0):
                expectation.values[name, step] = [value]
                expectation.acknowledged += 1
            elif index < logged.get(workload.attempt, 0):
                expectation.values[name, step] = [None, value]
    _write_survivors(trial, recording, moment, names, folder)
    trial.outcome.faults += 1
    trial.outcome.checked += expectation.acknowledged
    try:
        check_after_power_loss(trial, folder / "run", recording.workload[0], expectation)
    except AssertionError as error:
        raise AssertionError(f"after change {moment}, in {folder}: {error}") from error


def check_after_power_loss(trial: Trial, run: Path, workload: Workload, expectation: Expectation) -> None:
    """Check that flushed points are present, at the latest after a recovery; without a flush there may be no run."""
    try:
        trial.check_as_is(run, expectation)
    except Rejected as error:
        # A database without its write-ahead log may need a writer to roll back an incomplete transaction.
        assert not expectation.acknowledged or "recover the run" in error.message, error
    try:
        trial.recover(run)
    except Rejected as error:
        assert not expectation.acknowledged, error
        return
    # The content of the summary after a power loss is not guaranteed: it is rewritten from where it was last synced.
    sinks = tuple(sink for sink in workload.sinks if sink != "summary")
    trial.check_recovered(run, replace(workload, sinks=sinks), expectation)


def _write_survivors(trial: Trial, recording: Recording, moment: int, names: Names, folder: Path) -> None:
    """Write the files that exist after the power loss."""
    logged = recording.logged(moment)
    disk = Disk(names)
    lost: list[tuple[str, Node, bytearray]] = []
    for number, change in enumerate(recording.changes, 1):
        disk.apply(change)
        if number == moment:
            lost = list(disk.crash(trial.random))
        # The journal's file is known at the end of its attempt.
        if number in recording.journals:
            attempt, content = recording.journals[number]
            disk.current["run/journal.holter"].mapped = (content, logged.get(attempt, 0))
    folder.mkdir()
    for path, node, content in lost:
        if node.is_folder:
            (folder / path).mkdir(exist_ok=True)
        else:
            is_mapped = node.mapped is not None and node.is_synced
            (folder / path).write_bytes(_some_pages(trial, content, *node.mapped) if is_mapped else content)


def _some_pages(trial: Trial, created: bytearray, final: bytes, logged: int) -> bytearray:
    """Return a journal with some pages written back, without points that were not logged yet."""
    content = created + bytes(len(final) - len(created))
    luck = trial.random.choice((0.0, 0.5, 1.0))
    for start in range(0, len(final), PAGE_BYTES):
        if trial.random.random() < luck:
            content[start : start + PAGE_BYTES] = final[start : start + PAGE_BYTES]
    # The journals of these runs never wrap, so slots are in the order of the points.
    capacity = int.from_bytes(final[16:24], "little")
    start = PAGE_BYTES + min(logged, capacity) * SLOT_BYTES
    end = PAGE_BYTES + capacity * SLOT_BYTES
    content[start:end] = bytes(end - start)
    return content
