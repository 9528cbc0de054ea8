"""Agreement of `ls`, `show`, the report and the dashboard on the summary of a run."""

import json
import re

import click.testing
import pytest

import holter
from holter._summary import loss_name
from holter._text import epoch_micros
from holter.cli import main
from holter.dashboard.api._info import describe
from holter.plots.report.facts import read_reported_run, run_config, run_origin, run_tiles
from summary_run import COMMIT, START


def invoke(*arguments: str) -> str:
    words = [word for argument in arguments for word in argument.split()]
    result = click.testing.CliRunner().invoke(main, words, prog_name="holter", catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_ls_and_show_print_the_summary(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ls, show = (json.loads(invoke(command, "--json")) for command in ("ls", "show gpt"))
    loss = {
        "name": "train/loss",
        "count": 100,
        "nonfinite_count": 1,
        "first_step": 0,
        "last_step": 99,
        "last_value": 1.0,
    }
    assert ls["runs"] == [
        {
            "name": "gpt",
            "path": "runs/gpt",
            "id": "7caeb0017f4f81a0",
            "status": "finished",
            "is_live": False,
            "created": "2026-01-21T09:30:00Z",
            "finished": "2026-01-21T09:30:30Z",
            "last_point": "2026-01-21T09:30:09Z",
            "first_step": 0,
            "last_step": 99,
            "num_series": 3,
            "num_nonfinite_series": 1,
            "num_points": 106,
            "dropped": 3,
            "num_attempts": 2,
            "tags": ["demo", "gpt"],
            "group": "baselines",
            "notes": "longer warmup",
            "config": {"optimizer.lr": 0.1, "optimizer.betas": [0.9, 0.99], "max_steps": 100},
            "metric": loss,
        }
    ]
    assert {key: show[key] for key in ls["runs"][0]} == ls["runs"][0]
    assert show["attempts"][0] == {
        "status": "crashed",
        "started": "2026-01-21T09:30:00Z",
        "finished": None,
        "host": "node-0",
        "pid": 41,
        "dropped": 3,
        "config": {"optimizer.lr": 0.2},
        "command_line": ["train.py"],
        "git": {"commit": "fedcba"},
        "versions": {"torch": "2.7.0"},
    }
    entries = dict(line.split(maxsplit=1) for line in invoke("show gpt").split("\n\n")[0].splitlines())
    assert (entries["duration"], entries["speed"], entries["points"]) == ("30 s", "10 steps/s", "106 in 3 series")
    assert re.search(r"^gpt +finished +99 +3 +1 +3 +1 +2026-01-21T09:30:09Z$", invoke("ls"), re.MULTILINE)


def test_the_report_shows_the_summary(run):
    reported = read_reported_run(run, "gpt")
    assert run_tiles(reported) == [
        ("status", "finished", "2 attempts"),
        ("last step", "99", "10 steps/s"),
        ("recorded for", "30 s", "started 2026-01-21 09:30 UTC"),
        ("points", "106", "in 3 series"),
        ("latest loss", "1", "train/loss"),
        ("best val/loss", "50", "step 40"),
        ("NaN or infinite", "1", "in 1 series"),
        ("dropped", "3", "points were not recorded"),
    ]
    assert run_origin(reported) == [
        ("path", str(run.path)),
        ("id", "7caeb0017f4f81a0"),
        ("tags", "demo, gpt"),
        ("group", "baselines"),
        ("notes", "longer warmup"),
        ("command line", "train.py --name 'a b'"),
        ("commit", f"{COMMIT} main"),
        ("host", "node-1"),
        ("versions", "python 3.12.0, torch 2.8.0"),
        ("created", "2026-01-21T09:30:00Z"),
        ("finished", "2026-01-21T09:30:30Z"),
        ("attempts", "2026-01-21T09:30:00Z: crashed; 2026-01-21T09:30:05Z: finished"),
    ]
    assert run_config(reported) == [
        ("optimizer.lr", "0.1"),
        ("optimizer.betas", "[0.9, 0.99]"),
        ("max_steps", "100"),
    ]


def test_the_dashboard_lists_the_summary(run):
    attempts = [
        {"started": "2026-01-21T09:30:00Z", "finished": None, "status": "crashed", "host": "node-0"},
        {"started": "2026-01-21T09:30:05Z", "finished": "2026-01-21T09:30:30Z", "status": "finished", "host": "node-1"},
    ]
    assert describe(run).at(epoch_micros(START) / 1e6 + 20, is_live=False) == {
        "created": "2026-01-21T09:30:00.000000Z",
        "finished": "2026-01-21T09:30:30.500000Z",
        "last_step": 99,
        "series": 3,
        "points": 106,
        "nonfinite_series": 1,
        "tags": ["demo", "gpt"],
        "config": {"optimizer.lr": 0.1, "optimizer.betas": "[0.9, 0.99]", "max_steps": 100},
        "dropped": 3,
        "attempts": attempts,
        "command_line": ["train.py", "--name", "a b"],
        "git": {"commit": COMMIT, "branch": "main"},
        "host": "node-1",
        "versions": {"python": "3.12.0", "torch": "2.8.0"},
        "steps_per_second": pytest.approx(10.0),
        "total_steps": 100,
        "eta_seconds": None,
        "last_point_age_seconds": pytest.approx(10.1),
    }


@pytest.mark.parametrize(
    "names", [("loss", "val/nll"), ("eval_loss", "aux"), ("val/loss", "train/nll"), ("lr", "aux_loss")]
)
def test_ls_and_the_report_name_the_same_loss(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with holter.Logger("runs/a", journal_points=1 << 12) as logger:
        for value, name in enumerate(names):
            logger.log(0, name, value)
    (listed,) = json.loads(invoke("ls --json"))["runs"]
    tiles = {label: remark for label, _, remark in run_tiles(read_reported_run(holter.open_run("runs/a"), "a"))}
    assert listed["metric"]["name"] == tiles["latest loss"] == loss_name(names)
