"""The run's folder may not be written to, or is deleted under the run, or deleted and begun anew by somebody else.

Catches an error that reaches the training, a run that records into nothing without a word, a reader that has to write,
and a recorder that writes over, or deletes, what another one has put in its place.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import recording_child
import run_files
from expected_points import Expectation
from recording_child import CLOSED, LOGGED, LOGGING, Orders, Page
from tests.faults import stages
from tests.faults.case import Case, tries
from tests.faults.reading import Reader
from tests.faults.stages import Stage
from tests.faults.trial import Try

PR_CAPBSET_DROP = 24
CAPABILITIES = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which permissions are nothing to root."""

OPEN_NEW = """
import sys, holter
try:
    holter.Logger(sys.argv[1])
except holter.StoreError as error:
    print("refused:", error)
"""


def cases() -> Iterator[Case]:
    """One case for each of the four."""
    words = {
        "read-only-new": ("a folder that may not be written to, for a new run", _read_only_new),
        "read-only-crashed": ("a crashed run in a folder that may not be written to", _read_only_crashed),
        "read-only-later": ("a folder that may not be written to for a while, under the run", _read_only_later),
        "deleted": ("the folder is deleted under the run", _deleted),
        "replaced": ("the folder is deleted under the run, and another process begins a run in its place", _replaced),
    }
    for name, (what, attempt) in words.items():
        yield Case(f"folders/{name}", what, attempt, tries(full=40, quick=4, small=1))


def _without_privileges() -> None:
    """Make root's process one to which permissions apply, when it starts its program."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in CAPABILITIES:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def _read_only_new(trial: Try) -> None:
    folder = trial.folder / "runs"
    folder.mkdir()
    # The run's own folder is there already, or could not be made.
    run = folder / "run"
    if trial.random.random() < 0.5:
        run.mkdir(mode=0o555)
    folder.chmod(0o555)
    process = trial.spawn(["-W", "ignore", "-c", OPEN_NEW, run], stdout=subprocess.PIPE, preexec_fn=_without_privileges)
    code, output, _ = process.output()
    trial.outcome.faults = 1
    assert code == 0
    assert output.startswith("refused: "), output
    assert "Permission denied" in output, output
    assert not run.exists() or not list(run.iterdir())
    folder.chmod(0o755)


def _read_only_crashed(trial: Try) -> None:
    run = trial.folder / "run"
    stage = Stage("recover", trial.random.choice(stages.SINKS))
    expectation = Expectation()
    stage.prepare(trial, run, expectation)
    trial.outcome.checked = expectation.acknowledged
    _set_modes(run, 0o555, 0o444)
    reader = Reader(preexec_fn=_without_privileges)
    try:
        trial.judge(reader.points(run), expectation, "as open_run reads it, without the right to write")
    finally:
        reader.close()
    trial.outcome.faults = 1
    _set_modes(run, 0o755, 0o644)
    trial.judge_after_a_crash(run, stage.orders, expectation)


def _read_only_later(trial: Try) -> None:
    run = trial.folder / "run"
    orders = Orders(0, steps=400, flush_every=20, pause_every=1, goes_on=True, sinks=trial.random.choice(stages.SINKS))
    child = trial.record(run, orders, stdout=subprocess.PIPE, preexec_fn=_without_privileges)
    trial.await_phase(child, LOGGING)
    trial.pause(0.3)
    folders = [path for path in (run, run / "parquet") if path.exists()]
    for folder in folders:
        folder.chmod(0o555)
    trial.pause(0.5)
    for folder in folders:
        folder.chmod(0o755)
    trial.outcome.faults = 1
    code, output, _ = child.output()
    assert code == 0
    said = stages.report(output)
    assert said["dropped"] == 0, said
    expectation = Expectation()
    expectation.add(orders, trial.page)
    trial.outcome.checked = expectation.acknowledged
    trial.judge_after_a_crash(run, orders, expectation)


def _deleted(trial: Try) -> None:
    run = trial.folder / "run"
    orders = Orders(0, steps=300, flush_every=20, pause_every=1, goes_on=True, sinks=trial.random.choice(stages.SINKS))
    child = trial.record(run, orders, stdout=subprocess.PIPE, stderr=trial.folder / "stderr")
    trial.await_phase(child, LOGGING)
    trial.pause(0.3)
    is_in_time = trial.page.phase < LOGGED
    _delete(run)
    trial.outcome.faults = 1
    code, output, _ = child.output()
    assert code == 0, output
    stages.assert_no_panic(trial)
    said = stages.report(output)
    assert trial.page.acknowledged(0) == sum(1 for _ in orders.points(0)), "log was disturbed"
    if is_in_time:
        assert said["close"], f"nobody was told that the run is gone: {said}"


def _replaced(trial: Try) -> None:
    run = trial.folder / "run"
    sinks = trial.random.choice(stages.SINKS)
    old = Orders(0, steps=300, flush_every=20, pause_every=1, goes_on=True, sinks=sinks)
    child = trial.record(run, old, stdout=subprocess.PIPE, stderr=trial.folder / "stderr")
    trial.await_phase(child, LOGGING)
    trial.pause(0.2)
    _delete(run)
    new = replace(old, attempt=20, steps=100, stays=True)
    path = trial.folder / "page-new"
    page = Page(path)
    try:
        other = trial.spawn([recording_child.__file__, run, path, new.dump()])
        manifest = _await_logged(trial, other, page, run)
        trial.outcome.faults = 1
        code, output, _ = child.output()
        assert code == 0, output
        assert trial.page.phase == CLOSED
        stages.assert_no_panic(trial)
        assert run_files.manifest(run) == manifest, "the manifest of the new run was written over"
        assert other.kill()
        expectation = Expectation()
        expectation.add(new, page)
    finally:
        page.close()
    trial.outcome.checked = expectation.acknowledged
    trial.judge_after_a_crash(run, new, expectation)


def _await_logged(trial: Try, process, page: Page, run: Path) -> dict[str, object]:
    own, trial.page = trial.page, page
    try:
        trial.await_phase(process, LOGGED)
    finally:
        trial.page = own
    return run_files.manifest(run)


def _delete(run: Path) -> None:
    # Whoever writes may add a file meanwhile.
    while run.exists():
        shutil.rmtree(run, ignore_errors=True)


def _set_modes(run: Path, folder_mode: int, file_mode: int) -> None:
    for path in (*run.rglob("*"), run):
        path.chmod(folder_mode if path.is_dir() else file_mode)
