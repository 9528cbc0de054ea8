"""One run: can it be read, does its status fit, are all points there, what did a crash leave behind."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

import holter
from holter.cli.commands.doctor.checks.finding import Finding, Severity
from holter.cli.commands.doctor.checks.folder import may
from holter.cli.commands.doctor.checks.parts import check_parts
from holter.cli.facts import RunFacts, read_facts
from holter.cli.problems import failure
from holter.cli.text import age_text, count_text, duration_text

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_run"]

SILENT_SECS = 600
"""A live run from which nothing came for so long may hang."""
CLOCK_SECS = 300
NUM_NAMED = 8
MAX_LOG_BYTES = 256 << 20
"""What a write-ahead log does not grow to while it can be emptied; the writer's health says so from here on as well."""


def check_run(path: Path) -> list[Finding]:
    """Look at a run, all its ranks included."""
    try:
        run = holter.open_run(path)
        lowest, *others = [run.open_rank(rank) for rank in run.ranks]
        facts = read_facts(lowest)
    except holter.FormatVersionError as error:
        return [Finding("readable", Severity.PROBLEM, str(error), "pip install --upgrade holter", str(path))]
    except (OSError, holter.HolterError) as error:
        return [Finding("readable", Severity.PROBLEM, failure(error), _unreadable(path), str(path))]
    findings = [
        _readable(facts),
        _status(facts),
        *_attempts(facts),
        _dropped(facts),
        _nonfinite(facts),
        *_clock(facts),
        *_leftovers(facts),
        *_write_ahead_log(facts),
        *check_parts(facts),
        *_permissions(facts),
    ]
    located = [Finding(one.check, one.severity, one.text, one.way_out, str(lowest.path)) for one in findings]
    return located + [finding for rank in others for finding in check_run(rank.path)]


def _unreadable(path: Path) -> str:
    files = [path, *(path / name for name in ("run.json", "metrics.sqlite"))]
    closed = [file for file in files if not may(file, os.R_OK)]
    if closed:
        return f"you may not read {closed[0]}: `ls -l {closed[0]}` shows who may"
    return "copy it again from where it was recorded; its Parquet files may still be read by any Parquet reader"


def _readable(facts: RunFacts) -> Finding:
    version = facts.manifest.get("format_version")
    points = f"{count_text(facts.num_points)} points of {count_text(len(facts.series))} series"
    if not facts.series:
        return Finding("readable", Severity.NOTE, f"it can be read, format {version}, and has no points yet")
    return Finding("readable", Severity.OK, f"it can be read, format {version}: {points}")


def _status(facts: RunFacts) -> Finding:
    manifest_status = facts.manifest.get("status")
    if facts.is_live:
        return _liveness(facts)
    if manifest_status == "running":
        pid, host = facts.manifest.get("pid"), facts.manifest.get("host")
        text = f"it crashed: run.json says running, but process {pid} on {host} records no more"
        way_out = (
            f"nothing is lost: readers see every point. `holter recover {facts.run.path}` brings its files into order"
        )
        return Finding("status", Severity.WARNING, text, way_out)
    if facts.status == "crashed":
        way_out = "every point that was logged is there; a Logger on this directory goes on with it"
        return Finding("status", Severity.NOTE, "it crashed and has been brought into order", way_out)
    return Finding(
        "status", Severity.OK, f"it {facts.status}" if facts.status in ("finished", "failed") else facts.status
    )


def _liveness(facts: RunFacts) -> Finding:
    now = dt.datetime.now(dt.timezone.utc)
    newest = facts.last_point or facts.created
    silence = (now - newest).total_seconds()
    if silence > SILENT_SECS:
        text = f"it is being recorded, but the last point is {duration_text(silence)} old"
        way_out = (
            f"is process {facts.manifest.get('pid')} on {facts.manifest.get('host')} stuck, or in a long evaluation?"
        )
        return Finding("status", Severity.WARNING, text, way_out)
    return Finding("status", Severity.OK, f"it is being recorded; the last point came {age_text(newest, now)}")


def _attempts(facts: RunFacts) -> list[Finding]:
    crashed = sum(attempt.get("status") == "crashed" for attempt in facts.attempts)
    if len(facts.attempts) < 2:
        return []
    return [
        Finding("attempts", Severity.NOTE, f"it was resumed: {len(facts.attempts)} attempts, {crashed} of them crashed")
    ]


