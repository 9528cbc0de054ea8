"""The results of `sync_run` and `verify_run`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Damage", "LeftOut", "SyncResult"]


@dataclass(frozen=True)
class LeftOut:
    """A file or directory of a run that is not in its copy.

    Attributes:
        name: Its path, relative to the run's directory.
        reason: Why, and what to do.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Damage:
    """A missing or changed file of a copy.

    Attributes:
        name: Its path, relative to the run's directory.
        reason: What is wrong with it.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class SyncResult:
    """The changes that a sync made, or would make in a dry run.

    Attributes:
        name: The path of the copy, relative to the destination.
        status: `Run.status` before the sync.
        is_live: Whether the run was being recorded, so that a later sync will have more to copy.
        copied: The sizes in bytes of the copied files, by path relative to the run's directory.
        num_unchanged: The number of files that were already up to date.
        removed: Parts removed from the copy because the run merged them into others.
        left_out: What is missing from the copy, and why.
    """

    name: str
    status: str
    is_live: bool
    copied: dict[str, int]
    num_unchanged: int
    removed: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def num_bytes(self) -> int:
        """Total size of the copied files."""
        return sum(self.copied.values())
