"""Files are damaged: bits are flipped, a sector is zeroed, the file is truncated, extended, emptied or removed.

Opening must never crash or hang, damage must be reported, and no point may be invented where a checksum covers the
bytes: the journal has one per point, and SQLite's write-ahead log one per page. The pages of the database and of the
parts have none. A value with a flipped bit there cannot be distinguished from a logged value. The remark counts such
values, and runs with missing points that neither an error nor `holter doctor` reports.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from expected_points import Expectation
from recording_child import LOGGED, Workload
from tests.faults import stages
from tests.faults.case import Case, trials
from tests.faults.reading import Rejected
from tests.faults.trial import READER, Trial

COPIES = 25
"""Damaged copies of the run per trial."""


def _flip(content: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 8))):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)


def _zero(content: bytearray, random: Random) -> None:
    start = random.randrange(len(content)) // 512 * 512
    end = min(len(content), start + 512)
    content[start:end] = bytes(end - start)


def _cut(content: bytearray, random: Random) -> None:
    del content[random.randrange(len(content)) :]


def _extend(content: bytearray, random: Random) -> None:
    content.extend(random.randbytes(random.randint(1, 10_000)))


def _empty(content: bytearray, _random: Random) -> None:
    content.clear()


def _garble(content: bytearray, random: Random) -> None:
    content[:] = random.randbytes(len(content))


DAMAGES: tuple[Callable[[bytearray, Random], None], ...] = (_flip, _flip, _flip, _zero, _cut, _extend, _empty, _garble)


@dataclass(frozen=True)
class Target:
    """The file to damage, and the workload of its run."""

    what: str
    pattern: str
    workload: Workload
    has_checksums: bool = True


CRASHED = Workload(0, steps=600, flush_every=70, waits_for_kill=True)
CLOSED = Workload(0, steps=600, flush_every=70)
TARGETS = {
    "journal": Target(
        "the journal of a crashed run", "journal.holter", Workload(0, steps=250, flush_every=180, waits_for_kill=True)
    ),
    "log": Target("the write-ahead log of a crashed run", "metrics.sqlite-wal", CRASHED),
    "database": Target("the database of a closed run", "metrics.sqlite", CLOSED, has_checksums=False),
    "parts": Target(
        "a part of a closed run without a database",
        "parquet/*.parquet",
        Workload(0, steps=600, flush_every=70, sinks=stages.SINKS[1]),
        has_checksums=False,
    ),
    "crashed-parts": Target(
        "a part of a crashed run without a database",
        "parquet/*.parquet",
        Workload(0, steps=600, flush_every=70, sinks=stages.SINKS[1], waits_for_kill=True),
        has_checksums=False,
    ),
    "manifest": Target("run.json of a crashed run", "run.json", CRASHED),
    "summary": Target("the summary of a crashed run", "summary.jsonl", CRASHED),
}


def cases() -> Iterator[Case]:
    """Yield one case per kind of file."""
    for name, target in TARGETS.items():
        yield Case(
            f"damage/{name}",
            f"bits flipped, sectors zeroed, truncated, extended, replaced or removed: {target.what}",
            partial(_damage_copies, target=target),
            trials(full=40, quick=4, small=1 if name in ("journal", "database", "parts") else 0),
            remark=_remark,
        )


def _damage_copies(trial: Trial, target: Target) -> None:
    run = trial.folder / "run"
    child = trial.record(run, target.workload)
    if target.workload.waits_for_kill:
        trial.await_phase(child, LOGGED)
        assert child.kill()
    else:
        assert child.wait() == 0
    expectation = Expectation()
    expectation.add(target.workload, trial.page)
    trial.check_as_is(run, expectation)
    known = _problems(trial, run)
    for number in range(COPIES):
        copy = trial.folder / f"copy-{number}"
        shutil.copytree(run, copy)
        path = trial.random.choice(sorted(copy.glob(target.pattern)))
        how = _damage(path, trial.random)
        trial.outcome.faults += 1
        try:
            _check(trial, target, copy, expectation, known)
        except AssertionError as error:
            raise AssertionError(f"{how} in {path}: {error}") from error
        shutil.rmtree(copy)


def _damage(path: Path, random: Random) -> str:
    """Damage the file; return the kind of damage."""
    if random.random() < 0.05:
        path.unlink()
        return "removal"
    damage = random.choice(DAMAGES)
    content = bytearray(path.read_bytes())
    damage(content, random)
    path.write_bytes(content)
    return damage.__name__.strip("_")


def _problems(trial: Trial, run: Path) -> set[str]:
    """Return the problems reported for the undamaged run, before and after a recovery."""
    copy = trial.folder / "undamaged"
    shutil.copytree(run, copy)
    before = READER.problems(copy)
    trial.recover(copy)
    return {*before, *READER.problems(copy)}


def _check(trial: Trial, target: Target, run: Path, expectation: Expectation, known: set[str]) -> None:
    """Read the run as it is, and again after a recovery. Either may be rejected with an error."""
    measured = trial.outcome.measure
    for is_recovered in (False, True):
        try:
            if is_recovered:
                trial.recover(run)
            found = READER.points(run)
        except Rejected as error:
            assert error.message.strip(), "rejected without a message"
            measured("rejected", 1)
            continue
        trial.outcome.checked += len(found)
        difference = expectation.compare(found)
        if difference.lost:
            measured("missing, reported" if set(READER.problems(run)) - known else "missing, not reported", 1)
        if target.has_checksums:
            trial.outcome.invented += len(difference.invented)
            assert not difference.invented, difference
        if difference.invented:
            measured("changed", 1)
        elif not difference.lost:
            measured("complete", 1)


def _remark(measured: dict[str, list[float]]) -> str:
    descriptions = {
        "rejected": "rejected with an error",
        "complete": "read completely",
        "missing, reported": "points missing, reported",
        "missing, not reported": "points missing, not reported",
        "changed": "read with a value, step or name that was not logged, because no checksum covers it",
    }
    counts = {what: len(measured.get(what, [])) for what in descriptions}
    return "; ".join(f"{count:,} times {descriptions[what]}" for what, count in counts.items() if count)
