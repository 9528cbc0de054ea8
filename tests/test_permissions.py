"""Files are created with exactly the permissions that the user's umask allows."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

RECORD = """
import os, sys
os.umask(int(sys.argv[2], 8))
import holter
from holter.alerts import NonFinite
for rank in (0, 1):
    for attempt in range(2):
        rules = [NonFinite("*")]
        with holter.Logger(sys.argv[1], resume="allow", rank=rank, alerts=rules, journal_points=1 << 10) as logger:
            logger.log(attempt, "loss", float("nan"))
            logger.flush()
            for folder, _, names in os.walk(sys.argv[1]):
                for path in (os.path.join(folder, name) for name in ["."] + names):
                    print(oct(os.stat(path).st_mode), path)
"""


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o007])
def test_a_run_is_made_with_the_umask(umask, tmp_path):
    run = tmp_path / "runs" / "run"
    command = [sys.executable, "-c", RECORD, str(run), oct(umask)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    seen = {
        Path(path).name: int(mode, 8) for mode, path in (line.split(maxsplit=1) for line in done.stdout.splitlines())
    }
    assert {
        "journal.holter",
        "run.json",
        "metrics.sqlite",
        "metrics.sqlite-wal",
        "events.jsonl",
        "summary.jsonl",
    } <= set(seen)
    seen |= {path.name: path.stat().st_mode for path in [run, *run.rglob("*")]}
    assert any(name.endswith(".parquet") for name in seen)
    for name, mode in seen.items():
        most = 0o777 if stat.S_ISDIR(mode) else 0o666
        # SQLite never gives the group and others write permission.
        allowed = {most & ~umask, 0o644 & ~umask} if "sqlite" in name else {most & ~umask}
        assert stat.S_IMODE(mode) in allowed, (name, oct(mode))
