"""Invariants of a copy of a run, checked on plain files."""

import hashlib
import json
from pathlib import Path

NOT_COPIED = {"metrics.sqlite", "metrics.sqlite-wal", "metrics.sqlite-shm", "journal.holter"}


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a copy by name, except its manifest."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "holter-sync.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def expected_of(run: Path) -> dict[str, bytes]:
    """Return the files that a complete copy of a run has."""
    return {name: content for name, content in files_of(run).items() if Path(name).name not in NOT_COPIED}


def manifest_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / "holter-sync.json").read_text("utf-8"))


def assert_no_partial_files(copy: Path, run: Path) -> set[str]:
    """Check that every file with its final name, and every listed file, is complete. Return the listed files."""
    expected, listed = expected_of(run), set()
    for name, content in files_of(copy).items():
        if not name.endswith(".tmp"):
            assert content == expected[name], f"{name} has its final name and is incomplete"
    for path in copy.rglob("holter-sync.json"):
        prefix = "" if path.parent == copy else f"{path.parent.name}/"
        for name, facts in json.loads(path.read_text("utf-8"))["files"].items():
            content = (path.parent / name).read_bytes()
            assert (facts["size"], facts["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
            listed.add(prefix + name)
    return listed


def assert_is_copy(copy: Path, run: Path) -> None:
    """Check that the copy has exactly the files of a complete copy."""
    found, expected = files_of(copy), expected_of(run)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert assert_no_partial_files(copy, run) == found.keys()
    assert all(manifest_of(path.parent)["is_complete"] for path in copy.rglob("holter-sync.json"))
