"""One pass of `holter sync`: select the runs, update and verify the copy of each, and report the result."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

import holter
from holter._text import counted, visible
from holter.cli.output import echo, echo_error
from holter.cli.problems import Problem, error_text
from holter.cli.progress import byte_bar
from holter.cli.runs import list_folder, locate, open_run
from holter.cli.text import bytes_text, count_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from holter.cli.runs import Unreadable
    from holter.syncing import Damage, Destination, SyncResult

__all__ = ["Options", "Pass", "open_destination", "selected_runs"]


@dataclass(frozen=True)
class Options:
    """Options of the command line.

    Attributes:
        url: The folder for the copies.
        name: The path of the copy below the URL; None for the name of the run's directory.
        is_dry_run: Whether to write nothing.
        is_verified: Whether to read the copies back.
        as_json: Whether to print JSON only.
    """

    url: str
    name: str | None
    is_dry_run: bool
    is_verified: bool
    as_json: bool


@dataclass
class Pass:
    """The result of one pass, as JSON.

    Attributes:
        runs: The result for each run.
        problems: Failures, and files that are missing from a copy.
        is_live: Whether any run was being recorded.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    is_live: bool = False

    def sync(self, run: holter.Run, name: str, destination: Destination, options: Options) -> None:
        """Update the copy of one run. A failure is reported and does not affect other runs."""
        self.is_live |= run.is_live
        try:
            self._sync(run.path, name, destination, options)
        except (OSError, ValueError, holter.HolterError) as error:
            self.add_problem(run.path, error_text(error))

    def add_problem(self, path: Path, reason: str) -> None:
        """Report a failure."""
        self.problems.append({"path": str(path), "reason": reason})
        echo_error(f"Error: {path}: {reason}")

    def to_json(self, url: str, options: Options) -> dict[str, Any]:
        """Return the JSON document."""
        return {"url": url, "is_dry_run": options.is_dry_run, "runs": self.runs, "problems": self.problems}

    def _sync(self, path: Path, name: str, destination: Destination, options: Options) -> None:
        from holter.syncing import sync_run

        with _bar(name) as progress:
            synced = sync_run(path, destination, name=name, is_dry_run=options.is_dry_run, on_progress=progress)
        result = _run_json(path, synced)
        self.runs.append(result)
        if not options.as_json:
            _echo_result(synced, options)
        if options.is_verified:
            self._verify(path, name, destination, options, result)
        for skipped in synced.left_out:
            self.add_problem(path, f"{skipped.name} was not copied: {skipped.reason}")
        if synced.status == "crashed":
            echo_error(f"{path} crashed: `holter recover {path}` moves its newest points into its Parquet parts")

    def _verify(
        self, path: Path, name: str, destination: Destination, options: Options, result: dict[str, Any]
    ) -> None:
        """Read the copy back. Damaged files are reported, and copied again unless this is a dry run."""
        from holter.syncing import sync_run, verify_run

        def verify() -> tuple[int, list[Damage]]:
            with _bar(f"{name}, verifying") as progress:
                return verify_run(path, destination, name=name, on_progress=progress)

        num_files, damaged = verify()
        result["num_verified"] = num_files
        result["damaged"] = [{"name": file.name, "reason": file.reason} for file in damaged]
        for file in damaged:
            self.add_problem(path, f"{file.name} is damaged in the copy: {file.reason}")
        if damaged and not options.is_dry_run:
            damaged_names = {file.name for file in damaged}
            with _bar(name) as progress:
                synced = sync_run(path, destination, name=name, recopy=damaged_names, on_progress=progress)
            result["copied"] = sorted({*result["copied"], *synced.copied})
            result["num_bytes"] += synced.num_bytes
            repaired = damaged_names - {file.name for file in verify()[1]}
            result["repaired"] = sorted(repaired)
            if not options.as_json:
                echo(visible(f"{name}: repaired {len(repaired)} of {counted(len(damaged_names), 'damaged file')}"))
        elif not damaged and not options.as_json:
            echo(visible(f"{name}: {counted(num_files, 'file')} verified"))


def selected_runs(texts: Sequence[str], name: str | None) -> tuple[dict[str, holter.Run], list[Unreadable]]:
    """Return the runs of the arguments by the names of their copies, and the directories that cannot be read.

    The copy of a run is named after its directory, the copies of a folder's runs after their relative paths.

    Raises:
        Problem: If there is no run, or two would be copied to the same name.
    """
    found: dict[str, holter.Run] = {}
    unreadable: list[Unreadable] = []
    for text in texts:
        for own_name, run in _runs_of(text, unreadable).items():
            other = found.setdefault(name or own_name, run)
            if _absolute(other) != _absolute(run):
                hint = "--name is for one run" if name else "copy them to different URLs, or one of them with --name"
                raise Problem(f"{other.path} and {run.path} would both be copied to {name or own_name}", hint)
    return found, unreadable


def _runs_of(text: str, unreadable: list[Unreadable]) -> dict[str, holter.Run]:
    if "://" in text:
        raise click.UsageError("expected local runs first and the URL last")
    try:
        run = open_run(text)
    except Problem:
        folder = locate(text)
        listing = list_folder(folder) if folder.is_dir() else None
        if listing is None or not listing.runs:
            raise
        unreadable += listing.problems
        return {listing.name_of(run): run for run in listing.runs}
    return {os.path.basename(_absolute(run)): run}  # noqa: PTH119 - a str


def _absolute(run: holter.Run) -> str:
    """The run's path without `..`, which is not a valid name, and with symlinks unresolved."""
    return os.path.abspath(run.path)  # noqa: PTH100 - pathlib keeps `..` or resolves symlinks


def open_destination(url: str) -> Destination:
    """Open the folder for the copies.

    Raises:
        Problem: If it cannot be reached, or a package is missing.
    """
    from holter.syncing import Destination

    try:
        return Destination(url)
    except (ImportError, OSError, ValueError) as error:
        raise Problem(error_text(error)) from None


@contextlib.contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Yield `on_progress(num_bytes_done, num_bytes)`, which draws a bar from its first call on."""
    with contextlib.ExitStack() as stack:
        bars: list[Callable[[int], None]] = []

        def on_progress(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(byte_bar(name, total)))
            bars[0](done)

        yield on_progress


def _run_json(path: Path, synced: SyncResult) -> dict[str, Any]:
    return {
        "path": str(path),
        "name": synced.name,
        "status": synced.status,
        "is_live": synced.is_live,
        "copied": sorted(synced.copied),
        "num_bytes": synced.num_bytes,
        "num_unchanged": synced.num_unchanged,
        "removed": list(synced.removed),
        "skipped": [{"name": file.name, "reason": file.reason} for file in synced.left_out],
    }


def _echo_result(synced: SyncResult, options: Options) -> None:
    if not synced.copied and not synced.removed:
        echo(visible(f"{synced.name}: up to date, {counted(synced.num_unchanged, 'file')}"))
        return
    would = "would be " if options.is_dry_run else ""
    size = f", {bytes_text(synced.num_bytes)}" if synced.copied else ""
    copied = f"{counted(len(synced.copied), 'file')}{size} {would}copied"
    removed = f", {count_text(len(synced.removed))} {would}removed" if synced.removed else ""
    echo(visible(f"{synced.name}: {copied}, {count_text(synced.num_unchanged)} unchanged{removed}"))
    if options.is_dry_run:
        for name, num_bytes in synced.copied.items():
            echo(visible(f"  {name}  {bytes_text(num_bytes)}"))
