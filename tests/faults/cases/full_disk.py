"""The disk fills up and has space again at random moments, and the process is killed or exits in between.

Finds accepted points that are lost, dropped points that are stored, and wrong counts. Unlike the failure of
single calls, this uses a real file system on which everything fails at once.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from expected_points import Expectation
from recording_child import LOGGED, LOGGING, OPENING, Workload
from tests.faults import stages
from tests.faults.case import Case, Unavailable, trials
from tests.faults.trial import Trial

DISK_BYTES = 12 << 20


def cases() -> Iterator[Case]:
    """Yield one case. A trial is one file system and one run with two attempts."""
    yield Case(
        "full-disk/tmpfs",
        "a small file system that fills up and has space again; some recorders are killed while it is full",
        _fill,
        trials(full=80, quick=6, small=1),
        check_available=_check_available,
    )


def _fill(trial: Trial) -> None:
    with _mounted(trial.folder / "disk") as disk:
        run = disk / "run"
        expectation = Expectation()
        sinks = trial.random.choice(stages.SINKS)
        for attempt in range(2):
            workload = Workload(
                attempt * 20,
                steps=800,
                pause_every=3,
                sinks=sinks,
                tolerates_errors=True,
                drops=str(trial.folder / f"drops-{attempt}"),
            )
            child = trial.record(run, workload, stdout=subprocess.PIPE, stderr=trial.folder / "stderr")
            is_killed = trial.random.random() < 0.6
            for _ in range(trial.random.randint(1, 4)):
                trial.pause(0.3)
                ballast = _fill_except(disk, trial.random.choice((0, 0, 4096, 100_000)))
                trial.outcome.faults += trial.page.phase in (OPENING, LOGGING)
                trial.pause(0.5)
                # Killed while the disk is full, or closed with free space.
                if is_killed and trial.random.random() < 0.3:
                    break
                ballast.unlink()
            if is_killed:
                child.kill()
            (disk / "ballast").unlink(missing_ok=True)
            code, _, _ = child.output()
            assert code == 0 or is_killed, (trial.folder / "stderr").read_text()
            stages.assert_no_panic(trial)
            expectation.add(workload, trial.page)
            if (run / "run.json").exists():
                trial.check_as_is(run, expectation)
        trial.outcome.checked = expectation.acknowledged
        if trial.page.phase >= LOGGED or (run / "run.json").exists():
            trial.check_after_crash(run, workload, expectation)


def _fill_except(disk: Path, left: int) -> Path:
    """Fill the file system except for `left` bytes."""
    free = os.statvfs(disk)
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        file.write(bytes(max(0, free.f_bavail * free.f_frsize - left)))
    return ballast


@contextlib.contextmanager
def _mounted(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "holter-faults", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"mount failed: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _check_available() -> None:
    if shutil.which("mount") is None:
        raise Unavailable("there is no `mount`")
    with tempfile.TemporaryDirectory() as folder, _mounted(Path(folder) / "disk"):
        pass
