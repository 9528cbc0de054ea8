"""The comparison with other recorders does what its page says, without any of them having to be installed."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHES = Path(__file__).parent.parent / "benches"


@pytest.fixture
def peers(monkeypatch):
    """Import a module of `benches/peers`."""
    monkeypatch.syspath_prepend(str(BENCHES))
    return lambda name: importlib.import_module(f"peers.{name}")


def figures(**of_ways):
    return {key.replace("__", " "): found for key, found in of_ways.items()}


def stored(**of_recorders):
    return {
        "date": "2026-01-01",
        "machine": {"cpu": "2 cores"},
        "load before": 0.0,
        "minutes": 1,
        "repetitions": 1,
        "limits": {"points": 1_000_000, "series": 200, "store_series": 100},
        "versions": {"rerun": {"rerun-sdk": "1.2.3"}},
        "missing": {"aim": "could not be installed: no such version"},
        "figures": of_recorders,
    }


def test_a_quick_run_measures_every_job_and_finds_every_point_of_ours(tmp_path):
    command = [sys.executable, "-m", "peers", "--quick", "--only", "holter,jsonl", "--points", "20000"]
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(BENCHES), os.environ.get("PYTHONPATH", "")]),
        "HOLTER_PEERS_CACHE": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=True)
    assert "What failed" not in done.stdout
    assert "not found" not in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("| Holter ") and "SQLite" in line)
    assert re.findall(r"0 of [\d,]+", row) == ["0 of 20,600", "0 of 2,600"]
    assert "float64" in row
    assert "| plain JSONL | `json.dumps` of one point |" in done.stdout


def test_a_recorder_says_what_the_tables_need_and_pins_what_it_is(peers):
    recorders = peers("recorders")
    for name in recorders.RECORDERS:
        recorder = recorders.load(name)
        assert all([recorder.title, recorder.settings, recorder.durable, recorder.reader])
        assert all(callable(getattr(recorder, way.method)) for way in recorder.ways)
        assert {recorder.by_name, recorder.one_by_one} <= {way.method for way in recorder.ways}
        itself = [*recorder.without_dependencies, *recorder.requirements][:1]
        assert all("==" in requirement for requirement in itself if requirement != "holter"), name


def test_a_ratio_is_met_or_missed_by_what_lacks(peers):
    ratio = peers("ratios").Ratio
    assert ratio("", 8.0, 8.0, "").verdict == "**met**"
    assert ratio("", 8.0, 4.0, "").verdict == "**missed** by 2.00×"
    assert ratio("", None, 4.0, "").verdict == "no goal"
    assert ratio("", 8.0, None, "").verdict == "not measured"


def test_the_tables_say_where_others_are_better_what_is_missing_and_what_failed(peers):
    ours = figures(
        whole__log_array=[
            {"points": 1000, "found": 1000, "settled_secs": 0.001, "closed_secs": 0.002, "bytes": {"": 9}}
        ],
        killed__log=[{"points": 1000, "found": 999}],
    )
    rerun = figures(
        whole__send_columns=[
            {"points": 1000, "found": 1000, "settled_secs": 0.0005, "closed_secs": 0.0005, "bytes": {"": 9}}
        ],
        calls__log=[{"error": "ended with status 1: no such thing"}],
    )
    text = peers("report").full(stored(holter=ours, rerun=rerun))
    (columns,) = (line for line in text.splitlines() if "1,000 finished steps" in line)
    assert "| 0.50× | **missed** by 2.00× |" in columns
    (lost,) = (line for line in text.splitlines() if line.startswith("| points lost"))
    assert "**missed**" in lost
    assert "1 of 1,000" in lost
    assert "- aim: could not be installed: no such version" in text
    assert "- Rerun 1.2.3, calls log: ended with status 1: no such thing" in text
    assert "| Rerun | – | 2,000,000 |" not in peers("report").summary(stored(rerun=rerun))  # columns are no logging


def test_points_that_are_not_found_again_are_in_no_rate(peers):
    run = {"points": 1000, "found": 250, "settled_secs": 0.5, "closed_secs": 1.0, "bytes": {"": 9}}
    text = peers("report").full(stored(jsonl=figures(whole__log=[run])))
    (row,) = (
        line for line in text.splitlines() if line.startswith("| plain JSONL | `json.dumps` of one point | 1,000")
    )
    assert "| 500 | 250 |" in row
    assert "75.00% not found" in row
