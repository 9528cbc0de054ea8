"""The power is lost, as a model has it: what was not synced is there, or not, or in part.

Promised is that whatever `flush` returned for is there afterwards, and nothing that was not logged; what was logged
after the last flush may be there or not. Catches a sync that is missing or in the wrong order, a name that is not
synced, and a sync that failed and is believed because a later one did not.

`tests.faults.disk_model` says what is modelled. The journal is written through a mapping, which no call shows: each of
its pages may be as it was created or as it was in the end. A fallocate would not show either, so there is none.
"""

import errno
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from expected_points import Expectation
from recording_child import CLOSED, LOGGED, Orders
from tests.faults import shim, stages
from tests.faults.case import Case, tries
from tests.faults.disk_model import Change, Disk, Kind, Names, Node, read_log
from tests.faults.reading import Refused
from tests.faults.shim import Action, shimmed
from tests.faults.trial import Try

CRASHES = 25
"""How often the power is lost in one try: so many moments of one recording."""
PAGE_BYTES = 4096
SLOT_BYTES = 32

WORDS = {
    Names.ORDERED: "names as durable as on ext4, XFS and Btrfs",
    Names.STRICT: "names only as durable as POSIX promises",
}


def cases() -> Iterator[Case]:
    """With either reading of names, and with a sync that fails."""
    for names, words in WORDS.items():
        yield Case(
            f"power/{names.value}",
            f"loss of power, {words}",
            partial(_lose_power, names=names),
            tries(full=60, quick=5, small=1),
            can_be_made=shim.can_be_made,
        )
    yield Case(
        "power/failed-sync",
        "loss of power after a sync that failed, whose data is never written",
        partial(_lose_power, names=Names.ORDERED, fails_sync=True),
        tries(full=60, quick=5, small=1),
        can_be_made=shim.can_be_made,
    )


@dataclass(frozen=True)
class Recording:
    """What happened to a disk, and what the journals held that no call shows."""

    orders: list[Orders]
    changes: list[Change]
    journals: dict[int, tuple[int, bytes]]
    """By how many changes had been made: which attempt left one, and its bytes."""

    def marks(self) -> list[int]:
        """After how many changes a flush had just returned."""
        return [number for number, change in enumerate(self.changes, 1) if _is_mark(change) and _mark(change)[1]]

    def flushed(self, until: int) -> dict[int, int]:
        """How many points of each attempt were flushed when so many changes had been made."""
        return dict(_mark(change) for change in self.changes[:until] if _is_mark(change))

    def logged(self, until: int) -> dict[int, int]:
        """How many points of each attempt may have been logged by then: all until the flush after it, none before it
        was opened."""
        for change in self.changes[until:]:
            if _is_mark(change):
                attempt, count = _mark(change)
                return {**self._all_before(attempt), attempt: count}
        return self._all_before(len(self.orders))

    def _all_before(self, attempt: int) -> dict[int, int]:
        return {orders.attempt: sum(1 for _ in orders.points(0)) for orders in self.orders if orders.attempt < attempt}


def _is_mark(change: Change) -> bool:
    return change.kind == Kind.WRITE and change.path == "marks"


def _mark(change: Change) -> tuple[int, int]:
    """Which attempt had flushed how many points."""
    attempt, count = change.data.decode().split()
    return int(attempt), int(count)


def _lose_power(trial: Try, names: Names, *, fails_sync: bool = False) -> None:
    recording = record(trial, trial.random.choice(stages.SINKS), fails_sync=fails_sync)
    marks = recording.marks()
    assert marks, "nothing was flushed"
    moments = [
        trial.random.choice(marks) if trial.random.random() < 0.4 else trial.random.randint(1, len(recording.changes))
        for _ in range(CRASHES)
    ]
    for number, moment in enumerate(sorted(moments)):
        crash(trial, recording, moment, names, trial.folder / f"crash-{number}")


