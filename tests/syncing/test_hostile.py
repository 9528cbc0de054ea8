"""Names and files that somebody made to have something else read, copied, overwritten or removed; and passwords."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import holter
import remotes
from holter.syncing import Destination, sync_run, verify_run
from holter.syncing._footer import replaced_parts
from holter.syncing._names import checked_folder, is_copied, part_number
from holter.syncing._secrets import Redaction
from run_copies import assert_is_copy, files_of, manifest_of

SECRET = b"not for others"


def leak(tmp_path: Path) -> Path:
    """A folder outside of the run that looks like a part of one."""
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in ("part-000007.parquet", "summary.jsonl", "run.json", "secret"):
        (folder / name).write_bytes(SECRET + b"\n")
    return folder


def link_a_part(run: Path, outside: Path) -> str:
    (run / "parquet" / "part-000007.parquet").symlink_to(outside / "secret")
    return "parquet/part-000007.parquet"


def link_the_parts(run: Path, outside: Path) -> str:
    shutil.rmtree(run / "parquet")
    (run / "parquet").symlink_to(outside)
    return "parquet"


def link_the_lines(run: Path, outside: Path) -> str:
    (run / "summary.jsonl").unlink()
    (run / "summary.jsonl").symlink_to(outside / "secret")
    return "summary.jsonl"


def link_the_manifest(run: Path, outside: Path) -> str:
    content = (run / "run.json").read_bytes()
    (outside / "run.json").write_bytes(content.replace(b"{", b'{"secret": "not for others", ', 1))
    (run / "run.json").unlink()
    (run / "run.json").symlink_to(outside / "run.json")
    return "run.json"


def link_a_rank(run: Path, outside: Path) -> str:
    shutil.rmtree(run / "rank-00001")
    shutil.copy(run / "run.json", outside / "run.json")
    (run / "rank-00001").symlink_to(outside)
    return "rank-00001"


def a_pipe(run: Path, _outside: Path) -> str:
    """Which would be waited for."""
    os.mkfifo(run / "parquet" / "part-000007.parquet")
    return "parquet/part-000007.parquet"


@pytest.mark.parametrize("spoil", [link_a_part, link_the_parts, link_the_lines, link_the_manifest, link_a_rank, a_pipe])
def test_no_link_is_followed(spoil: Callable[[Path, Path], str], run: Path, tmp_path: Path, destination, copy) -> None:
    name = spoil(run, leak(tmp_path))
    done = sync_run(run, destination)
    assert [one.name for one in done.left_out] == [name]
    assert name not in files_of(copy)
    assert [path for path, content in files_of(copy).items() if SECRET in content] == []
    assert len(done.copied) >= 3, "the rest is copied"


def test_the_run_itself_may_be_named_by_a_link(run: Path, tmp_path: Path, destination) -> None:
    (tmp_path / "latest").symlink_to(run)
    assert sync_run(tmp_path / "latest", destination).name == "latest"
    assert_is_copy(tmp_path / "copies" / "latest", run)


def test_other_files_of_the_folder_are_not_copied(run: Path, destination: Destination, copy: Path) -> None:
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


def test_a_manifest_at_the_destination_names_nothing_else(run: Path, tmp_path: Path, destination, copy) -> None:
    """Catches a name of the remote's that leads to another file's being read, believed or removed."""
    sync_run(run, destination)
    outside = tmp_path / "copies" / "other" / "run.json"
    outside.parent.mkdir()
    outside.write_bytes(SECRET)
    said = manifest_of(copy)
    entry = {"size": len(SECRET), "sha256": "0" * 64, "mtime_ns": 0}
    for name in ("../other/run.json", "/etc/passwd", "parquet/../../other/run.json", "parquet/part-000099.parquet/x"):
        said["files"][name] = entry
    said["files"]["parquet/part-000000.parquet"] = {"size": "1", "sha256": None, "mtime_ns": []}
    (copy / "holter-sync.json").write_text(json.dumps(said))
    assert verify_run(run, destination) == (5, [])
    assert sync_run(run, destination).copied.keys() == {"parquet/part-000000.parquet"}
    assert outside.read_bytes() == SECRET
    assert_is_copy(copy, run)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"version": "1"}', b'{"version": 1, "run_id": 1}', b"[" * 100_000]
)
def test_a_manifest_that_is_none_is_made_anew(run: Path, destination, copy, content: bytes) -> None:
    sync_run(run, destination)
    (copy / "holter-sync.json").write_bytes(content)
    assert [one.name for one in verify_run(run, destination)[1]] == ["holter-sync.json"]
    assert len(sync_run(run, destination).copied) == 3
    assert_is_copy(copy, run)


def test_a_manifest_of_a_newer_holter_is_not_touched(run: Path, destination, copy) -> None:
    sync_run(run, destination)
    before = (copy / "holter-sync.json").read_text().replace('"version": 1', '"version": 2')
    (copy / "holter-sync.json").write_text(before)
    for call in (sync_run, verify_run):
        with pytest.raises(holter.FormatVersionError, match="has version 2, and this Holter knows 1"):
            call(run, destination)
    assert (copy / "holter-sync.json").read_text() == before


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/../b", "/a", "a/", "a\\..\\b", "a?versionId=b", "a\nb", "a\u202eb", "\udcff"]
)
def test_names_that_could_lead_elsewhere_are_refused(run: Path, destination, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no place for a copy"):
        sync_run(run, destination, name=name)
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize("name", ["run-1", "exp/run-1", "lr=3e-4, [warm] #2", "läuft", "~", "a*b", "s3:", ".hidden"])
def test_names_that_only_look_odd_are_taken_as_they_are(remote, run: Path, name: str) -> None:
    assert checked_folder(name) == name
    sync_run(run, Destination(remote.url, **remote.options), name=name)
    assert_is_copy(remote.folder / name, run)


def test_which_files_belong_to_a_copy() -> None:
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


def test_a_footer_that_lies(tmp_path: Path) -> None:
    """Catches a footer that is searched beyond the file, or that takes the memory it asks for."""
    pair = b"\x18\x0fholter.replaces\x18"
    files = {
        b"": None,
        b"PAR1": None,
        b"\xff\xff\xff\xffPAR1": None,
        b"\x00\x00\x00\x00PAR1": None,
        pair + b"\x031,2" + (len(pair) + 4).to_bytes(4, "little") + b"PAR1": frozenset({1, 2}),
        pair + b"\xff\xff\xff\xff\x7f1,x," + (len(pair) + 9).to_bytes(4, "little") + b"PAR1": frozenset({1}),
    }
    for content, expected in files.items():
        path = tmp_path / "part"
        path.write_bytes(content)
        with path.open("rb") as file:
            assert replaced_parts(file.fileno()) == expected


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
def test_a_password_is_not_shown(url: str) -> None:
    assert Redaction(url, {}).url == URLS[url]


def test_a_password_is_hidden_in_messages_too() -> None:
    redaction = Redaction("ftp://me:p%40ss@host/x?sig=abc", {"secret": "xyz", "endpoint_url": "http://host"})
    assert redaction.clean("p%40ss p@ss sig=abc xyz http://host") == "*** *** *** *** http://host"


def test_no_message_holds_the_password(run: Path, tmp_path: Path) -> None:
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
def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises((ValueError, ImportError), match=r"is no URL|Protocol not known|names no bucket|Install s3fs"):
        Destination(url)
