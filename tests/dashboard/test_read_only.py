"""The dashboard only reads: no byte of a run changes, and a read-only folder works."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

import sample_runs

API = "/api/v1"


def fingerprint(root: Path) -> dict[str, tuple[str, int, int]]:
    """Return content hash, mode and modification time of each file and directory, by relative path."""
    found = {}
    for path in sorted(root.rglob("*")):
        facts = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        found[path.relative_to(root).as_posix()] = (content, facts.st_mode, facts.st_mtime_ns)
    return found


def send_every_request(client) -> None:
    groups = [{"label": run, "runs": [run]} for run in ("run-1", "run-2")]
    names = ["train/loss", *(f"attention_entropy/layer_{layer}" for layer in range(3))]
    charts = [
        {"key": kind, "kind": kind, "names": names, "groups": groups, "thresholds": [{"y": 1, "label": "one"}]}
        for kind in ("line", "band", "heatmap", "latest", "speed")
    ]
    responses = [
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
    assert [response.status_code for response in responses] == [200] * len(responses)
    assert [figure.get("error") for figure in responses[4].json()["figures"]] == [None] * 5


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "runs"
    for seed, name in enumerate(("run-1", "run-2")):
        sample_runs.record(folder / name, seed=seed)
    return folder


def test_no_byte_of_a_run_changes(root, open_client):
    before = fingerprint(root)
    send_every_request(open_client(root))
    assert fingerprint(root) == before


def test_read_only_folder_is_served(root, open_client):
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = fingerprint(root)
    try:
        send_every_request(open_client(root))
        assert fingerprint(root) == before
        assert all(not stat.S_IMODE(path.stat().st_mode) & 0o222 for path in root.rglob("*"))
    finally:
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755)


def test_files_are_opened_for_reading_only(root, open_client, monkeypatch):
    """Root ignores mode bits, so check the flags of Python's own calls as well."""
    opened = []
    real = os.open

    def recording_open(path, flags, *arguments, **options):
        if str(path).startswith(str(root)):
            opened.append(flags)
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", recording_open)
    send_every_request(open_client(root))
    assert not [flags for flags in opened if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)]
