"""`holter doctor`: findings about runs, their severity, and hints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holter._text import counted, visible
from holter.cli.commands.doctor.checks import Finding, Severity
from holter.cli.commands.doctor.checks.environment import check_environment
from holter.cli.commands.doctor.checks.folder import check_folder
from holter.cli.commands.doctor.checks.run import check_run
from holter.cli.output import echo, echo_json, is_terminal, terminal_console
from holter.cli.problems import FAILED
from holter.cli.runs import RUN, default_folder, list_folder, locate, not_found

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["doctor"]

STYLES = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.PROBLEM: "bold red"}


@click.command()
@click.argument("target", required=False, metavar="[RUN|RUNS]", type=RUN)
@click.option("--verbose", "-v", is_flag=True, help="For a folder, also print the checks that are ok.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(target: str | None, *, verbose: bool, as_json: bool) -> None:
    """Diagnose problems with a RUN, or with all RUNS of a folder, and suggest fixes.

    Use it after a crash, when a run cannot be read, or before you archive runs. It checks whether a run is readable,
    its status, dropped points, series with NaN or infinite values, whether the Parquet files are complete (with
    pyarrow), leftovers of a crash, permissions, free space and file system, and the installed packages.

    The severity of a finding is `ok`, `note`, `warning` (needs attention) or `problem` (points are missing, or
    something cannot be read or written). The exit status is 1 if there is a problem. Nothing is changed.

    \b
    Examples:
      holter doctor                         check all runs in ./runs
      holter doctor run-2                   check one run
      holter doctor runs --json | jq '.findings[] | select(.severity == "problem")'
    """
    path = locate(target) if target is not None else default_folder()
    is_run = path.is_dir() and (path / "run.json").exists()
    if target is not None and not path.is_dir():
        raise not_found(target)
    findings = [*check_environment(), *check_folder(path), *(check_run(path) if is_run else _check_all(path))]
    problems = sum(finding.severity is Severity.PROBLEM for finding in findings)
    if as_json:
        echo_json(
            {"path": str(path), "num_problems": problems, "findings": [finding.to_json() for finding in findings]}
        )
    else:
        shown = [
            finding
            for finding in findings
            if is_run or verbose or finding.severity is not Severity.OK or not finding.run
        ]
        _echo(shown)
        echo()
        echo(_verdict(findings))
    if problems:
        raise click.exceptions.Exit(FAILED)


def _check_all(folder: Path) -> list[Finding]:
    listing = list_folder(folder)
    paths = sorted({run.path for run in listing.runs} | {problem.path for problem in listing.problems})
    if not paths:
        hint = "`holter demo` records a first run; if you expect runs, check that this is their folder"
        return [Finding("runs", Severity.NOTE, f"{folder} contains no runs", hint)]
    return [finding for path in paths for finding in check_run(path)]


def _echo(findings: Iterable[Finding]) -> None:
    run = ""
    echo("environment")
    for finding in findings:
        if finding.run != run:
            run = finding.run
            echo()
            echo(visible(run))
        _echo_finding(finding)


def _echo_finding(finding: Finding) -> None:
    severity = f"  {finding.severity.value:<7}"
    lines = [visible(line) for line in (finding.text, finding.hint) if line]
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
    problems = counted(counts[Severity.PROBLEM], "problem")
    return f"{counted(runs, 'run')} checked: {problems}, {counted(counts[Severity.WARNING], 'warning')}"
