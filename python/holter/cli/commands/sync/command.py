"""`holter sync`: copies of runs elsewhere, brought up to date once or again and again."""

from __future__ import annotations

import time

import click

from holter.cli.commands.sync.passes import Options, Pass, chosen_runs, open_destination
from holter.cli.output import echo_error, echo_json
from holter.cli.problems import FAILED, Problem
from holter.cli.runs import RUN

__all__ = ["sync"]

DEFAULT_SECS = 60.0


@click.command()
@click.argument("run_texts", nargs=-1, required=True, metavar="RUN|RUNS...", type=RUN)
@click.argument("url", metavar="URL")
@click.option("--name", help="Where the copy of a single RUN goes below the URL; its directory's name if not given.")
@click.option("--follow", is_flag=True, help="Copy again and again until no run is being recorded any more.")
@click.option(
    "--every",
    "every_secs",
    type=click.FloatRange(min=0.05),
    metavar="SECS",
    help="How often; this is --follow. 60 if not given.",
)
@click.option("--verify", is_flag=True, help="Read the copies back and compare every byte; copy again what is damaged.")
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would be copied.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; with --follow one a line, each time.")
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
    """Copy runs elsewhere, for reading: to an object store, an SFTP or FTP server, another disk.

    The URL is any that fsspec knows: s3://bucket/runs, gs://…, abfs://…, sftp://host/path, ftp://user@host/path,
    file:///path, or a path. It is the folder of the copies: each RUN goes into a folder of its name, the runs of a
    folder RUNS to where they lie in it. Needs pip install 'holter[sync]', and s3fs for S3, paramiko for SFTP and so on.

    Copied are run.json, the closed Parquet parts, summary.jsonl and events.jsonl, of every rank; not the database and
    not the journal. Only what is new or changed is copied, so calling it again is cheap, after it was killed as well.
    A run may be copied while it is recorded: what is complete goes now, the rest next time.

    A password in the URL is never shown, but other users of this machine can see it while the command runs: better keep
    it in ~/.aws, in ~/.config/fsspec, or in a variable such as FSSPEC_FTP_PASSWORD.

    The exit status is 1 if something could not be copied, or if --verify found damage, also if that was mended.

    \b
    Examples:
      holter sync run-2 s3://bucket/runs
      holter sync runs sftp://me@archive/data/runs --verify
      holter sync run-2 s3://bucket/runs --every 300
      holter sync runs s3://bucket/runs --dry-run --json | jq '.runs[].num_bytes'
    """
    options = Options(url, name, is_dry_run=dry_run, is_verified=verify, as_json=as_json)
    if dry_run and (follow or every_secs is not None):
        raise click.UsageError("--dry-run says what a single pass would do; leave out --follow and --every")
    if not follow and every_secs is None:
        done = _pass(run_texts, options)
        if done.problems:
            raise click.exceptions.Exit(FAILED)
        return
    if _follow(run_texts, options, every_secs or DEFAULT_SECS).problems:
        raise click.exceptions.Exit(FAILED)


def _follow(run_texts: tuple[str, ...], options: Options, every_secs: float) -> Pass:
    """Pass after pass until one began when no run was being recorded; a remote may be away for a while."""
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
    runs, unreadable = chosen_runs(run_texts, options.name)
    destination = open_destination(options.url)
    done = Pass()
    for one in unreadable:
        done.problem(one.path, one.reason)
    for place, run in runs.items():
        done.sync(run, place, destination, options)
    if options.as_json:
        echo_json(done.to_json(destination.url, options), indent=None if is_repeated else 2)
    return done
