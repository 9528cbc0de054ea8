"""The disk of a folder: free space, file system, and write permission."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from holter.cli.commands.doctor.checks.finding import Finding, Severity
from holter.cli.text import bytes_text

__all__ = ["check_folder", "has_access"]

SCARCE_BYTES = 1_000_000_000
FULL_BYTES = 50_000_000
REMOTE_KINDS = ("nfs", "cifs", "smb", "lustre", "gpfs", "afs", "ceph", "fuse", "9p", "beegfs", "wekafs", "panfs")
MOUNTS = Path("/proc/self/mountinfo")


def check_folder(path: Path) -> list[Finding]:
    """Check the disk of a directory; no findings if the directory does not exist."""
    if not path.is_dir():
        return []
    return [_space(path), *_kind(path), *_writable(path)]


def has_access(path: Path, mode: int) -> bool:
    """Return whether this process may read, write or traverse a path; true if the path does not exist."""
    return not path.exists() or os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _space(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    text = f"{bytes_text(free)} free on the disk of {path}"
    if free < FULL_BYTES:
        hint = "free some space: on a full disk the training continues, but points beyond a million are dropped"
        return Finding("space", Severity.PROBLEM, text, hint)
    if free < SCARCE_BYTES:
        return Finding("space", Severity.WARNING, text, "free some space: a point takes about 30 bytes")
    return Finding("space", Severity.OK, text)


def _kind(path: Path) -> list[Finding]:
    kind = _file_system(path)
    if kind is None:
        return []
    if kind.startswith(REMOTE_KINDS):
        text = f"{path} is on {kind}, a network file system: journals are kept in a local directory"
        hint = "after a crash, recover or resume a run on the machine that recorded it: its journal exists only there"
        return [Finding("file-system", Severity.NOTE, text, hint)]
    return [Finding("file-system", Severity.OK, f"{path} is on {kind}")]


def _file_system(path: Path) -> str | None:
    """The kind of the file system at a path, from Linux's mount table; None without such a table."""
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
        mount = Path(fields[4].encode().decode("unicode_escape"))  # the table writes a space as \040
        if resolved.is_relative_to(mount) and len(mount.parts) >= longest:
            longest, found = len(mount.parts), after.split(" ")[0]
    return found


def _writable(path: Path) -> list[Finding]:
    if has_access(path, os.W_OK | os.X_OK):
        return []
    text = f"no write permission for {path}: runs can be read, but not recorded, resumed or recovered"
    return [Finding("permissions", Severity.NOTE, text, f"`ls -ld {path}` shows the permissions")]
