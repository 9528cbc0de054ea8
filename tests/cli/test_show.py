"""`holter show`: metadata, health and series of a run."""

import datetime as dt
import json
import math
import re
from pathlib import Path

import pytest

import holter
from holter import alerts

HOSTILE_NAME = "\x1b[31mred\x07\u202eevil"  # logged by the fixture


def test_metadata_health_and_series_in_a_pipe(runs, invoke):
    result = invoke("show", "code")
    assert result.status == 0
    lines = result.stdout.splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines[: lines.index("")] if not line.startswith("config"))
    assert facts["run"] == "code"
    assert facts["path"] == "runs/code"
    assert facts["status"] == "finished"
    assert facts["steps"] == "0 to 299"
    assert facts["tags"] == "demo, code"
    assert "config      model.layers = 4" in lines
    assert facts["dropped"] == "0 points"
    assert facts["non-finite"] == "2 series: =HYPERLINK(1) (1), grad_norm_total (1)"
    table = lines[lines.index("") + 1 :]
    assert table[0].split() == ["series", "points", "non-finite", "first", "last", "value"]
    assert len(table) == 18
    (row,) = (line for line in table if line.startswith("grad_norm_total"))
    assert row.split()[1:5] == ["300", "1", "0", "299"]
    assert not {"▁", "█", "│", "\x1b"} & set(result.stdout)


def test_json_is_strict_and_complete(runs, invoke):
    result = invoke("show", "code", "--json")
    document = json.loads(result.stdout, parse_constant=lambda word: pytest_fail(word))
    run = holter.open_run(runs / "code")
    assert document["name"] == "code"
    assert document["nonfinite_series"] == ["=HYPERLINK(1)", "grad_norm_total"]
    by_name = {series["name"]: series for series in document["series"]}
    assert set(by_name) == set(run.names())
    assert by_name["=HYPERLINK(1)"]["last_value"] == "inf"
    assert by_name[HOSTILE_NAME]["last_value"] == -1.5, "names are not escaped in JSON"
    for key in ("host", "pid", "command_line", "git", "versions", "sinks", "attempts", "rank", "ranks", "config"):
        assert key in document
    assert document["ranks"] == [0]


def pytest_fail(word):
    raise AssertionError(f"{word} is not strict JSON")


@pytest.fixture
def alarmed(tmp_path, monkeypatch):
    """A run with nine alerts, the last of a series with a hostile name."""
    monkeypatch.chdir(tmp_path)
    rules = [alerts.NonFinite(stop=True), alerts.Above("x", threshold=0.5)]
    with holter.Logger("runs/alarmed", alerts=rules, journal_points=1 << 12) as logger:
        for step in range(8):
            logger.log(step, "x", step % 2)
        for step in range(8):
            logger.log(step, "y", math.nan if step % 2 else 1.0)
        logger.log(9, HOSTILE_NAME, -math.inf)


@pytest.mark.usefixtures("alarmed")
def test_last_alerts_and_their_count_are_shown(invoke):
    lines = invoke("show", "alarmed").stdout.splitlines()
    assert "alerts      9 (5 error, 4 warning), the last 5:" in lines
    shown = [line.split("Z ")[1] for line in lines if line.startswith("alert ")]
    assert shown[0] == "y at step 1: the value is nan; requests a stop"
    assert shown[-1] == "\\x1b[31mred\\x07\\u202eevil at step 9: the value is -inf; requests a stop"
    assert len(shown) == 5


@pytest.mark.usefixtures("alarmed")
def test_all_alerts_are_in_the_json(invoke):
    document = json.loads(invoke("show", "alarmed", "--json").stdout, parse_constant=pytest_fail)
    assert [alert["rule"] for alert in document["alerts"]] == ["above"] * 4 + ["non_finite"] * 5
    last = document["alerts"][-1]
    time = last.pop("time")
    assert dt.datetime.strptime(time, "%Y-%m-%dT%H:%M:%S%z")
    assert last == {
        "level": "error", "series": HOSTILE_NAME, "step": 9, "value": "-inf", "rule": "non_finite", "stop": True,
        "message": "the value is -inf", "rank": 0,
    }  # fmt: skip


