"""A run: whether it can be read, its status, missing points, and files that a crash left behind."""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import holter
from holter._summary import RunSummary, summarize
from holter._text import counted, duration_text
from holter.cli.commands.doctor.checks.finding import Finding, Severity
from holter.cli.commands.doctor.checks.folder import has_access
from holter.cli.commands.doctor.checks.parts import check_parts
from holter.cli.problems import error_text
from holter.cli.text import age_text, count_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_run"]

MAX_SILENCE_SECS = 600
"""A live run without points for this long may hang."""
CLOCK_SECS = 300
MAX_LISTED = 8
MAX_LOG_BYTES = 256 << 20
"""The write-ahead log stays smaller while it can be truncated; the writer's health warns from here on as well."""


def check_run(path: Path) -> list[Finding]:
    """Check a run and all its ranks."""
    try:
        run = holter.open_run(path)
        lowest, *others = [run.open_rank(rank) for rank in run.ranks]
        summary = summarize(lowest)
    except holter.FormatVersionError as error:
        return [Finding("readable", Severity.PROBLEM, str(error), "pip install --upgrade holter", str(path))]
    except (OSError, holter.HolterError) as error:
        return [Finding("readable", Severity.PROBLEM, error_text(error), _unreadable_hint(path), str(path))]
    findings = [
        _readable(summary),
        _status(summary),
        *_attempts(summary),
        _dropped(summary),
        _nonfinite(summary),
        *_clock(summary),
        *_leftovers(summary),
        *_write_ahead_log(summary),
        *check_parts(summary),
        *_permissions(summary),
    ]
    located = [replace(finding, run=str(lowest.path)) for finding in findings]
    return located + [finding for rank in others for finding in check_run(rank.path)]


def _unreadable_hint(path: Path) -> str:
    files = [path, *(path / name for name in ("run.json", "metrics.sqlite"))]
    closed = [file for file in files if not has_access(file, os.R_OK)]
    if closed:
        return f"no permission to read {closed[0]}: `ls -l {closed[0]}` shows the permissions"
    return "copy it again from the machine that recorded it; Parquet readers may still read its Parquet files"


def _readable(summary: RunSummary) -> Finding:
    version = summary.manifest.get("format_version")
    if not summary.series:
        return Finding("readable", Severity.NOTE, f"readable, format {version}, without points so far")
    points = f"{counted(summary.num_points, 'point')} in {counted(len(summary.series), 'series', 'series')}"
    return Finding("readable", Severity.OK, f"readable, format {version}: {points}")


def _process(summary: RunSummary) -> str:
    return f"process {'?' if summary.pid is None else summary.pid} on {summary.host or 'an unknown host'}"


def _status(summary: RunSummary) -> Finding:
    if summary.is_live:
        return _liveness(summary)
    if summary.manifest.get("status") == "running":
        text = f"crashed: the status in run.json is running, but {_process(summary)} no longer records"
        hint = f"no point is lost: readers include the journal. `holter recover {summary.run.path}` completes the files"
        return Finding("status", Severity.WARNING, text, hint)
    if summary.status == "crashed":
        hint = "no logged point is missing; a Logger on this directory resumes the run"
        return Finding("status", Severity.NOTE, "crashed and recovered", hint)
    if summary.status == "interrupted":
        return Finding("status", Severity.NOTE, "interrupted by a signal", "a Logger on this directory resumes the run")
    return Finding("status", Severity.OK, summary.status)


def _liveness(summary: RunSummary) -> Finding:
    now = dt.datetime.now(dt.timezone.utc)
    newest = summary.last_logged or summary.created
    silence = (now - newest).total_seconds()
    if silence > MAX_SILENCE_SECS:
        text = f"recording, but the last point is {duration_text(silence)} old"
        hint = f"check whether {_process(summary)} is stuck, or in a long evaluation"
        return Finding("status", Severity.WARNING, text, hint)
    return Finding("status", Severity.OK, f"recording; the last point was logged {age_text(newest, now)}")


def _attempts(summary: RunSummary) -> list[Finding]:
    if len(summary.attempts) < 2:
        return []
    crashed = sum(attempt.status == "crashed" for attempt in summary.attempts)
    return [
        Finding("attempts", Severity.NOTE, f"resumed: {len(summary.attempts)} attempts, of which {crashed} crashed")
    ]


