"""The run's folder is read-only, is deleted during the run, or is deleted and recreated by another process.

Finds errors that reach the training, a run that records into a deleted folder without a warning, a reader that needs
write permission, and a recorder that overwrites or deletes the files of its replacement.
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
from recording_child import CLOSED, LOGGED, LOGGING, Page, Workload
from tests.faults import stages
from tests.faults.case import Case, trials
from tests.faults.reading import Reader
from tests.faults.stages import Stage
from tests.faults.trial import Trial

PR_CAPBSET_DROP = 24
CAPABILITIES = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, with which root bypasses permissions."""

OPEN_NEW = """
import sys, holter
try:
    holter.Logger(sys.argv[1])
except holter.StoreError as error:
    print("rejected:", error)
"""


def cases() -> Iterator[Case]:
    """Yield one case per fault."""
    faults = {
        "read-only-new": ("a read-only folder, for a new run", _read_only_new),
        "read-only-crashed": ("a crashed run in a read-only folder", _read_only_crashed),
        "read-only-later": ("a folder that is temporarily read-only during the run", _read_only_later),
        "deleted": ("the folder is deleted during the run", _deleted),
        "replaced": ("the folder is deleted during the run, and another process starts a run in its place", _replaced),
    }
    for name, (what, attempt) in faults.items():
        yield Case(f"folders/{name}", what, attempt, trials(full=40, quick=4, small=1))


def _without_privileges() -> None:
    """Drop the capabilities of root that bypass permissions; for `preexec_fn`."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in CAPABILITIES:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def _read_only_new(trial: Trial) -> None:
    folder = trial.folder / "runs"
    folder.mkdir()
    # Either the run's folder exists, or it cannot be created.
    run = folder / "run"
    if trial.random.random() < 0.5:
        run.mkdir(mode=0o555)
    folder.chmod(0o555)
    process = trial.spawn(["-W", "ignore", "-c", OPEN_NEW, run], stdout=subprocess.PIPE, preexec_fn=_without_privileges)
    code, output, _ = process.output()
    trial.outcome.faults = 1
    assert code == 0
    assert output.startswith("rejected: "), output
    assert "Permission denied" in output, output
    assert not run.exists() or not list(run.iterdir())
    folder.chmod(0o755)


def _read_only_crashed(trial: Trial) -> None:
    run = trial.folder / "run"
    stage = Stage("recover", trial.random.choice(stages.SINKS))
    expectation = Expectation()
    stage.prepare(trial, run, expectation)
    trial.outcome.checked = expectation.acknowledged
    _set_modes(run, 0o555, 0o444)
    reader = Reader(preexec_fn=_without_privileges)
    try:
        trial.check(reader.points(run), expectation, "read by open_run without write permission")
    finally:
        reader.close()
    trial.outcome.faults = 1
    _set_modes(run, 0o755, 0o644)
    trial.check_after_crash(run, stage.workload, expectation)


def _read_only_later(trial: Trial) -> None:
    run = trial.folder / "run"
    workload = Workload(
        0, steps=400, flush_every=20, pause_every=1, tolerates_errors=True, sinks=trial.random.choice(stages.SINKS)
    )
    child = trial.record(run, workload, stdout=subprocess.PIPE, preexec_fn=_without_privileges)
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
    report = stages.report(output)
    assert report["dropped"] == 0, report
    expectation = Expectation()
    expectation.add(workload, trial.page)
    trial.outcome.checked = expectation.acknowledged
    trial.check_after_crash(run, workload, expectation)


def _deleted(trial: Trial) -> None:
    run = trial.folder / "run"
    workload = Workload(
        0, steps=300, flush_every=20, pause_every=1, tolerates_errors=True, sinks=trial.random.choice(stages.SINKS)
    )
    child = trial.record(run, workload, stdout=subprocess.PIPE, stderr=trial.folder / "stderr")
    trial.await_phase(child, LOGGING)
    trial.pause(0.3)
    is_still_logging = trial.page.phase < LOGGED
    _delete(run)
    trial.outcome.faults = 1
    code, output, _ = child.output()
    assert code == 0, output
    stages.assert_no_panic(trial)
    report = stages.report(output)
    assert trial.page.acknowledged(0) == sum(1 for _ in workload.points(0)), "log raised an error"
    if is_still_logging:
        assert report["close"], f"close did not report that the folder was deleted: {report}"


def _replaced(trial: Trial) -> None:
    run = trial.folder / "run"
    sinks = trial.random.choice(stages.SINKS)
    old = Workload(0, steps=300, flush_every=20, pause_every=1, tolerates_errors=True, sinks=sinks)
    child = trial.record(run, old, stdout=subprocess.PIPE, stderr=trial.folder / "stderr")
    trial.await_phase(child, LOGGING)
    trial.pause(0.2)
    _delete(run)
    new = replace(old, attempt=20, steps=100, waits_for_kill=True)
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
        assert run_files.manifest(run) == manifest, "the manifest of the new run was overwritten"
        assert other.kill()
        expectation = Expectation()
        expectation.add(new, page)
    finally:
        page.close()
    trial.outcome.checked = expectation.acknowledged
    trial.check_after_crash(run, new, expectation)


def _await_logged(trial: Trial, process, page: Page, run: Path) -> dict[str, object]:
    own, trial.page = trial.page, page
    try:
        trial.await_phase(process, LOGGED)
    finally:
        trial.page = own
    return run_files.manifest(run)


def _delete(run: Path) -> None:
    # The recorder may add a file while the folder is being deleted.
    while run.exists():
        shutil.rmtree(run, ignore_errors=True)


def _set_modes(run: Path, folder_mode: int, file_mode: int) -> None:
    for path in (*run.rglob("*"), run):
        path.chmod(folder_mode if path.is_dir() else file_mode)
