"""`holter sync`: copy runs elsewhere, once or repeatedly."""

from __future__ import annotations

import time

import click

from holter.cli.commands.sync.passes import Options, Pass, open_destination, selected_runs
from holter.cli.output import echo_error, echo_json
from holter.cli.problems import FAILED, Problem
from holter.cli.runs import RUN

__all__ = ["sync"]

DEFAULT_SECS = 60.0


@click.command()
@click.argument("run_texts", nargs=-1, required=True, metavar="RUN|RUNS...", type=RUN)
@click.argument("url", metavar="URL")
@click.option("--name", help="Path of the copy below the URL, for a single RUN (default: the name of its directory).")
@click.option("--follow", is_flag=True, help="Repeat until no run is being recorded.")
@click.option(
    "--every",
    "every_secs",
    type=click.FloatRange(min=0.05),
    metavar="SECS",
    help="Seconds between passes; implies --follow (default: 60).",
)
@click.option("--verify", is_flag=True, help="Read the copies back, compare every byte, and copy damaged files again.")
@click.option("--dry-run", is_flag=True, help="Print what would be copied without writing anything.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; with --follow one per line and pass.")
def sync(
    run_texts: tuple[str, ...],
    url: str,
    name: str | None,
    every_secs: float | None,
    *,
    follow: bool,
    verify: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Copy runs to object storage, an SFTP or FTP server, or another disk.

    Use it to archive runs, or to read them on another machine. URL is the folder for the copies, anything that fsspec
    supports: s3://bucket/runs, gs://…, abfs://…, sftp://host/path, ftp://user@host/path, file:///path, or a path. A
    RUN is copied to its name below the URL, the runs of a folder RUNS to their relative paths. Requires
    pip install 'holter[sync]', and s3fs for S3, paramiko for SFTP and so on.

    Copies contain run.json, the closed Parquet parts, summary.jsonl and events.jsonl of every rank, but not the
    database and the journal. Only new and changed files are copied, so repeated and interrupted calls are cheap. A run
    may be copied while it is recorded: complete files are copied now, the others by the next call.

    A password in the URL is never printed, but other users of this machine can see it while the command runs. Store it
    in ~/.aws, in ~/.config/fsspec, or in a variable such as FSSPEC_FTP_PASSWORD instead.

    The exit status is 1 if a file could not be copied, or if --verify found damage, even if it was repaired.

    \b
    Examples:
      holter sync run-2 s3://bucket/runs
      holter sync runs sftp://me@archive/data/runs --verify
      holter sync run-2 s3://bucket/runs --every 300
      holter sync runs s3://bucket/runs --dry-run --json | jq '.runs[].num_bytes'
    """
    options = Options(url, name, is_dry_run=dry_run, is_verified=verify, as_json=as_json)
    if dry_run and (follow or every_secs is not None):
        raise click.UsageError("--dry-run prints what a single pass would do; omit --follow and --every")
    if not follow and every_secs is None:
        done = _pass(run_texts, options)
        if done.problems:
            raise click.exceptions.Exit(FAILED)
        return
    if _follow(run_texts, options, every_secs or DEFAULT_SECS).problems:
        raise click.exceptions.Exit(FAILED)


def _follow(run_texts: tuple[str, ...], options: Options, every_secs: float) -> Pass:
    """Repeat passes until no run was live when one started; the remote may be unreachable for a while."""
    is_first = True
    while True:
        try:
            done = _pass(run_texts, options, is_repeated=True)
        except Problem as problem:
            if is_first:
                raise
            echo_error(f"Error: {problem.format_message()}")
        else:
            if not done.is_live:
                return done
        is_first = False
        time.sleep(every_secs)


def _pass(run_texts: tuple[str, ...], options: Options, *, is_repeated: bool = False) -> Pass:
    runs, unreadable = selected_runs(run_texts, options.name)
    destination = open_destination(options.url)
    done = Pass()
    for problem in unreadable:
        done.add_problem(problem.path, problem.reason)
    for name, run in runs.items():
        done.sync(run, name, destination, options)
    if options.as_json:
        echo_json(done.to_json(destination.url, options), indent=None if is_repeated else 2)
    return done
