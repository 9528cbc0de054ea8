"""`holter doctor`: what is wrong with runs, how bad it is, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holter.cli.commands.doctor.checks import Finding, Severity
from holter.cli.commands.doctor.checks.environment import check_environment
from holter.cli.commands.doctor.checks.folder import check_folder
from holter.cli.commands.doctor.checks.run import check_run
from holter.cli.output import echo, echo_json, is_terminal, terminal_console
from holter.cli.problems import FAILED
from holter.cli.runs import RUN, default_folder, list_folder, locate, missing
from holter.cli.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["doctor"]

STYLES = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.PROBLEM: "bold red"}
INDENT = 11


@click.command()
@click.argument("target", required=False, metavar="[RUN|RUNS]", type=RUN)
@click.option("--verbose", "-v", is_flag=True, help="Of a folder of runs, also say what is in order.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(target: str | None, *, verbose: bool, as_json: bool) -> None:
    """Find out what is wrong with a RUN or with all RUNS of a folder, and say what to do.

    Looked at are: whether the run can be read and by this version, whether its status fits what its processes do,
    points that were dropped, series with a NaN or an infinity, whether its Parquet files hold what its database
    holds (with pyarrow), what a crash left behind, permissions, space and kind of the disk, and what is installed here.

    Each finding is `ok`, a `note`, a `warning` (look at it) or a `problem` (points are missing, or something cannot be
    read or written). The exit status is 1 if there is a problem. Nothing is changed.

    \b
    Examples:
      holter doctor                         all runs in ./runs
      holter doctor run-2                   everything about one run
      holter doctor runs --json | jq '.findings[] | select(.severity == "problem")'
    """
    path = locate(target) if target is not None else default_folder()
    is_run = path.is_dir() and (path / "run.json").exists()
    if target is not None and not path.is_dir():
        raise missing(target)
    findings = [*check_environment(), *check_folder(path), *(check_run(path) if is_run else _check_all(path))]
    problems = sum(finding.severity is Severity.PROBLEM for finding in findings)
    if as_json:
        echo_json({"path": str(path), "num_problems": problems, "findings": [one.to_json() for one in findings]})
    else:
        shown = [one for one in findings if is_run or verbose or one.severity is not Severity.OK or not one.run]
        _echo(shown)
        echo()
        echo(_verdict(findings))
    if problems:
        raise click.exceptions.Exit(FAILED)


def _check_all(folder: Path) -> list[Finding]:
    listing = list_folder(folder)
    paths = sorted({run.path for run in listing.runs} | {problem.path for problem in listing.problems})
    if not paths:
        way_out = "`holter demo` records a first run; if there should be some, is this the folder they are in?"
        return [Finding("runs", Severity.NOTE, f"{folder} holds no runs", way_out)]
    return [finding for path in paths for finding in check_run(path)]


def _echo(findings: Iterable[Finding]) -> None:
    run = ""
    echo("here")
    for finding in findings:
        if finding.run != run:
            run = finding.run
            echo()
            echo(visible(run))
        _echo_finding(finding)


def _echo_finding(finding: Finding) -> None:
    severity = f"  {finding.severity.value:<7}"
    lines = [visible(line) for line in (finding.text, finding.way_out) if line]
    for number, line in enumerate(lines):
        lead = severity if number == 0 else " " * len(severity)
        if not is_terminal():
            echo(f"{lead}  {line}")
            continue
        from rich.text import Text

        terminal_console().print(Text.assemble((lead, STYLES[finding.severity]), "  ", line), soft_wrap=True)


def _verdict(findings: list[Finding]) -> str:
    counts = {severity: sum(finding.severity is severity for finding in findings) for severity in Severity}
    runs = len({finding.run for finding in findings if finding.run})
    looked = f"{runs} run{'' if runs == 1 else 's'} looked at"
    if not counts[Severity.PROBLEM] and not counts[Severity.WARNING]:
        return f"{looked}: all in order"
    return f"{looked}: problems {counts[Severity.PROBLEM]}, warnings {counts[Severity.WARNING]}"
