"""The power is lost under a real file system: the block device as it is at one moment, while a recorder runs.

A run is recorded on ext4 with its journal in an image behind a loop device. The image is copied while the recorder
logs and flushes; the copy is what the disk would hold had the power been lost then: it is mounted, which replays
ext4's journal, and the run in it is judged. Unlike in the model, when what is written back is the kernel's own doing.
"""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from expected_points import Expectation
from recording_child import LOGGED, LOGGING, Orders
from tests.faults import stages
from tests.faults.case import Case, Hang, Unavailable, tries
from tests.faults.cases.power import judge_after_power_loss
from tests.faults.trial import Try

IMAGE_BYTES = 48 << 20
SNAPSHOTS = 6
LONGEST_SECS = 0.15
"""Between two snapshots."""


def cases() -> Iterator[Case]:
    """One case: a try is one recording, of which several snapshots are taken."""
    yield Case(
        "power/ext4",
        "loss of power under a real ext4: snapshots of the block device",
        _lose_power,
        tries(full=40, quick=3, small=1),
        can_be_made=_can_be_made,
    )


def _can_be_made() -> None:
    if os.geteuid():
        raise Unavailable("only root may mount a file system")
    for program in ("losetup", "mkfs.ext4", "mount", "umount"):
        if shutil.which(program) is None:
            raise Unavailable(f"there is no {program}")
    done = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"there is no loop device: {done.stderr.strip()}")


def _lose_power(trial: Try) -> None:
    image, mounted = trial.folder / "image", trial.folder / "mounted"
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    _run("mkfs.ext4", "-q", "-J", "size=4", "-E", "lazy_itable_init=0", str(image))
    orders = Orders(
        0,
        steps=100_000,
        flush_every=trial.random.randint(5, 50),
        pause_every=1,
        sinks=trial.random.choice(stages.SINKS),
        journal_points=1 << 14,
    )
    with _mount(image, mounted) as device:
        child = trial.record(mounted / "run", orders)
        trial.await_phase(child, LOGGING)
        snapshots = []
        for number in range(SNAPSHOTS):
            trial.pause(LONGEST_SECS)
            copy = trial.folder / f"image-{number}"
            flushed = trial.page.flushed
            _copy_at_one_moment(image, copy, device)
            snapshots.append((copy, flushed, trial.page.acknowledged(0)))
        assert trial.page.phase < LOGGED, "the recorder has ended before it was looked at"
        assert child.kill()
    for copy, flushed, logged in snapshots:
        _judge(trial, copy, orders, flushed, logged)


def _judge(trial: Try, image: Path, orders: Orders, flushed: int, logged: int) -> None:
    expectation = Expectation(acknowledged=flushed)
    # A call may have been under way when the count was read.
    for index, (name, step, value) in zip(range(logged + 8), orders.points(0), strict=False):
        expectation.values[name, step] = [value] if index < flushed else [None, value]
    run = image.with_name(f"{image.name}-run")
    with _mount(image, image.with_name(f"{image.name}-mounted")) as _:
        mounted = image.with_name(f"{image.name}-mounted") / "run"
        if mounted.exists():
            shutil.copytree(mounted, run)
    image.unlink()
    trial.outcome.faults += 1
    trial.outcome.checked += flushed
    judge_after_power_loss(trial, run, orders, expectation)


def _copy_at_one_moment(image: Path, copy: Path, device: str) -> None:
    """Copy the image, and again if the device was written to meanwhile: a disk is lost at one moment, not over time."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        before = _writes(device)
        if before is None:
            continue
        _run("cp", "--sparse=always", str(image), str(copy))
        if _writes(device) == before:
            return
    raise Hang("the device was never quiet for long enough to be copied")


def _writes(device: str) -> int | None:
    """How many writes the device has done; `None` while one is under way."""
    fields = (Path("/sys/block") / Path(device).name / "stat").read_text("ascii").split()
    return None if int(fields[8]) else int(fields[4])


@contextlib.contextmanager
def _mount(image: Path, folder: Path) -> Iterator[str]:
    """The image as a file system; gives its device."""
    folder.mkdir()
    device = subprocess.run(
        ["losetup", "--find", "--show", str(image)], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        # Written back after a second instead of five, so that there is something to see.
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
