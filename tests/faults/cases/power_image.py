"""Power loss on a real file system: snapshots of the block device while a recorder runs.

A run is recorded on an ext4 image behind a loop device. The image is copied while the recorder logs and flushes. A copy
has the content that the disk would have after a power loss at that moment: mounting it replays ext4's journal, and
then the run in it is checked. Unlike in the model, the kernel decides when pages are written back.
"""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from expected_points import Expectation
from recording_child import LOGGED, LOGGING, Workload
from tests.faults import stages
from tests.faults.case import Case, Hang, Unavailable, trials
from tests.faults.cases.power import check_after_power_loss
from tests.faults.trial import Trial

IMAGE_BYTES = 48 << 20
SNAPSHOTS = 6
MAX_PAUSE_SECS = 0.15
"""The longest pause between two snapshots."""


def cases() -> Iterator[Case]:
    """Yield one case. A trial is one recording with several snapshots."""
    yield Case(
        "power/ext4",
        "power loss on a real ext4: snapshots of the block device",
        _lose_power,
        trials(full=40, quick=3, small=1),
        check_available=_check_available,
    )


def _check_available() -> None:
    if os.geteuid():
        raise Unavailable("mounting a file system needs root")
    for program in ("losetup", "mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None:
            raise Unavailable(f"there is no {program}")
    done = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"there is no loop device: {done.stderr.strip()}")


def _lose_power(trial: Trial) -> None:
    image, mounted = trial.folder / "image", trial.folder / "mounted"
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    _run("mkfs.ext4", "-q", "-J", "size=4", "-E", "lazy_itable_init=0", str(image))
    workload = Workload(
        0,
        steps=100_000,
        flush_every=trial.random.randint(5, 50),
        pause_every=1,
        sinks=trial.random.choice(stages.SINKS),
        journal_points=1 << 14,
    )
    with _mount(image, mounted) as device:
        child = trial.record(mounted / "run", workload)
        trial.await_phase(child, LOGGING)
        snapshots = []
        for number in range(SNAPSHOTS):
            trial.pause(MAX_PAUSE_SECS)
            copy = trial.folder / f"image-{number}"
            flushed = trial.page.flushed
            _take_snapshot(image, copy, device)
            snapshots.append((copy, flushed, trial.page.acknowledged(0)))
        assert trial.page.phase < LOGGED, "the recorder finished before the last snapshot"
        assert child.kill()
    for copy, flushed, logged in snapshots:
        _check(trial, copy, workload, flushed, logged)


def _check(trial: Trial, image: Path, workload: Workload, flushed: int, logged: int) -> None:
    expectation = Expectation(acknowledged=flushed)
    # A call may have been running when the count was read.
    for index, (name, step, value) in zip(range(logged + 8), workload.points(0), strict=False):
        expectation.values[name, step] = [value] if index < flushed else [None, value]
    run = image.with_name(f"{image.name}-run")
    with _mount(image, image.with_name(f"{image.name}-mounted")) as _:
        mounted = image.with_name(f"{image.name}-mounted") / "run"
        if mounted.exists():
            shutil.copytree(mounted, run)
    image.unlink()
    trial.outcome.faults += 1
    trial.outcome.checked += flushed
    check_after_power_loss(trial, run, workload, expectation)


def _take_snapshot(image: Path, copy: Path, device: str) -> None:
    """Copy the image; repeat if the device was written to during the copy, so that the copy is one point in time."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        before = _writes(device)
        if before is None:
            continue
        _run("cp", "--sparse=always", str(image), str(copy))
        if _writes(device) == before:
            return
    raise Hang("the device was never idle long enough for a copy")


def _writes(device: str) -> int | None:
    """Count the completed writes of the device; None while a write is in flight."""
    fields = (Path("/sys/block") / Path(device).name / "stat").read_text("ascii").split()
    return None if int(fields[8]) else int(fields[4])


@contextlib.contextmanager
def _mount(image: Path, folder: Path) -> Iterator[str]:
    """Mount the image; yield its loop device."""
    folder.mkdir()
    device = subprocess.run(
        ["losetup", "--find", "--show", str(image)], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        # Write back after one second instead of five, so that the snapshots differ.
        _run("mount", "-o", "commit=1", device, str(folder))
        try:
            yield device
        finally:
            _run("umount", "--lazy", str(folder))
    finally:
        _run("losetup", "--detach", device)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
