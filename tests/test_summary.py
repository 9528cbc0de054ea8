"""The run summary: exact values, hostile manifests, and agreement of `ls`, `show`, the report and the dashboard."""

import datetime as dt
import json
import math
import re
from pathlib import Path
from typing import Any

import click.testing
import numpy as np
import pytest

import holter
from holter._summary import Attempt, loss_name, summarize
from holter._text import epoch_micros
from holter.cli import main
from holter.dashboard.api._info import describe
from holter.plots.report.facts import read_reported_run, run_config, run_origin, run_tiles

START = dt.datetime(2026, 1, 21, 9, 30, tzinfo=dt.timezone.utc)
COMMIT = "0123456789abcdef"
MANIFEST = {
    "created": "2026-01-21T09:30:00.000000Z",
    "started_micros": epoch_micros(START),
    "finished": "2026-01-21T09:30:30.500000Z",
    "host": "node-1",
    "pid": 42,
    "id": "7caeb0017f4f81a0",
    "git": {"commit": COMMIT, "branch": "main"},
    "command_line": ["train.py", "--name", "a b"],
    "versions": {"python": "3.12.0", "torch": "2.8.0"},
    "tags": ["demo", "gpt"],
    "group": "baselines",
    "notes": "longer warmup",
    "config": {"optimizer": {"lr": 0.1, "betas": [0.9, 0.99]}, "max_steps": 100},
    "dropped": 3,
    "attempts": [
        {
            "status": "crashed",
            "started": "2026-01-21T09:30:00Z",
            "finished": None,
            "host": "node-0",
            "pid": 41,
            "dropped": 3,
            "config": {"optimizer": {"lr": 0.2}},
            "command_line": ["train.py"],
            "git": {"commit": "fedcba"},
            "versions": {"torch": "2.7.0"},
        },
        {
            "status": "finished",
            "started": "2026-01-21T09:30:05Z",
            "finished": "2026-01-21T09:30:30.5Z",
            "host": "node-1",
            "pid": 42,
            "dropped": 0,
        },
    ],
}


def edit(run: Path, **changes: Any) -> holter.Run:
    """Replace keys of run.json."""
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return holter.open_run(run)


@pytest.fixture
def ten_steps_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 0 is logged when the run starts, and each further step a tenth of a second later."""
    read = holter.Run.series

    def series(run: holter.Run, name: str, *bounds: int) -> holter.Series:
        found = read(run, name, *bounds)
        start = np.datetime64(epoch_micros(START), "us")
        times = start + found.steps * np.timedelta64(100_000, "us")
        return holter.Series(found.name, found.steps, found.values, times)

    monkeypatch.setattr(holter.Run, "series", series)


@pytest.fixture
def run(tmp_path: Path, ten_steps_per_second: None) -> holter.Run:
    """A finished run of two attempts: 100 steps of a loss with a NaN, 5 validations, one mark."""
    path = tmp_path / "runs" / "gpt"
    with holter.Logger(path, journal_points=1 << 12) as logger:
        for step in range(100):
            logger.log(step, "train/loss", math.nan if step == 7 else 100.0 - step)
            if step % 20 == 0:
                logger.log(step, "val/loss", 50.0 + abs(step - 40))
        logger.log(60, "mark/checkpoint", 1.0)
    return edit(path, **MANIFEST)


def test_the_summary_of_a_run(run):
    summary = summarize(run)
    assert summary.run is run
    assert summary.manifest == run.manifest
    assert (summary.name, summary.id, summary.status, summary.is_live) == ("gpt", MANIFEST["id"], "finished", False)
    assert summary.created == START
    assert summary.finished == START + dt.timedelta(seconds=30.5)
    assert summary.last_logged == START + dt.timedelta(seconds=9.9)
    assert summary.duration_secs == 30.5
    assert summary.steps_per_second == pytest.approx(10.0)
    assert [facts.name for facts in summary.series] == ["mark/checkpoint", "train/loss", "val/loss"]
    assert (summary.num_points, summary.first_step, summary.last_step) == (106, 0, 99)
    assert [facts.name for facts in summary.nonfinite] == ["train/loss"]
    assert summary.loss == summary.series[1]
    assert summary.dropped == 3
    assert summary.attempts == [
        Attempt(
            status="crashed",
            started=START,
            finished=None,
            host="node-0",
            pid=41,
            dropped=3,
            config={"optimizer.lr": 0.2},
            command_line=["train.py"],
            git={"commit": "fedcba"},
            versions={"torch": "2.7.0"},
        ),
        Attempt(
            status="finished",
            started=START + dt.timedelta(seconds=5),
            finished=START + dt.timedelta(seconds=30.5),
            host="node-1",
            pid=42,
            dropped=0,
            config={},
            command_line=[],
            git={},
            versions={},
        ),
    ]
    assert (summary.tags, summary.group, summary.notes) == (["demo", "gpt"], "baselines", "longer warmup")
    assert summary.config == {"optimizer.lr": 0.1, "optimizer.betas": [0.9, 0.99], "max_steps": 100}
    assert summary.total_steps == 100
    assert summary.command_line == ["train.py", "--name", "a b"]
    assert summary.git == {"commit": COMMIT, "branch": "main"}
    assert (summary.host, summary.pid) == ("node-1", 42)
    assert summary.versions == {"python": "3.12.0", "torch": "2.8.0"}
    assert summary.sinks == ["sqlite", "parquet", "summary"]


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


@pytest.mark.parametrize(
    ("odd", "text", "texts", "pairs"),
    [
        (None, None, [], {}),
        (True, "true", [], {}),
        (-1, "-1", [], {}),
        ("text", "text", [], {}),
        ([1, None, []], "[1, null, []]", ["1", "[]"], {}),
        ({"a": {"b": 1}, "c": None}, '{"a": {"b": 1}, "c": null}', [], {"a": '{"b": 1}'}),
    ],
)
def test_values_of_unexpected_types_are_read_as_text_or_count_as_absent(run, odd, text, texts, pairs):
    facts = dict.fromkeys(("git", "command_line", "versions", "tags", "group", "notes"), odd)
    summary = summarize(edit(run.path, **facts, attempts=[{"status": "failed", **facts}]))
    (attempt,) = summary.attempts
    assert (summary.group, summary.notes) == (text, text)
    assert summary.tags == summary.command_line == attempt.command_line == texts
    assert summary.git == summary.versions == attempt.git == attempt.versions == pairs


def test_missing_and_invalid_facts_are_absent(run):
    path = run.path / "run.json"
    required = ("format_version", "name", "rank", "started_micros", "status", "sinks", "summary_every")
    manifest = {key: value for key, value in json.loads(path.read_text()).items() if key in required}
    attempt = {"status": "failed", "started": "yesterday", "finished": "later"}
    path.write_text(json.dumps({**manifest, "finished": "tomorrow", "attempts": [attempt]}))
    summary = summarize(run)
    assert (summary.id, summary.finished, summary.host, summary.pid, summary.dropped) == ("", None, None, None, 0)
    assert (summary.tags, summary.config, summary.command_line, summary.git, summary.versions) == ([], {}, [], {}, {})
    assert (summary.group, summary.notes, summary.total_steps) == (None, None, None)
    assert summary.attempts == [Attempt("failed", None, None, None, None, 0, {}, [], {}, {})]
    assert summary.duration_secs == pytest.approx(9.9)


def test_a_start_beyond_the_calendar_is_an_error_with_the_path(run):
    with pytest.raises(holter.StoreError, match=r"gpt: the start in run\.json is outside"):
        summarize(edit(run.path, started_micros=(1 << 63) - 1))


def test_a_run_without_points(tmp_path):
    holter.Logger(tmp_path / "empty", journal_points=1 << 12).close()
    summary = summarize(edit(tmp_path / "empty", finished=None))
    assert (summary.num_points, summary.first_step, summary.last_step, summary.loss) == (0, None, None, None)
    assert (summary.last_logged, summary.steps_per_second, summary.duration_secs) == (None, None, None)


@pytest.mark.usefixtures("ten_steps_per_second")
def test_a_live_run_has_no_end_and_lasts_until_its_last_point(tmp_path):
    with holter.Logger(tmp_path / "live", config={"steps": 1000}, journal_points=1 << 12) as logger:
        for step in range(50):
            logger.log(step, "loss", 1.0)
        logger.flush()
        run = edit(tmp_path / "live", finished="2026-01-21T09:30:30Z", started_micros=epoch_micros(START))
        summary = summarize(run)
        page = describe(run).at(0.0, is_live=True)
    assert (summary.status, summary.is_live, summary.finished) == ("running", True, None)
    assert summary.duration_secs == pytest.approx(4.9)
    assert page["eta_seconds"] is None, "all points are older than the restart"
    assert page["last_point_age_seconds"] == 0.0


def test_speed_is_measured_since_the_last_restart(run):
    def speed(restarted: str) -> float | None:
        return summarize(edit(run.path, attempts=[{"status": "finished", "started": restarted}])).steps_per_second

    assert speed("2026-01-21T09:30:05Z") == pytest.approx(10.0)
    assert speed("2026-01-21T09:30:09.8Z") == pytest.approx(10.0), "two points"
    assert speed("2026-01-21T09:30:09.9Z") is None, "one point"
    assert speed("2026-01-21T09:31:00Z") is None, "no point"
    assert speed("unknown") == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train/loss", "val/loss", "loss"], "train/loss"),
        (["loss", "val_loss"], "loss"),
        (["val/loss", "train/nll"], "train/nll"),
        (["loss/train", "loss/val"], "loss/train"),
        (["eval/loss", "lr"], "eval/loss"),
        (["test_loss", "validation/loss"], "validation/loss"),
        (["training/cross_entropy", "aux_loss"], "training/cross_entropy"),
        (["z_loss", "AuxLoss"], "AuxLoss"),
        (["mark/loss_spike", "lr"], None),
        ([], None),
    ],
)
def test_the_loss_is_the_trainings_else_the_validations_else_any(names, expected):
    assert loss_name(names) == expected
    assert loss_name(reversed(names)) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"trainer": {"max_steps": 10}}, 10),
        ({"Total_Steps": 7}, 7),
        ({"steps": True}, None),
        ({"steps": 0}, None),
        ({"steps": 2.0}, None),
        ({"steps": 1 << 53}, None),
        ({"max_steps": "10"}, None),
    ],
)
def test_total_steps_come_from_the_config(run, config, expected):
    assert summarize(edit(run.path, config=config)).total_steps == expected
