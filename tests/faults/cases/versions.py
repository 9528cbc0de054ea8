"""A run with a newer format version in its manifest, its database, its journal or a Parquet part.

Finds a file of a newer format that is read as the current one, a rejected run that is changed or gets an additional
file, and an error message without the found and the supported version.
"""

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import holter._core as core
from expected_points import Expectation
from tests.faults import stages
from tests.faults.case import Case, trials
from tests.faults.reading import Rejected
from tests.faults.stages import Stage
from tests.faults.trial import READER, Trial

NEWER = core.FORMAT_VERSION + 1
JOURNAL_VERSION_OFFSET = 8

OPEN_TO_WRITE = """
import sys, holter
try:
    holter.Logger(sys.argv[1], resume="allow", sinks=sys.argv[2].split(","), journal_points=1024)
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


NEWER_IN: dict[str, Callable[[Path], None]] = {
    "run.json": _manifest,
    "metrics.sqlite": _database,
    "journal.holter": _journal,
    "part-": _part,
}
ACTIONS = ("open_run", "recover", "Logger")
BOTH, PARTS = stages.SINKS
# A run with a database does not read parts, and a closed run needs no recovery.
PLAN = [
    *((BOTH, place, "crashed", action) for place in NEWER_IN if place != "part-" for action in ACTIONS),
    *((PARTS, "part-", "crashed", action) for action in ACTIONS),
    *((BOTH, "run.json", "closed", action) for action in ACTIONS),
    *((BOTH, "metrics.sqlite", "closed", action) for action in ("open_run", "Logger")),
    *((PARTS, "part-", "closed", action) for action in ("open_run", "Logger")),
    (BOTH, "part-", "closed", "Logger"),
]


def cases() -> Iterator[Case]:
    """Yield one case. A trial is a run, the file with the newer version, and one way to open it."""
    yield Case(
        "versions/newer",
        "a newer version in run.json, the database, the journal or a part; open_run, recover, Logger",
        _open_newer,
        trials(full=len(PLAN), quick=len(PLAN), small=6),
        plan=lambda _setting: PLAN,
    )


def _open_newer(trial: Trial) -> None:
    sinks, place, state, action = trial.parameter
    stage = Stage("recover", sinks)
    run, aside = trial.folder / "run", trial.folder / "aside"
    expectation = Expectation()
    if state == "crashed":
        stage.prepare(trial, run, expectation)
    else:
        assert trial.record(run, stage.workload, stdout=subprocess.DEVNULL).wait() == 0
        expectation.add(stage.workload, trial.page)
    shutil.copytree(run, aside)
    NEWER_IN[place](run)
    trial.outcome.faults = 1
    trial.outcome.checked = expectation.acknowledged
    before = _contents(run, state)
    message = _message(trial, run, action, stage)
    assert re.search(rf"FormatVersionError: .*{re.escape(place)}.*version {NEWER}.*up to {NEWER - 1}", message), message
    assert _contents(run, state) == before, "a rejected run was written to"
    # The rejected run is intact: with the current version it has every point.
    trial.check_after_crash(aside, stage.workload, expectation)


def _message(trial: Trial, run: Path, action: str, stage: Stage) -> str:
    """Return the error message for opening the run in this way."""
    if action == "Logger":
        process = trial.spawn(["-c", OPEN_TO_WRITE, run, ",".join(stage.sinks)], stdout=-1)
        code, output, _ = process.output()
        assert code == 0, output
        return output.strip()
    try:
        READER.points(run) if action == "open_run" else READER.recover(run)
    except Rejected as error:
        return str(error)
    return "not rejected"


def _contents(run: Path, state: str) -> dict[str, bytes]:
    """Return the files; for a crashed run without SQLite's shared memory file, which readers of a WAL write to."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and not (state == "crashed" and path.name.endswith("-shm"))
    }
