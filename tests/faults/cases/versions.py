"""A run that a newer Holter wrote: in its manifest, its database, its journal or a Parquet part.

Catches a file of a newer format that is read as if it were ours, written to, or refused in words that do not say which
version was found and which is known.
"""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import holter._core as core
from expected_points import Expectation
from tests.faults import stages
from tests.faults.case import Case, Setting, tries
from tests.faults.reading import Refused
from tests.faults.stages import Stage
from tests.faults.trial import READER, Try

NEWER = core.FORMAT_VERSION + 1
JOURNAL_VERSION_OFFSET = 8

OPEN_TO_WRITE = """
import sys, holter
try:
    holter.Logger(sys.argv[1], sinks=sys.argv[2].split(","), journal_points=1024)
except holter.HolterError as error:
    print(f"{type(error).__name__}: {error}")
"""


def _manifest(run: Path) -> None:
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": NEWER}))


def _database(run: Path) -> None:
    connection = sqlite3.connect(run / "metrics.sqlite")
    connection.execute(f"PRAGMA user_version = {NEWER}")
    connection.close()


def _journal(run: Path) -> None:
    with (run / "journal.holter").open("r+b") as file:
        file.seek(JOURNAL_VERSION_OFFSET)
        version = int.from_bytes(file.read(4), "little")
        file.seek(JOURNAL_VERSION_OFFSET)
        file.write((version + 1).to_bytes(4, "little"))


def _part(run: Path) -> None:
    import pyarrow.parquet

    path = min((run / "parquet").glob("*.parquet"))
    table = pyarrow.parquet.read_table(path)
    metadata = {**(table.schema.metadata or {}), b"holter.format_version": str(NEWER).encode()}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)


PLACES: dict[str, tuple[Callable[[Path], None], int]] = {
    "run.json": (_manifest, 0),
    "metrics.sqlite": (_database, 0),
    "journal.holter": (_journal, 0),
    "part-": (_part, 1),
}
ACTIONS = ("open_run", "recover", "Logger")


def cases() -> Iterator[Case]:
    """One case: a try is one place and one way to open the run."""
    yield Case(
        "versions/newer",
        "a newer version in run.json, the database, the journal or a part; open_run, recover, Logger",
        _open_newer,
        tries(full=len(PLACES) * len(ACTIONS), quick=len(PLACES) * len(ACTIONS), small=4),
        plan=_plan,
    )


def _plan(_setting: Setting) -> Sequence[tuple[str, str]]:
    return [(place, action) for place in PLACES for action in ACTIONS]


def _open_newer(trial: Try) -> None:
    place, action = trial.parameter
    make_newer, sinks = PLACES[place]
    stage = Stage("recover", stages.SINKS[sinks])
    run, aside = trial.folder / "run", trial.folder / "aside"
    expectation = Expectation()
    stage.prepare(trial, run, expectation)
    shutil.copytree(run, aside)
    make_newer(run)
    trial.outcome.faults = 1
    trial.outcome.checked = expectation.acknowledged
    before = _contents(run)
    message = _message(trial, run, action, stage)
    assert re.search(rf"FormatVersionError: .*{re.escape(place)}.*version {NEWER}.*up to {NEWER - 1}", message), message
    assert _contents(run) == before, "a run that was refused was written to"
    # What was refused is whole: with the version that we know it has every point.
    trial.judge_after_a_crash(aside, stage.orders, expectation)


def _message(trial: Try, run: Path, action: str, stage: Stage) -> str:
    """What opening the run in this way is answered."""
    if action == "Logger":
        process = trial.spawn(["-c", OPEN_TO_WRITE, run, ",".join(stage.sinks)], stdout=-1)
        code, output, _ = process.output()
        assert code == 0, output
        return output.strip()
    try:
        READER.points(run) if action == "open_run" else READER.recover(run)
    except Refused as error:
        return str(error)
    return "nothing was refused"


def _contents(run: Path) -> dict[str, bytes]:
    """The files but for SQLite's shared memory, which readers of a database with a log write to."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }
