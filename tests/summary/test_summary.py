"""The run summary: exact values, and hostile manifests."""

import datetime as dt
import json

import pytest

import holter
from holter._summary import Attempt, loss_name, summarize
from holter._text import epoch_micros
from holter.dashboard.api._info import describe
from summary_run import COMMIT, MANIFEST, START, edit


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
