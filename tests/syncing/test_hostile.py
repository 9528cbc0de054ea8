"""Hostile names and files that try to make a sync read, overwrite or remove other files; and password redaction."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import holter
import remotes
from holter.syncing import Destination, sync_run, verify_run
from holter.syncing._names import checked_folder, is_copied, part_number
from holter.syncing._secrets import Redaction
from run_copies import assert_is_copy, files_of, manifest_of

SECRET = b"private content"


def outside_folder(tmp_path: Path) -> Path:
    """A folder outside the run with files that look like a run's."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("part-000007.parquet", "summary.jsonl", "run.json", "secret"):
        (folder / name).write_bytes(SECRET + b"\n")
    return folder


def link_part(run: Path, outside: Path) -> str:
    (run / "parquet" / "part-000007.parquet").symlink_to(outside / "secret")
    return "parquet/part-000007.parquet"


def link_parts_folder(run: Path, outside: Path) -> str:
    shutil.rmtree(run / "parquet")
    (run / "parquet").symlink_to(outside)
    return "parquet"


def link_jsonl(run: Path, outside: Path) -> str:
    (run / "summary.jsonl").unlink()
    (run / "summary.jsonl").symlink_to(outside / "secret")
    return "summary.jsonl"


def link_manifest(run: Path, outside: Path) -> str:
    content = (run / "run.json").read_bytes()
    (outside / "run.json").write_bytes(content.replace(b"{", b'{"secret": "private content", ', 1))
    (run / "run.json").unlink()
    (run / "run.json").symlink_to(outside / "run.json")
    return "run.json"


def link_rank(run: Path, outside: Path) -> str:
    shutil.rmtree(run / "rank-00001")
    shutil.copy(run / "run.json", outside / "run.json")
    (run / "rank-00001").symlink_to(outside)
    return "rank-00001"


def create_fifo(run: Path, _outside: Path) -> str:
    """A FIFO, which would block a plain `open`."""
    os.mkfifo(run / "parquet" / "part-000007.parquet")
    return "parquet/part-000007.parquet"


@pytest.mark.parametrize("spoil", [link_part, link_parts_folder, link_jsonl, link_manifest, link_rank, create_fifo])
def test_symlinks_are_not_followed(
    spoil: Callable[[Path, Path], str], run: Path, tmp_path: Path, destination, copy
) -> None:
    name = spoil(run, outside_folder(tmp_path))
    done = sync_run(run, destination)
    assert [file.name for file in done.left_out] == [name]
    assert name not in files_of(copy)
    assert [path for path, content in files_of(copy).items() if SECRET in content] == []
    assert len(done.copied) >= 3, "the other files are copied"


def test_run_may_be_a_symlink(run: Path, tmp_path: Path, destination) -> None:
    (tmp_path / "latest").symlink_to(run)
    assert sync_run(tmp_path / "latest", destination).name == "latest"
    assert_is_copy(tmp_path / "copies" / "latest", run)


def test_unrelated_files_are_not_copied(run: Path, destination: Destination, copy: Path) -> None:
    expected = {name for name in files_of(run) if "sqlite" not in name}
    for name in (
        "part-7.parquet",
        ".part-000009.parquet.tmp",
        "part-000009.parquet.tmp",
        "part-\uff10\uff10\uff10\uff1009.parquet",
        "x",
    ):
        (run / "parquet" / name).write_bytes(SECRET)
    (run / "rank-1").mkdir()
    for name in ("rank-1/run.json", ".env", "id_rsa", "checkpoint.pt", "run.json.tmp"):
        (run / name).write_bytes(SECRET)
    sync_run(run, destination)
    assert files_of(copy).keys() == expected


def test_manifest_entries_outside_the_copy_are_ignored(run: Path, tmp_path: Path, destination, copy) -> None:
    """Catches a remote name that makes a sync read, trust or remove another file."""
    sync_run(run, destination)
    outside = tmp_path / "copies" / "other" / "run.json"
    outside.parent.mkdir()
    outside.write_bytes(SECRET)
    manifest = manifest_of(copy)
    entry = {"size": len(SECRET), "sha256": "0" * 64, "mtime_ns": 0}
    for name in ("../other/run.json", "/etc/passwd", "parquet/../../other/run.json", "parquet/part-000099.parquet/x"):
        manifest["files"][name] = entry
    manifest["files"]["parquet/part-000000.parquet"] = {"size": "1", "sha256": None, "mtime_ns": []}
    (copy / "holter-sync.json").write_text(json.dumps(manifest))
    assert verify_run(run, destination) == (5, [])
    assert sync_run(run, destination).copied.keys() == {"parquet/part-000000.parquet"}
    assert outside.read_bytes() == SECRET
    assert_is_copy(copy, run)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"version": "1"}', b'{"version": 1, "run_id": 1}', b"[" * 100_000]
)
def test_invalid_manifest_is_rewritten(run: Path, destination, copy, content: bytes) -> None:
    sync_run(run, destination)
    (copy / "holter-sync.json").write_bytes(content)
    assert [file.name for file in verify_run(run, destination)[1]] == ["holter-sync.json"]
    assert len(sync_run(run, destination).copied) == 3
    assert_is_copy(copy, run)


