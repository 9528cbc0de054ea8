"""The dashboard reads: no byte of a run changes, and a folder that nobody may write to is served as well."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

import sample_runs

API = "/api/v1"


def fingerprint(root: Path) -> dict[str, tuple[str, int, int]]:
    """Each file's content, mode and time of change, and each directory's; the path relative to the root."""
    found = {}
    for path in sorted(root.rglob("*")):
        facts = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        found[path.relative_to(root).as_posix()] = (content, facts.st_mode, facts.st_mtime_ns)
    return found


def ask_for_everything(client) -> None:
    groups = [{"label": run, "runs": [run]} for run in ("run-1", "run-2")]
    names = ["train/loss", *(f"attention_entropy/layer_{layer}" for layer in range(3))]
    charts = [
        {"key": kind, "kind": kind, "names": names, "groups": groups, "thresholds": [{"y": 1, "label": "one"}]}
        for kind in ("line", "band", "heatmap", "latest", "speed")
    ]
    answers = [
        client.get("/"),
        client.get(f"{API}/runs"),
        client.get(f"{API}/series?run=run-1"),
        client.get(f"{API}/overview?run=run-1&run=run-2"),
        client.post(
            f"{API}/figures", json={"charts": charts, "view": {"px": 100, "start": 10, "stop": 300, "half_life": 9}}
        ),
        client.post(f"{API}/table", json={"runs": ["run-1"], "names": names}),
        client.get(f"{API}/export.csv?run=run-1&name=train/loss"),
    ]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert [figure.get("error") for figure in answers[4].json()["figures"]] == [None] * 5


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "runs"
    for seed, name in enumerate(("run-1", "run-2")):
        sample_runs.record(folder / name, seed=seed)
    return folder


def test_no_byte_of_a_run_changes(root, open_client):
    before = fingerprint(root)
    ask_for_everything(open_client(root))
    assert fingerprint(root) == before


def test_a_folder_that_nobody_may_write_to_is_served(root, open_client):
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = fingerprint(root)
    try:
        ask_for_everything(open_client(root))
        assert fingerprint(root) == before
        assert all(not stat.S_IMODE(path.stat().st_mode) & 0o222 for path in root.rglob("*"))
    finally:
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755)


def test_files_are_opened_for_reading_only(root, open_client, monkeypatch):
    """Beside the mode bits, which mean nothing to root: Python's own opens ask for no writing."""
    opened = []
    real = os.open

    def watched(path, flags, *arguments, **options):
        if str(path).startswith(str(root)):
            opened.append(flags)
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", watched)
    ask_for_everything(open_client(root))
    assert not [flags for flags in opened if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)]
