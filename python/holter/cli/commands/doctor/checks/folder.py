"""The disk that runs lie on: its space, its kind, and whether it can be written to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from holter.cli.commands.doctor.checks.finding import Finding, Severity
from holter.cli.text import bytes_text

__all__ = ["check_folder", "may"]

SCARCE_BYTES = 1_000_000_000
FULL_BYTES = 50_000_000
REMOTE_KINDS = ("nfs", "cifs", "smb", "lustre", "gpfs", "afs", "ceph", "fuse", "9p", "beegfs", "wekafs", "panfs")
MOUNTS = Path("/proc/self/mountinfo")


def check_folder(path: Path) -> list[Finding]:
    """Look at the disk under a directory that exists; nothing is found of one that does not."""
    if not path.is_dir():
        return []
    return [_space(path), *_kind(path), *_writable(path)]


def may(path: Path, mode: int) -> bool:
    """Whether this process may read, write or pass through what is at a path; what is not there, it may."""
    return not path.exists() or os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _space(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    text = f"{bytes_text(free)} free on the disk of {path}"
    if free < FULL_BYTES:
        way_out = "make room: when the disk is full the training goes on, and points beyond a million are dropped"
        return Finding("space", Severity.PROBLEM, text, way_out)
    if free < SCARCE_BYTES:
        return Finding("space", Severity.WARNING, text, "make room: a point takes about 30 bytes")
    return Finding("space", Severity.OK, text)


def _kind(path: Path) -> list[Finding]:
    kind = _file_system(path)
    if kind is None:
        return []
    if kind.startswith(REMOTE_KINDS):
        text = f"{path} is on {kind}, which other machines may see: the journal of a run lies in a local directory"
        way_out = "after a crash, recover or resume the run on the machine that recorded it: only there is its journal"
        return [Finding("file-system", Severity.NOTE, text, way_out)]
    return [Finding("file-system", Severity.OK, f"{path} is on {kind}")]


def _file_system(path: Path) -> str | None:
    """The kind of the file system at a path, from Linux's table of mounts; None where there is no such table."""
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    resolved, found = path.resolve(), None
    longest = -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        mount = Path(fields[4].encode().decode("unicode_escape"))  # a space in it stands there as \040
        if resolved.is_relative_to(mount) and len(mount.parts) >= longest:
            longest, found = len(mount.parts), after.split(" ")[0]
    return found


def _writable(path: Path) -> list[Finding]:
    if may(path, os.W_OK | os.X_OK):
        return []
    text = f"you may not write to {path}: its runs can be read, but no run begun, resumed or recovered there"
    return [Finding("permissions", Severity.NOTE, text, f"`ls -ld {path}` shows who may")]
