"""The comparison with other recorders measures and reports what its page describes; no other recorder is installed."""

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
        "missing": {"aim": "installation failed: no such version"},
        "figures": of_recorders,
    }


def test_a_quick_run_measures_every_job_and_finds_every_point(tmp_path):
    command = [sys.executable, "-m", "peers", "--quick", "--only", "holter,jsonl", "--points", "20000"]
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(BENCHES), os.environ.get("PYTHONPATH", "")]),
        "HOLTER_PEERS_CACHE": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=True)
    assert "### Failed" not in done.stdout
    assert "not found" not in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("| Holter ") and "SQLite" in line)
    assert re.findall(r"0 of [\d,]+", row) == ["0 of 20,600", "0 of 2,600"]
    assert "float64" in row
    assert "| plain JSONL | `json.dumps` of one point |" in done.stdout


def test_every_recorder_has_its_descriptions_and_a_pinned_version(peers):
    recorders = peers("recorders")
    for name in recorders.RECORDERS:
        recorder = recorders.load(name)
        assert all([recorder.title, recorder.settings, recorder.durable, recorder.reader])
        assert all(callable(getattr(recorder, way.method)) for way in recorder.ways)
        assert {recorder.bulk_way, recorder.single_way} <= {way.method for way in recorder.ways}
        requirement = [*recorder.without_dependencies, *recorder.requirements][:1]
        assert all("==" in each for each in requirement if each != "holter"), name


def test_a_target_is_met_missed_or_not_measured(peers):
    target = peers("targets").Target
    assert target("", 8.0, "8.00", "").verdict == "**met**"
    assert target("", 8.0, "7.99", "").verdict == "**missed**"
    assert target("", 400.0, "1,853", "").verdict == "**met**"
    assert target("", None, "4.00", "").verdict == "no target"
    assert target("", 8.0, None, "").verdict == "not measured"


def test_the_tables_show_missed_targets_missing_recorders_and_failures(peers):
    ours = figures(
        whole__log_array=[
            {"points": 1000, "found": 1000, "durable_secs": 0.001, "closed_secs": 0.002, "bytes": {"": 9}}
        ],
        killed__log=[{"points": 1000, "found": 999}],
    )
    rerun = figures(
        whole__send_columns=[
            {"points": 1000, "found": 1000, "durable_secs": 0.0005, "closed_secs": 0.0005, "bytes": {"": 9}}
        ],
        calls__log=[{"error": "exited with status 1: no such thing"}],
    )
    text = peers("report").full(stored(holter=ours, rerun=rerun))
    (columns,) = (line for line in text.splitlines() if "1,000 finished steps" in line)
    assert "| 0.50× | **missed** | 1,000,000 / 2,000,000 (" in columns
    (lost,) = (line for line in text.splitlines() if line.startswith("| points lost"))
    assert "**missed**" in lost
    assert "| 1 | **missed** | of 1,000" in lost
    assert "- aim: installation failed: no such version" in text
    assert "- Rerun 1.2.3, calls log: exited with status 1: no such thing" in text
    # Columns of finished steps do not count as logging step by step.
    assert "| Rerun | – | 2,000,000 |" not in peers("report").summary(stored(rerun=rerun))


def test_points_that_are_not_read_back_do_not_count_in_a_rate(peers):
    run = {"points": 1000, "found": 250, "durable_secs": 0.5, "closed_secs": 1.0, "bytes": {"": 9}}
    text = peers("report").full(stored(jsonl=figures(whole__log=[run])))
    (row,) = (
        line for line in text.splitlines() if line.startswith("| plain JSONL | `json.dumps` of one point | 1,000")
    )
    assert "| 500 | 250 |" in row
    assert "75.00% not found" in row
