"""What is told of a copy."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Damage", "LeftOut", "Synced"]


@dataclass(frozen=True)
class LeftOut:
    """Something that belongs to a run and is not in its copy.

    Attributes:
        name: The file or directory, below the run's directory.
        reason: Why, and what to do.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Damage:
    """A file of a copy that is not as it was copied.

    Attributes:
        name: The file, below the run's directory.
        reason: What is wrong with it.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Synced:
    """What was done, or with `is_dry_run` would be done, to bring a copy up to date.

    Attributes:
        name: Where the copy lies below the destination.
        status: As `Run.status`, before anything was copied.
        is_live: Whether the run was being recorded then: if so, there will be more to copy.
        copied: The files that were copied and their sizes in bytes, by their names below the run's directory.
        num_unchanged: How many files were there already.
        removed: Parts that were removed from the copy, because the run has merged them into others.
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
        """The bytes of the files that were copied."""
        return sum(self.copied.values())