def _dropped(facts: RunFacts) -> Finding:
    if facts.dropped:
        text = f"{count_text(facts.dropped)} points were dropped: the disk could not take them"
        way_out = "they are gone; was the disk full or slow? overflow=BLOCK waits for the disk instead"
        return Finding("dropped", Severity.PROBLEM, text, way_out)
    so_far = ", as far as attempts have ended" if facts.is_live else ""
    return Finding("dropped", Severity.OK, f"no point was dropped{so_far}")


def _nonfinite(facts: RunFacts) -> Finding:
    bad = facts.nonfinite
    if not bad:
        return Finding("non-finite", Severity.OK, "every value is finite")
    named = ", ".join(f"{series.name} ({count_text(series.nonfinite_count)})" for series in bad[:NUM_NAMED])
    more = f" and {len(bad) - NUM_NAMED} more" if len(bad) > NUM_NAMED else ""
    text = f"{len(bad)} series have a NaN or an infinity: {named}{more}"
    way_out = f"`holter plot {facts.run.path} NAME` shows where it begins; the training made them, not the recording"
    return Finding("non-finite", Severity.WARNING, text, way_out)


def _clock(facts: RunFacts) -> list[Finding]:
    now = dt.datetime.now(dt.timezone.utc)
    if (facts.created - now).total_seconds() <= CLOCK_SECS:
        return []
    text = f"it was begun in the future, {facts.created:%Y-%m-%d %H:%M} UTC"
    return [Finding("clock", Severity.WARNING, text, "set the clock of the machine that records, or of this one")]


def _leftovers(facts: RunFacts) -> list[Finding]:
    """What only a writing process should have about: unfinished files, and the journal."""
    if facts.is_live:
        return []
    path = facts.run.path
    findings = []
    unfinished = [*path.glob("*.tmp"), *(path / "parquet").glob("*.tmp")]
    if unfinished:
        text = (
            f"{len(unfinished)} unfinished files of a process that is gone: {', '.join(one.name for one in unfinished)}"
        )
        way_out = (
            "every reader ignores them, and the next Logger or `holter recover` writes over them; they may be deleted"
        )
        findings.append(Finding("unfinished", Severity.NOTE, text, way_out))
    journal = path / "journal.holter"
    if journal.exists():
        text = f"a journal was left behind ({journal.name}): points are in it that the other files lack"
        way_out = f"`holter recover {path}` moves them; Holter's own readers see them already, others do not"
        findings.append(Finding("journal", Severity.WARNING, text, way_out))
    note = facts.manifest.get("journal_note")
    elsewhere = facts.manifest.get("journal")
    if isinstance(note, str) and facts.manifest.get("status") == "running":
        text = f"its journal is elsewhere ({elsewhere}): {note}"
        way_out = f"run `holter recover {path}` on {facts.manifest.get('host')}, where the journal is"
        findings.append(Finding("journal", Severity.WARNING, text, way_out))
    damaged = sorted(path.glob("journal*.damaged"))
    if damaged:
        text = f"a damaged journal was put aside: {damaged[0].name}; points that only it had are missing"
        findings.append(
            Finding("journal", Severity.PROBLEM, text, "keep the file; docs/on-disk-format.md tells how to read it")
        )
    return findings


def _write_ahead_log(facts: RunFacts) -> list[Finding]:
    """A log that is not emptied any more: who reads in one transaction for long keeps it from that."""
    path = facts.run.path / "metrics.sqlite-wal"
    size = path.stat().st_size if path.exists() else 0
    if size <= MAX_LOG_BYTES:
        return []
    text = f"the database's write-ahead log has grown to {size >> 20} MB: a reader keeps a transaction open"
    way_out = f"end the program that reads it, and it will be emptied (`fuser {path}` names who has it open)"
    return [Finding("log", Severity.WARNING, text, way_out)]


def _permissions(facts: RunFacts) -> list[Finding]:
    path = facts.run.path
    closed = [one for one in (path, *sorted(path.iterdir())) if not may(one, os.R_OK)]
    if closed:
        text = f"you may not read {', '.join(one.name for one in closed)}"
        return [Finding("permissions", Severity.PROBLEM, text, f"`ls -l {path}` shows who may")]
    return []
