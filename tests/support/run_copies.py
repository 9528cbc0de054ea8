"""What has to be true of a copy at every moment, looked at as plain files."""

import hashlib
import json
from pathlib import Path

NOT_COPIED = {"metrics.sqlite", "metrics.sqlite-wal", "metrics.sqlite-shm", "journal.holter"}


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a copy by their names, but for what it says of itself."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "holter-sync.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def expected_of(run: Path) -> dict[str, bytes]:
    """The files that the copy of a run has."""
    return {name: content for name, content in files_of(run).items() if Path(name).name not in NOT_COPIED}


def manifest_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / "holter-sync.json").read_text("utf-8"))


def assert_nothing_is_half(copy: Path, run: Path) -> set[str]:
    """Every file that has its name is whole, and so is all that the copy says is there, which is returned."""
    expected, said = expected_of(run), set()
    for name, content in files_of(copy).items():
        if not name.endswith(".tmp"):
            assert content == expected[name], f"{name} has its name and is not whole"
    for path in copy.rglob("holter-sync.json"):
        prefix = "" if path.parent == copy else f"{path.parent.name}/"
        for name, facts in json.loads(path.read_text("utf-8"))["files"].items():
            content = (path.parent / name).read_bytes()
            assert (facts["size"], facts["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
            said.add(prefix + name)
    return said


def assert_is_copy(copy: Path, run: Path) -> None:
    """The copy has all of a run that a copy has, and nothing else."""
    found, expected = files_of(copy), expected_of(run)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
    assert assert_nothing_is_half(copy, run) == found.keys()
    assert all(manifest_of(path.parent)["is_complete"] for path in copy.rglob("holter-sync.json"))