def _dropped(summary: RunSummary) -> Finding:
    if summary.dropped:
        text = f"{counted(summary.dropped, 'point')} dropped: the disk was full or too slow"
        hint = "they cannot be recovered; pass overflow=BLOCK to wait for the disk instead of dropping points"
        return Finding("dropped", Severity.PROBLEM, text, hint)
    so_far = " in earlier attempts" if summary.is_live else ""
    return Finding("dropped", Severity.OK, f"no points dropped{so_far}")


def _nonfinite(summary: RunSummary) -> Finding:
    bad = summary.nonfinite
    if not bad:
        return Finding("non-finite", Severity.OK, "all values are finite")
    listed = ", ".join(f"{series.name} ({count_text(series.nonfinite_count)})" for series in bad[:MAX_LISTED])
    more = f" and {len(bad) - MAX_LISTED} more" if len(bad) > MAX_LISTED else ""
    text = f"{counted(len(bad), 'series', 'series')} with NaN or infinite values: {listed}{more}"
    hint = f"the training logged them; `holter plot {summary.run.path} NAME` shows where they start"
    return Finding("non-finite", Severity.WARNING, text, hint)


def _clock(summary: RunSummary) -> list[Finding]:
    now = dt.datetime.now(dt.timezone.utc)
    if (summary.created - now).total_seconds() <= CLOCK_SECS:
        return []
    text = f"the start of the run is in the future: {summary.created:%Y-%m-%d %H:%M} UTC"
    return [Finding("clock", Severity.WARNING, text, "set the clock of the recording machine, or of this one")]


def _leftovers(summary: RunSummary) -> list[Finding]:
    """Files that only a recording process should have: unfinished files and the journal."""
    if summary.is_live:
        return []
    path = summary.run.path
    findings = []
    unfinished = [*path.glob("*.tmp"), *(path / "parquet").glob("*.tmp")]
    if unfinished:
        names = ", ".join(file.name for file in unfinished)
        text = f"{counted(len(unfinished), 'unfinished file')} of a process that ended: {names}"
        hint = "readers ignore them; delete them, or let `holter recover` or the next Logger replace them"
        findings.append(Finding("unfinished", Severity.NOTE, text, hint))
    journal = path / "journal.holter"
    if journal.exists():
        text = f"a journal remains ({journal.name}) with points that the other files lack"
        hint = f"`holter recover {path}` moves them; Holter reads the journal, other programs do not"
        findings.append(Finding("journal", Severity.WARNING, text, hint))
    note = summary.manifest.get("journal_note")
    if isinstance(note, str) and summary.manifest.get("status") == "running":
        text = f"the journal is outside the run's directory, at {summary.manifest.get('journal')}: {note}"
        hint = f"run `holter recover {path}` on {summary.host or 'the machine that recorded it'}, where the journal is"
        findings.append(Finding("journal", Severity.WARNING, text, hint))
    damaged = sorted(path.glob("journal*.damaged"))
    if damaged:
        text = f"a damaged journal was set aside as {damaged[0].name}; points that only it had are missing"
        hint = "keep the file; docs/on-disk-format.md describes how to read it"
        findings.append(Finding("journal", Severity.PROBLEM, text, hint))
    return findings


def _write_ahead_log(summary: RunSummary) -> list[Finding]:
    """A log that is not truncated: a reader holds one transaction open for long."""
    path = summary.run.path / "metrics.sqlite-wal"
    size = path.stat().st_size if path.exists() else 0
    if size <= MAX_LOG_BYTES:
        return []
    text = f"the database's write-ahead log has grown to {size >> 20} MB: a reader keeps a transaction open"
    hint = f"end the program that reads the database, and the log is truncated (`fuser {path}` lists the programs)"
    return [Finding("log", Severity.WARNING, text, hint)]


def _permissions(summary: RunSummary) -> list[Finding]:
    path = summary.run.path
    closed = [file for file in (path, *sorted(path.iterdir())) if not has_access(file, os.R_OK)]
    if not closed:
        return []
    text = f"no permission to read {', '.join(file.name for file in closed)}"
    return [Finding("permissions", Severity.PROBLEM, text, f"`ls -l {path}` shows the permissions")]
