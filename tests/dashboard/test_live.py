"""Live events: what changes is told within two seconds, nothing else is, and a stream ends with its client."""

import itertools
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import holter
import sample_runs
from dashboard_client import SECS, Stream, get
from holter.dashboard import start
from waiting import wait_until

CHILD = Path(sample_runs.__file__)


@pytest.fixture
def recording(tmp_path):
    """A run that another process records, slowly, until the test ends it."""
    root = tmp_path / "runs"
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(root / "live"), "100000", "0.01"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert json.loads(child.stdout.readline()) == {"recording": str(root / "live")}
    yield root, child
    child.communicate(timeout=SECS)


def test_a_live_run_is_told_of_until_it_ends(recording):
    root, child = recording
    with start(root) as dashboard:
        stream = Stream(dashboard.url, ["live", "later"])
        first = stream.until("run")
        assert first["run"] == "live"
        assert first["status"] == "running"
        begun = time.monotonic()
        second = stream.until("run")
        assert time.monotonic() - begun < 2.0 + 1.0, "a live run is told of within two seconds"
        assert second["revision"] != first["revision"]
        assert second["last_step"] > first["last_step"]
        sample_runs.record(root / "later", steps=3)
        while stream.until("run")["run"] != "later":
            pass
        child.stdin.close()
        child.stdin = None
        while stream.until("run").get("status") != "finished":
            pass
        stream.close()


def test_a_new_run_and_a_deleted_one_are_told_of(tmp_path):
    sample_runs.record(tmp_path / "a", steps=3)
    with start(tmp_path) as dashboard:
        stream = Stream(dashboard.url, ["a"])
        assert stream.next()[0] == "run"
        sample_runs.record(tmp_path / "b", steps=3)
        assert stream.next() == ("runs", {})
        shutil.rmtree(tmp_path / "a")
        assert stream.next() == ("gone", {"run": "a"})
        assert stream.next() == ("runs", {})
        stream.close()


def test_a_quiet_run_costs_a_heartbeat_alone(sample_root, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._live.POLL_SECS", 0.02)
    monkeypatch.setattr("holter.dashboard.api._live.HEARTBEAT_SECS", 0.1)
    with start(sample_root) as dashboard:
        stream = Stream(dashboard.url, ["run-1", "run-2", "none"])
        assert {stream.next()[1]["run"] for _ in range(2)} == {"run-1", "run-2"}
        lines = [stream.answer.readline() for _ in range(8)]
        assert {line for line in lines if line.strip()} == {b": still here\n"}
        stream.close()


def test_a_stream_ends_when_its_client_goes(sample_root, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._live.POLL_SECS", 0.02)
    with start(sample_root) as dashboard:
        live = dashboard._prepared.app.live
        stream = Stream(dashboard.url, ["run-1"])
        stream.next()
        assert live.num_clients == 1
        stream.close()
        wait_until(lambda: live.num_clients == 0, SECS)


def test_more_clients_than_there_may_be_are_refused(sample_root, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._live.MAX_CLIENTS", 1)
    with start(sample_root) as dashboard:
        stream = Stream(dashboard.url, [])
        wait_until(lambda: dashboard._prepared.app.live.num_clients == 1, SECS)
        assert get(dashboard.url, "/api/v1/live")[0] == 503
        stream.close()


def test_many_clients_cost_one_look_at_the_runs(sample_root, monkeypatch):
    scans = []
    real = holter.list_runs

    def counted(*arguments, **options):
        scans.append(time.monotonic())
        return real(*arguments, **options)

    monkeypatch.setattr(holter, "list_runs", counted)
    monkeypatch.setattr("holter.dashboard.api._live.POLL_SECS", 0.01)
    with start(sample_root) as dashboard:
        streams = [Stream(dashboard.url, ["run-1"]) for _ in range(8)]
        for stream in streams:
            stream.next()
        wait_until(lambda: len(scans) >= 3, SECS)
        gaps = [after - before for before, after in itertools.pairwise(scans)]
        assert min(gaps) > 0.9
        for stream in streams:
            stream.close()
