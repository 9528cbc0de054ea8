"""Files are damaged: bits flip, a sector is zeroed, the end is cut off or more follows, a file is emptied or gone.

Promised is that opening never crashes or hangs, that what is damaged is said, and that no point is invented, as far as
there is a checksum over the bytes: the journal has one over each point, and SQLite's log over each page. There is none
over the pages of the database and of the parts. What a flipped bit makes of a value there cannot be told from what was
logged; it is counted in the remark, as is where points are missing and neither an error nor `holter doctor` says so.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from expected_points import Expectation
from recording_child import LOGGED, Orders
from tests.faults import stages
from tests.faults.case import Case, tries
from tests.faults.reading import Refused
from tests.faults.trial import READER, Try

COPIES = 25
"""How often one run is copied and damaged in one try."""


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


WAYS: tuple[Callable[[bytearray, Random], None], ...] = (_flip, _flip, _flip, _zero, _cut, _extend, _empty, _garble)


@dataclass(frozen=True)
class Victim:
    """What is damaged, and the run that it is a file of."""

    what: str
    pattern: str
    orders: Orders
    has_checksums: bool = True


CRASHED = Orders(0, steps=600, flush_every=70, stays=True)
CLOSED = Orders(0, steps=600, flush_every=70)
VICTIMS = {
    "journal": Victim(
        "the journal of a crashed run", "journal.holter", Orders(0, steps=250, flush_every=180, stays=True)
    ),
    "log": Victim("the write-ahead log of a crashed run", "metrics.sqlite-wal", CRASHED),
    "database": Victim("the database of a closed run", "metrics.sqlite", CLOSED, has_checksums=False),
    "parts": Victim(
        "a part of a closed run without a database",
        "parquet/*.parquet",
        Orders(0, steps=600, flush_every=70, sinks=stages.SINKS[1]),
        has_checksums=False,
    ),
    "crashed-parts": Victim(
        "a part of a crashed run without a database",
        "parquet/*.parquet",
        Orders(0, steps=600, flush_every=70, sinks=stages.SINKS[1], stays=True),
        has_checksums=False,
    ),
    "manifest": Victim("run.json of a crashed run", "run.json", CRASHED),
    "summary": Victim("the summary of a crashed run", "summary.jsonl", CRASHED),
}


def cases() -> Iterator[Case]:
    """One case for each kind of file."""
    for name, victim in VICTIMS.items():
        yield Case(
            f"damage/{name}",
            f"bits flipped, sectors zeroed, cut off, extended, replaced or removed: {victim.what}",
            partial(_damage_copies, victim=victim),
            tries(full=40, quick=4, small=1 if name in ("journal", "database", "parts") else 0),
            remark=_remark,
        )


def _damage_copies(trial: Try, victim: Victim) -> None:
    run = trial.folder / "run"
    child = trial.record(run, victim.orders)
    if victim.orders.stays:
        trial.await_phase(child, LOGGED)
        assert child.kill()
    else:
        assert child.wait() == 0
    expectation = Expectation()
    expectation.add(victim.orders, trial.page)
    trial.judge_as_it_is(run, expectation)
    known = _problems(trial, run)
    for number in range(COPIES):
        copy = trial.folder / f"copy-{number}"
        shutil.copytree(run, copy)
        path = trial.random.choice(sorted(copy.glob(victim.pattern)))
        how = _damage(path, trial.random)
        trial.outcome.faults += 1
        try:
            _judge(trial, victim, copy, expectation, known)
        except AssertionError as error:
            raise AssertionError(f"{how} in {path}: {error}") from error
        shutil.rmtree(copy)


def _damage(path: Path, random: Random) -> str:
    """Damage the file, and say how."""
    if random.random() < 0.05:
        path.unlink()
        return "removal"
    way = random.choice(WAYS)
    content = bytearray(path.read_bytes())
    way(content, random)
    path.write_bytes(content)
    return way.__name__.strip("_")


def _problems(trial: Try, run: Path) -> set[str]:
    """What is said of a run that is not damaged, as it is and recovered."""
    copy = trial.folder / "undamaged"
    shutil.copytree(run, copy)
    before = READER.problems(copy)
    trial.recover(copy)
    return {*before, *READER.problems(copy)}


def _judge(trial: Try, victim: Victim, run: Path, expectation: Expectation, known: set[str]) -> None:
    """Read the run as it is, and again after a recovery. Either may be refused, in words."""
    measured = trial.outcome.measure
    for is_recovered in (False, True):
        try:
            if is_recovered:
                trial.recover(run)
            found = READER.points(run)
        except Refused as error:
            assert error.message.strip(), "it is refused without a word"
            measured("refused", 1)
            continue
        trial.outcome.checked += len(found)
        difference = expectation.compare(found)
        if difference.lost:
            measured("missing" if set(READER.problems(run)) - known else "missing without a word", 1)
        if victim.has_checksums:
            trial.outcome.invented += len(difference.invented)
            assert not difference.invented, difference
        if difference.invented:
            measured("changed", 1)
        elif not difference.lost:
            measured("whole", 1)


def _remark(measured: dict[str, list[float]]) -> str:
    words = {
        "refused": "refused in words",
        "whole": "read whole",
        "missing": "read with points missing, and said so",
        "missing without a word": "read with points missing, and nothing said so",
        "changed": "read with a value, step or name that was not logged, as there is no checksum",
    }
    counts = {what: len(measured.get(what, [])) for what in words}
    return "; ".join(f"{count:,} times {words[what]}" for what, count in counts.items() if count)
