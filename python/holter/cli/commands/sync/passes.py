"""One pass of `holter sync`: which runs are meant, each brought up to date and read back, and what is told of it."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

import holter
from holter.cli.output import echo, echo_error
from holter.cli.problems import Problem, failure
from holter.cli.progress import byte_bar
from holter.cli.runs import list_folder, locate, open_run
from holter.cli.text import bytes_text, count_text, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from holter.cli.runs import Unreadable
    from holter.syncing import Damage, Destination, Synced

__all__ = ["Options", "Pass", "chosen_runs", "open_destination"]


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        url: Where copies go.
        name: Where the copy of a single run goes there; None for what its directory is called.
        is_dry_run: Whether nothing is to be written.
        is_verified: Whether the copies are to be read back.
        as_json: Whether nothing is to be told but JSON.
    """

    url: str
    name: str | None
    is_dry_run: bool
    is_verified: bool
    as_json: bool


@dataclass
class Pass:
    """What one pass did, as the JSON says it.

    Attributes:
        runs: What was done for each run.
        problems: What could not be done, or is missing from a copy.
        is_live: Whether any of the runs was being recorded.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    is_live: bool = False

    def sync(self, run: holter.Run, name: str, destination: Destination, options: Options) -> None:
        """Bring the copy of one run up to date; what goes wrong is told, and keeps no other from being copied."""
        self.is_live |= run.is_live
        try:
            self._sync(run.path, name, destination, options)
        except (OSError, ValueError, holter.HolterError) as error:
            self.problem(run.path, failure(error))

    def problem(self, path: Path, reason: str) -> None:
        """Note and tell something that went wrong."""
        self.problems.append({"path": str(path), "reason": reason})
        echo_error(f"Error: {path}: {reason}")

    def to_json(self, url: str, options: Options) -> dict[str, Any]:
        """Return the document for scripts."""
        return {"url": url, "is_dry_run": options.is_dry_run, "runs": self.runs, "problems": self.problems}

    def _sync(self, path: Path, name: str, destination: Destination, options: Options) -> None:
        from holter.syncing import sync_run

        with _bar(name) as progress:
            synced = sync_run(path, destination, name=name, is_dry_run=options.is_dry_run, progress=progress)
        facts = _facts(path, synced)
        self.runs.append(facts)
        if not options.as_json:
            _tell(synced, options)
        if options.is_verified:
            self._verify(path, name, destination, options, facts)
        for one in synced.left_out:
            self.problem(path, f"{one.name} is not copied: {one.reason}")
        if synced.status == "crashed":
            echo_error(f"{path} has crashed: `holter recover {path}` brings its newest points into its parts")

    def _verify(self, path: Path, name: str, destination: Destination, options: Options, facts: dict[str, Any]) -> None:
        """Read the copy back; what is damaged is told, and copied again unless nothing is to be written."""
        from holter.syncing import sync_run, verify_run

        def look() -> tuple[int, list[Damage]]:
            with _bar(f"{name}, read back") as progress:
                return verify_run(path, destination, name=name, progress=progress)

        num_files, damaged = look()
        facts["num_verified"] = num_files
        facts["damaged"] = [{"name": one.name, "reason": one.reason} for one in damaged]
        for one in damaged:
            self.problem(path, f"{one.name} is damaged in the copy: {one.reason}")
        if damaged and not options.is_dry_run:
            again = {one.name for one in damaged}
            with _bar(name) as progress:
                mended = sync_run(path, destination, name=name, again=again, progress=progress)
            facts["copied"] = sorted({*facts["copied"], *mended.copied})
            facts["num_bytes"] += mended.num_bytes
            still = {one.name for one in look()[1]}
            facts["mended"] = sorted(again - still)
            if not options.as_json:
                echo(visible(f"{name}: {len(again - still)} of {len(again)} damaged files are whole again"))
        elif not damaged and not options.as_json:
            echo(visible(f"{name}: {_files(num_files)} read back, all as they were copied"))


def chosen_runs(texts: Sequence[str], name: str | None) -> tuple[dict[str, holter.Run], list[Unreadable]]:
    """Return the runs that the arguments name by where their copies go, and what looks like a run and cannot be read.

    The copy of a run goes where its directory's name says, and those of a folder's runs to where they lie in it.

    Raises:
        Problem: There is none, or two would go to the same place.
    """
    found: dict[str, holter.Run] = {}
    unreadable: list[Unreadable] = []
    for text in texts:
        for place, run in _runs_of(text, unreadable).items():
            other = found.setdefault(name or place, run)
            if _absolute(other) != _absolute(run):
                way_out = "--name is for one run" if name else "copy them to different URLs, or one of them with --name"
                raise Problem(f"{other.path} and {run.path} would both be copied to {name or place}", way_out)
    return found, unreadable


def _runs_of(text: str, unreadable: list[Unreadable]) -> dict[str, holter.Run]:
    if "://" in text:
        raise click.UsageError("what is copied comes first and lies on this machine; the URL comes last")
    try:
        run = open_run(text)
    except Problem:
        folder = locate(text)
        listing = list_folder(folder) if folder.is_dir() else None
        if listing is None or not listing.runs:
            raise
        unreadable += listing.problems
        return {listing.name_of(one): one for one in listing.runs}
    return {os.path.basename(_absolute(run)): run}  # noqa: PTH119 - a text by now


def _absolute(run: holter.Run) -> str:
    """The run's path without `..`, which would be no name, and with links as they are."""
    return os.path.abspath(run.path)  # noqa: PTH100 - pathlib keeps the `..`, or follows links


def open_destination(url: str) -> Destination:
    """Open where copies go.

    Raises:
        Problem: It cannot be reached, or what it takes is not installed.
    """
    from holter.syncing import Destination

    try:
        return Destination(url)
    except (ImportError, OSError, ValueError) as error:
        raise Problem(failure(error)) from None


@contextlib.contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function that takes the bytes done and to do, and draws them from its first call on."""
    with contextlib.ExitStack() as stack:
        bars: list[Callable[[int], None]] = []

        def progress(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(byte_bar(name, total)))
            bars[0](done)

        yield progress


def _facts(path: Path, synced: Synced) -> dict[str, Any]:
    return {
        "path": str(path),
        "name": synced.name,
        "status": synced.status,
        "is_live": synced.is_live,
        "copied": sorted(synced.copied),
        "num_bytes": synced.num_bytes,
        "num_unchanged": synced.num_unchanged,
        "removed": list(synced.removed),
        "left_out": [{"name": one.name, "reason": one.reason} for one in synced.left_out],
    }


def _tell(synced: Synced, options: Options) -> None:
    if not synced.copied and not synced.removed:
        echo(visible(f"{synced.name}: up to date, {_files(synced.num_unchanged)}"))
        return
    would = "would be " if options.is_dry_run else ""
    size = f", {bytes_text(synced.num_bytes)}" if synced.copied else ""
    told = (
        f"{synced.name}: {_files(len(synced.copied))}{size} {would}copied, {count_text(synced.num_unchanged)} unchanged"
    )
    echo(visible(f"{told}, {count_text(len(synced.removed))} {would}removed" if synced.removed else told))
    if options.is_dry_run:
        for name, num_bytes in synced.copied.items():
            echo(visible(f"  {name}  {bytes_text(num_bytes)}"))


def _files(count: int) -> str:
    return f"{count_text(count)} file{'' if count == 1 else 's'}"
