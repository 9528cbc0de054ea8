"""Server-sent events: one for every change and none without, and streams end with their clients."""

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
from dashboard_client import TIMEOUT_SECS, Stream, get
from holter.dashboard import start
from waiting import wait_until

CHILD = Path(sample_runs.__file__)


@pytest.fixture
def recording(tmp_path):
    """A run that another process records, slowly, until its stdin is closed."""
    root = tmp_path / "runs"
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(root / "live"), "100000", "0.01"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert json.loads(child.stdout.readline()) == {"recording": str(root / "live")}
    yield root, child
    child.communicate(timeout=TIMEOUT_SECS)


def test_live_run_sends_events_until_it_ends(recording):
    root, child = recording
    with start(root) as dashboard:
        stream = Stream(dashboard.url, ["live", "later"])
        first = stream.until("run")
        assert first["run"] == "live"
        assert first["status"] == "running"
        second = stream.until("run")
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


def test_new_and_deleted_runs_send_events(tmp_path):
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


def test_unchanged_runs_send_only_heartbeats(sample_root, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._live.POLL_SECS", 0.02)
    monkeypatch.setattr("holter.dashboard.api._live.HEARTBEAT_SECS", 0.1)
    with start(sample_root) as dashboard:
        stream = Stream(dashboard.url, ["run-1", "run-2", "none"])
        assert {stream.next()[1]["run"] for _ in range(2)} == {"run-1", "run-2"}
        lines = [stream.response.readline() for _ in range(8)]
        assert {line for line in lines if line.strip()} == {b": heartbeat\n"}
        stream.close()


def test_stream_ends_when_its_client_disconnects(sample_root, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._live.POLL_SECS", 0.02)
    with start(sample_root) as dashboard:
        live = dashboard._prepared.app.live
        stream = Stream(dashboard.url, ["run-1"])
        stream.next()
        assert live.num_clients == 1
        stream.close()
        wait_until(lambda: live.num_clients == 0, TIMEOUT_SECS)


def test_too_many_streams_are_rejected(sample_root, monkeypatch):
    monkeypatch.setattr("holter.dashboard.api._live.MAX_CLIENTS", 1)
    with start(sample_root) as dashboard:
        stream = Stream(dashboard.url, [])
        wait_until(lambda: dashboard._prepared.app.live.num_clients == 1, TIMEOUT_SECS)
        assert get(dashboard.url, "/api/v1/live")[0] == 503
        stream.close()


def test_streams_share_one_scan_per_second(sample_root, monkeypatch):
    scans = []
    real = holter.list_runs

    def counting(*arguments, **options):
        scans.append(time.monotonic())
        return real(*arguments, **options)

    monkeypatch.setattr(holter, "list_runs", counting)
    monkeypatch.setattr("holter.dashboard.api._live.POLL_SECS", 0.01)
    with start(sample_root) as dashboard:
        streams = [Stream(dashboard.url, ["run-1"]) for _ in range(8)]
        for stream in streams:
            stream.next()
        wait_until(lambda: len(scans) >= 3, TIMEOUT_SECS)
        gaps = [after - before for before, after in itertools.pairwise(scans)]
        assert min(gaps) >= 1.0
        for stream in streams:
            stream.close()
