"""The soak in small: nothing is dropped, nothing piles up, and no reader that comes, goes or is killed disturbs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parent.parent / "benches" / "soak.py"
SECS = 15.0
JOURNAL_POINTS = 1_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="the soak reads /proc")
def test_recording_at_a_steady_pace_with_readers_stays_flat(tmp_path):
    pytest.importorskip("matplotlib", reason="the soak draws with matplotlib")
    picture = tmp_path / "soak.png"
    command = [sys.executable, SOAK, "--minutes", str(SECS / 60), "--picture", picture]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECS + 120, check=True)
    rows = {row["key"]: row["value"] for row in map(json.loads, done.stdout.splitlines())}
    assert rows["soak.points"] > 0
    assert rows["soak.dropped"] == 0
    assert rows["soak.waiting"] < JOURNAL_POINTS / 2
    assert rows["soak.files_change"] <= 1
    assert rows["soak.visits"] >= 1
    assert rows["soak.failed"] == 0
    assert picture.stat().st_size > 10_000