def record(trial: Try, sinks: tuple[str, ...], *, fails_sync: bool = False) -> Recording:
    """Record two attempts of a run, of which the first is killed and the second perhaps, too."""
    root = (trial.folder / "disk").resolve()
    root.mkdir()
    log = trial.folder / "log"
    temporary = trial.folder / "temporary"
    temporary.mkdir()
    all_orders: list[Orders] = []
    journals: dict[int, tuple[int, bytes]] = {}
    for attempt in range(2):
        orders = Orders(
            attempt,
            steps=40,
            flush_every=trial.random.randint(2, 12),
            sinks=sinks,
            stays=attempt == 0 or trial.random.random() < 0.5,
            goes_on=fails_sync,
            marks=str(root / "marks"),
        )
        all_orders.append(orders)
        with shimmed(trial.folder, root) as page:
            if fails_sync:
                number = trial.random.randint(1, 25)
                page.meddle(Kind.SYNC, Action.FAIL, first=number, last=number, error=errno.EIO)
            child = trial.record(
                root / "run",
                orders,
                env={"TMPDIR": str(temporary), **page.environment(log=log, fallocate_error=errno.EOPNOTSUPP)},
                stdout=subprocess.DEVNULL,
                stderr=trial.folder / "stderr",
            )
            trial.await_phase(child, LOGGED if orders.stays else CLOSED)
            child.kill() if orders.stays else child.wait()
        journal = root / "run" / "journal.holter"
        if journal.exists():
            journals[len(read_log(log, root))] = (attempt, journal.read_bytes())
    # A journal that could not be made in the run's folder is where a loss of power leaves nothing.
    shutil.rmtree(temporary)
    return Recording(all_orders, read_log(log, root), journals)


def crash(trial: Try, recording: Recording, moment: int, names: Names, folder: Path) -> None:
    """Lose the power after so many changes, and look at what is there."""
    flushed, logged = recording.flushed(moment), recording.logged(moment)
    expectation = Expectation()
    for orders in recording.orders:
        for index, (name, step, value) in enumerate(orders.points(0)):
            if index < flushed.get(orders.attempt, 0):
                expectation.values[name, step] = [value]
                expectation.acknowledged += 1
            elif index < logged.get(orders.attempt, 0):
                expectation.values[name, step] = [None, value]
    _bring_back(trial, recording, moment, names, folder)
    trial.outcome.faults += 1
    trial.outcome.checked += expectation.acknowledged
    try:
        judge_after_power_loss(trial, folder / "run", recording.orders[0], expectation)
    except AssertionError as error:
        raise AssertionError(f"after change {moment}, in {folder}: {error}") from error


def judge_after_power_loss(trial: Try, run: Path, orders: Orders, expectation: Expectation) -> None:
    """What was flushed is there, at the latest when the run has been recovered; without a flush there may be no run."""
    try:
        trial.judge_as_it_is(run, expectation)
    except Refused as error:
        # A database without a write-ahead log is only readable when somebody who may write has put it into order.
        assert not expectation.acknowledged or "recover the run" in error.message, error
    try:
        trial.recover(run)
    except Refused as error:
        assert not expectation.acknowledged, error
        return
    # The summary is made again only from where it was last synced; what is in it after a loss of power is not promised.
    sinks = tuple(sink for sink in orders.sinks if sink != "summary")
    trial.judge_in_order(run, replace(orders, sinks=sinks), expectation)


def _bring_back(trial: Try, recording: Recording, moment: int, names: Names, folder: Path) -> None:
    """Write what the disk holds when the power comes back."""
    logged = recording.logged(moment)
    disk = Disk(names)
    lost: list[tuple[str, Node, bytearray]] = []
    for number, change in enumerate(recording.changes, 1):
        disk.apply(change)
        if number == moment:
            lost = list(disk.crash(trial.random))
        # Which file a journal was is known at the end of its attempt.
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


def _some_pages(trial: Try, created: bytearray, final: bytes, logged: int) -> bytearray:
    """A journal of which some pages were written back; of points that were not logged yet none can be there."""
    content = created + bytes(len(final) - len(created))
    luck = trial.random.choice((0.0, 0.5, 1.0))
    for start in range(0, len(final), PAGE_BYTES):
        if trial.random.random() < luck:
            content[start : start + PAGE_BYTES] = final[start : start + PAGE_BYTES]
    # The journals of these runs never wrap, so that slots are in the order of the points.
    capacity = int.from_bytes(final[16:24], "little")
    behind = PAGE_BYTES + min(logged, capacity) * SLOT_BYTES
    end = PAGE_BYTES + capacity * SLOT_BYTES
    content[behind:end] = bytes(end - behind)
    return content
