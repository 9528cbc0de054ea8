"""A finished run with a known summary, and edits of its manifest."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import holter
from holter._text import epoch_micros

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