def test_manifest_of_a_newer_version_is_not_changed(run: Path, destination, copy) -> None:
    sync_run(run, destination)
    before = (copy / "holter-sync.json").read_text().replace('"version": 1', '"version": 2')
    (copy / "holter-sync.json").write_text(before)
    for call in (sync_run, verify_run):
        with pytest.raises(holter.FormatVersionError, match="version 2 is newer than the supported version 1"):
            call(run, destination)
    assert (copy / "holter-sync.json").read_text() == before


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/../b", "/a", "a/", "a\\..\\b", "a?versionId=b", "a\nb", "a\u202eb", "\udcff"]
)
def test_unsafe_names_are_rejected(run: Path, destination, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a valid destination"):
        sync_run(run, destination, name=name)
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize("name", ["run-1", "exp/run-1", "lr=3e-4, [warm] #2", "läuft", "~", "a*b", "s3:", ".hidden"])
def test_unusual_but_safe_names_are_accepted(remote, run: Path, name: str) -> None:
    assert checked_folder(name) == name
    sync_run(run, Destination(remote.url, **remote.options), name=name)
    assert_is_copy(remote.folder / name, run)


def test_only_known_file_names_belong_to_a_copy() -> None:
    assert [part_number(name) for name in ("part-000000.parquet", "part-1234567.parquet")] == [0, 1234567]
    odd = (
        "part-0000001.parquet",
        "part-00001.parquet",
        "part-\u0660\u0660\u0660\u0660\u0660\u0661.parquet",
        "part-000001.parquet\n",
        "xpart-000001.parquet",
    )
    assert [part_number(name) for name in odd] == [None] * len(odd)
    assert not any(
        map(is_copied, ("parquet/run.json", "x/part-000000.parquet", "part-000000.parquet", "journal.holter"))
    )


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff\xff\xff\xffPAR1", b"\x00\x00\x00\x00PAR1", bytes(10_000)])
def test_damaged_parts_are_copied_unchanged(run: Path, destination, copy: Path, content: bytes) -> None:
    """Catches a damaged footer that ends the sync, or hides the parts that a merged one replaces."""
    part = run / "parquet" / "part-000000.parquet"
    (run / "parquet" / "part-000009.parquet").write_bytes(part.read_bytes())
    part.write_bytes(content)
    done = sync_run(run, destination)
    assert "parquet/part-000009.parquet" in done.copied
    assert ("parquet/part-000000.parquet" in done.copied) == bool(content)
    assert (copy / "parquet" / "part-000009.parquet").exists()


URLS = {
    "ftp://me:pass@host/x": "ftp://me:***@host/x",
    "ftp://me@host/x": "ftp://me@host/x",
    "sftp://me:p@ss/w:rd@host:22/x@y": "sftp://me:***@y",
    "simplecache::ftp://me:pass@host/x": "simplecache:***@host/x",
    "me:pass@host:/x": "me:***@host:/x",
    "abfs://c@account/x?sig=abc": "abfs://c@account/x?***",
    "s3://bucket/a": "s3://bucket/a",
}


@pytest.mark.parametrize("url", URLS)
def test_password_in_the_url_is_hidden(url: str) -> None:
    assert Redaction(url, {}).url == URLS[url]


def test_password_in_messages_is_hidden() -> None:
    redaction = Redaction("ftp://me:p%40ss@host/x?sig=abc", {"secret": "xyz", "endpoint_url": "http://host"})
    assert redaction.clean("p%40ss p@ss sig=abc xyz http://host") == "*** *** *** *** http://host"


def test_errors_do_not_contain_the_password(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyftpdlib")
    with remotes.serving("ftp", tmp_path / "remote") as remote:
        host = remote.url.partition("@")[2]
        with pytest.raises(OSError, match="cannot be opened: 530") as wrong:
            Destination(f"ftp://me:wr0ng@{host}")
        destination = Destination(f"ftp://{host}", username=remotes.USER, password=remotes.PASSWORD)
        (tmp_path / "remote" / "copies").write_text("a file in the way")
        with pytest.raises(OSError, match="cannot") as failed:
            sync_run(run, destination)
    assert "wr0ng" not in str(wrong.value)
    assert remotes.PASSWORD not in str(failed.value)
    assert wrong.value.__cause__ is None
    assert wrong.value.__suppress_context__


@pytest.mark.parametrize("url", ["host:/path", "me@host:path", "nothing://x", "s3://"])
def test_invalid_url_is_rejected(url: str) -> None:
    with pytest.raises(
        (ValueError, ImportError), match=r"is not a URL|Protocol not known|does not name a bucket|Install s3fs"
    ):
        Destination(url)
