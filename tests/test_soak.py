"""A short soak: with readers that come, go and are killed, nothing is dropped and nothing accumulates."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent.parent / "benches" / "soak.py"
SECS = 15.0
JOURNAL_POINTS = 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="the soak reads /proc")
def test_recording_at_a_steady_rate_with_readers_uses_bounded_resources(tmp_path):
    pytest.importorskip("matplotlib", reason="the soak draws with matplotlib")
    picture = tmp_path / "soak.png"
    command = [sys.executable, SOAK, "--minutes", str(SECS / 60), "--picture", picture]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECS + 240, check=True)
    rows = {row["key"]: row["value"] for row in map(json.loads, done.stdout.splitlines())}
    assert rows["soak.points"] > 0
    assert rows["soak.dropped"] == 0
    assert rows["soak.pending"] < JOURNAL_POINTS / 2
    assert rows["soak.files_change"] <= 1
    assert rows["soak.started"] >= 1
    assert rows["soak.failed"] == 0
    assert picture.stat().st_size > 10_000
