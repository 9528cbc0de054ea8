"""The disk fills up and has room again, at any moments, and the process is killed or ends in between.

Catches a point that was accepted and is lost, one that was dropped and is there, and a count that tells neither. Unlike
where single calls fail, the file system is a real one, and everything on it fails at once.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from expected_points import Expectation
from recording_child import LOGGED, LOGGING, OPENING, Orders
from tests.faults import stages
from tests.faults.case import Case, Unavailable, tries
from tests.faults.trial import Try

DISK_BYTES = 12 << 20


def cases() -> Iterator[Case]:
    """One case: a try is one file system, one run and two attempts."""
    yield Case(
        "full-disk/tmpfs",
        "a small file system that fills up and has room again; some recorders are killed while it is full",
        _fill,
        tries(full=80, quick=6, small=1),
        can_be_made=_can_be_made,
    )


def _fill(trial: Try) -> None:
    with _mounted(trial.folder / "disk") as disk:
        run = disk / "run"
        expectation = Expectation()
        sinks = trial.random.choice(stages.SINKS)
        for attempt in range(2):
            orders = Orders(
                attempt * 20,
                steps=800,
                pause_every=3,
                sinks=sinks,
                goes_on=True,
                drops=str(trial.folder / f"drops-{attempt}"),
            )
            child = trial.record(run, orders, stdout=subprocess.PIPE, stderr=trial.folder / "stderr")
            is_killed = trial.random.random() < 0.6
            for _ in range(trial.random.randint(1, 4)):
                trial.pause(0.3)
                ballast = _take_all_but(disk, trial.random.choice((0, 0, 4096, 100_000)))
                trial.outcome.faults += trial.page.phase in (OPENING, LOGGING)
                trial.pause(0.5)
                # Killed with the disk full, or closed with room.
                if is_killed and trial.random.random() < 0.3:
                    break
                ballast.unlink()
            if is_killed:
                child.kill()
            (disk / "ballast").unlink(missing_ok=True)
            code, _, _ = child.output()
            assert code == 0 or is_killed, (trial.folder / "stderr").read_text()
            stages.assert_no_panic(trial)
            expectation.add(orders, trial.page)
            if (run / "run.json").exists():
                trial.judge_as_it_is(run, expectation)
        trial.outcome.checked = expectation.acknowledged
        if trial.page.phase >= LOGGED or (run / "run.json").exists():
            trial.judge_after_a_crash(run, orders, expectation)


def _take_all_but(disk: Path, left: int) -> Path:
    """Fill the file system up but for `left` bytes."""
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
        raise Unavailable(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _can_be_made() -> None:
    if shutil.which("mount") is None:
        raise Unavailable("there is no `mount`")
    with tempfile.TemporaryDirectory() as folder, _mounted(Path(folder) / "disk"):
        pass