@pytest.mark.usefixtures("alarmed")
def test_unreadable_alerts_are_reported_and_the_rest_is_shown(invoke):
    events = Path("runs/alarmed/events.jsonl")
    events.rename("elsewhere.jsonl")
    events.symlink_to(Path("elsewhere.jsonl").absolute())
    assert "alerts      9 (5 error" in invoke("show", "alarmed").stdout
    events.unlink()
    events.mkdir()
    result = invoke("show", "alarmed")
    assert result.status == 0
    assert re.search("alerts .*events.jsonl.*directory", result.stdout)
    assert re.search("\nx .* 8 ", result.stdout)
    assert json.loads(invoke("show", "alarmed", "--json").stdout)["alerts"] is None


def test_a_run_without_alerts_has_no_alert_lines(runs, invoke):
    assert "\nalert" not in invoke("show", "prose").stdout
    assert json.loads(invoke("show", "prose", "--json").stdout)["alerts"] == []


def test_patterns_select_series(runs, invoke):
    result = invoke("show", "prose", "attention_entropy/layer_1*", "*loss*", "train/*")
    names = [line.split()[0] for line in result.stdout.split("\n\n")[1].splitlines()[1:]]
    layers = [f"attention_entropy/layer_{layer}" for layer in (1, 10, 11)]
    assert names == [*layers, "train/loss"]


def test_series_beyond_the_limit_are_counted(runs, invoke):
    result = invoke("show", "prose", "--limit", "3")
    assert "… and 12 more series; pass --all to list them, or a PATTERN" in result.stdout
    assert len(result.stdout.split("\n\n")[1].splitlines()) == 5


def test_a_terminal_gets_sparklines_and_escaped_names(runs, terminal):
    session = terminal("show", "code")
    session.finish()
    assert session.process.returncode == 0
    (loss,) = (line for line in session.plain.splitlines() if line.startswith("train/loss"))
    assert loss.rstrip()[-20] == "█"
    assert loss.rstrip()[-1] == "▁"
    (total,) = (line for line in session.plain.splitlines() if line.startswith("grad_norm_total"))
    assert "×" in total
    assert "\\x1b[31mred\\x07\\u202eevil" in session.plain
    assert "\x07" not in session.text
    assert "\u202e" not in session.text


def test_a_narrow_terminal_shortens_names_but_not_numbers(runs, terminal):
    session = terminal("show", "prose", "attention_entropy/layer_1", columns=60)
    session.finish()
    row = session.plain.splitlines()[-1]
    assert len(row) <= 60
    assert "…" in row.split()[0]
    assert row.split()[1:4] == ["300", "299", "3.1525"]


def test_a_long_name_is_complete_in_a_pipe_and_shortened_on_a_terminal(runs, invoke, terminal):
    name = "n" * 10_000
    with holter.Logger(runs / "long", journal_points=1 << 10) as logger:
        logger.log(0, name, 1.0)
    assert name in invoke("show", "long").stdout
    session = terminal("show", "long")
    session.finish()
    assert len(session.plain.splitlines()[-1]) <= 100


def test_attempts_and_ranks_are_shown(runs, invoke):
    path = runs / "many"
    for _ in range(2):
        with holter.Logger(path, resume="allow", journal_points=1 << 10) as logger:
            logger.log(0, "loss", math.pi)
    with holter.Logger(path, rank=3, journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
    lines = invoke("show", "many").stdout.splitlines()
    assert "ranks       0, 3" in lines
    (attempts,) = (line for line in lines if line.startswith("attempts"))
    assert attempts.count("finished (started 20") == 2
    document = json.loads(invoke("show", "many", "--json").stdout)
    assert document["ranks"] == [0, 3]
    assert document["num_attempts"] == len(document["attempts"]) == 2


def test_a_run_is_found_by_its_name(runs, invoke):
    with holter.Logger(runs / "2026-01-01", name="the good one", journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
    assert "path        runs/2026-01-01" in invoke("show", "the good one").stdout


def test_a_run_without_points_is_shown(runs, invoke):
    holter.Logger(runs / "new", journal_points=1 << 10).close()
    result = invoke("show", "new")
    assert result.status == 0
    assert "points      0 in 0 series" in result.stdout
