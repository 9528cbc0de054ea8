"""Syncing to real remotes (a folder, an S3-compatible server, an FTP server), and continuing after SIGKILL."""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fsspec
import fsspec.config
import fsspec.implementations.local
import pyarrow.dataset
import pytest

import holter
import recipes
import remotes
import run_files
from holter.syncing import Destination, sync_run, verify_run
from remotes import Remote
from run_copies import assert_is_copy, assert_no_partial_files, files_of

CHILD = [sys.executable, "-W", "error", "-m", "syncing_child"]
SUPPORT = Path(remotes.__file__).parent
CALLS = {"file": (4, 9), "s3": (8, 25), "ftp": (8, 25)}
"""The progress calls after which the sync is killed; a complete sync makes 10 for files and about 30 for the others."""


def destination_of(remote: Remote) -> Destination:
    return Destination(remote.url, **remote.options)


def kill(run: Path, remote: Remote, calls: int) -> None:
    environment = {**os.environ, **remote.environment, "PYTHONPATH": os.pathsep.join([str(SUPPORT), *sys.path])}
    command = [*CHILD, run, remote.url, str(calls)]
    done = subprocess.run(command, env=environment, timeout=120, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_copy_grows_with_its_run(remote: Remote, tmp_path: Path, recording) -> None:
    check_growing(remote, tmp_path / "runs" / "run-1", recording)


def test_copy_grows_over_sftp(tmp_path: Path, recording) -> None:
    pytest.importorskip("paramiko", reason="paramiko is not installed")
    if remotes.SSHD is None or not Path("/run/sshd").is_dir():
        pytest.skip("sshd cannot be started")
    with remotes.serving_sftp(tmp_path) as remote:
        check_growing(remote, tmp_path / "runs" / "run-1", recording)


def check_growing(remote: Remote, run: Path, recording: Callable[..., holter.Logger]) -> None:
    """Copy a run while it is recorded and after it was closed."""
    copy = remote.folder / "run-1"
    destination = destination_of(remote)
    loggers = [recording(run, parts=2, rank=rank) for rank in range(2)]
    first = sync_run(run, destination)
    assert sum(name.endswith(".parquet") for name in first.copied) == 4
    assert verify_run(run, destination) == (len(first.copied), [])
    for logger in loggers:
        logger.close()
    second = sync_run(run, destination)
    assert len(second.removed) == 4
    assert_is_copy(copy, run)
    assert sync_run(run, destination).copied == {}
    assert verify_run(run, destination) == (6, [])


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
def test_pyarrow_reads_the_points_from_the_object_store(remote: Remote, run: Path) -> None:
    sync_run(run, destination_of(remote))
    store = fsspec.filesystem("s3", skip_instance_cache=True, **remote.options)
    files = store.glob("bucket/copies/*/parquet/*.parquet") + store.glob("bucket/copies/*/*/parquet/*.parquet")
    table = pyarrow.dataset.dataset(files, filesystem=store).to_table()
    for rank in range(2):
        rows = [(row["name"], row["step"], row["value"]) for row in table.to_pylist() if row["rank"] == rank]
        folder = run / "rank-00001" if rank else run
        run_files.assert_same_points(run_files.as_points(rows), run_files.sqlite_points(folder))
        assert len(rows) == 800


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
def test_examples_in_the_documentation_run(remote: Remote, run: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Every Python block of docs/sync.md runs unchanged; the store's options come from fsspec's configuration."""
    pytest.importorskip("duckdb")
    monkeypatch.setitem(fsspec.config.conf, "s3", remote.options)
    run.rename(run.with_name("run-2"))
    monkeypatch.chdir(run.parent.parent)
    blocks = {block.section: block.code for block in recipes.blocks("sync.md") if block.language == "python"}
    assert blocks.keys() == {"Reading a copy", "From Python"}
    for section in ("From Python", "Reading a copy"):  # the copy must exist before it is read
        code = blocks[section].replace("s3://bucket/runs", "s3://bucket/copies")
        names: dict[str, object] = {}
        exec(compile(code, "docs/sync.md", "exec"), names)
    assert "'parquet/part-000000.parquet'" in capsys.readouterr().out
    assert len(names["losses"]) == 200
    assert_is_copy(remote.folder / "run-2", run.with_name("run-2"))


@pytest.mark.parametrize("remote", ["s3"], indirect=True)
def test_missing_bucket_is_not_created(remote: Remote, run: Path) -> None:
    """Catches a typo that creates a bucket."""
    with pytest.raises(
        OSError, match=r"cannot write run-1/parquet/part-000000.parquet: The specified bucket does not exist"
    ):
        sync_run(run, Destination("s3://bukcet/copies", **remote.options))
    assert [path.name for path in remote.folder.parent.parent.iterdir()] == ["bucket"]


def test_large_part_is_uploaded_completely(remote: Remote, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches errors in uploads of several blocks; for S3 a multipart upload, as for parts above 50 MB."""
    if remote.url.startswith("s3"):
        monkeypatch.setattr("s3fs.core.calculate_chunksize", lambda *_args, **_options: 5 << 20)
    (run / "parquet" / "part-000001.parquet").write_bytes(random.Random(0).randbytes((11 << 20) + 1))
    calls: list[int] = []
    sync_run(run, destination_of(remote), on_progress=lambda done, _total: calls.append(done))
    assert_is_copy(remote.folder / "run-1", run)
    assert calls == sorted(calls)


@pytest.mark.parametrize("moment", range(2))
def test_next_sync_continues_a_killed_one(remote: Remote, crashed: Path, tmp_path: Path, moment: int) -> None:
    """After SIGKILL in either rank, no partial file has a final name, and no file in the manifest is copied again."""
    run, copy = Path(shutil.copytree(crashed, tmp_path / "run-1")), remote.folder / "run-1"
    kill(run, remote, calls=CALLS[remote.url.partition(":")[0]][moment])
    listed = assert_no_partial_files(copy, run)
    assert listed
    destination = destination_of(remote)
    done = sync_run(run, destination)
    assert done.copied
    assert listed.isdisjoint(done.copied)
    assert_is_copy(copy, run)  # without unfinished files
    assert verify_run(run, destination)[1] == []


def test_kill_within_a_file_leaves_only_a_temporary_file(crashed: Path, tmp_path: Path) -> None:
    """The next sync removes it. FTP, because it sends a file in blocks."""
    pytest.importorskip("pyftpdlib")
    run = Path(shutil.copytree(crashed, tmp_path / "run-1"))
    part = run / "parquet" / "part-000000.parquet"
    part.write_bytes(part.read_bytes() * 20)
    with remotes.serving("ftp", tmp_path / "remote") as remote:
        kill(run, remote, calls=4)
        left = files_of(remote.folder / "run-1")
        assert [name.endswith(".holter-sync.tmp") for name in left] == [True]
        assert 0 < len(next(iter(left.values()))) < part.stat().st_size
        sync_run(run, destination_of(remote))
        assert_is_copy(remote.folder / "run-1", run)


def test_ftp_server_without_overwriting_rename(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyftpdlib")
    with remotes.serving_old_ftp(tmp_path / "remote") as remote:
        sync_run(run, destination_of(remote))
        with (run / "summary.jsonl").open("a") as file:
            file.write('{"step": 1000}\n')
        assert sync_run(run, destination_of(remote)).copied.keys() == {"summary.jsonl"}
        assert_is_copy(remote.folder / "run-1", run)


def test_remote_without_atomic_put_and_rename(run: Path) -> None:
    files = fsspec.filesystem("memory")
    try:
        destination = Destination("memory://copies")
        assert len(sync_run(run, destination).copied) == 6
        assert sync_run(run, destination).copied == {}
        assert verify_run(run, destination) == (6, [])
        assert files.cat_file("/copies/run-1/run.json") == (run / "run.json").read_bytes()
    finally:
        files.store.clear()
        files.pseudo_dirs[:] = [""]


class FullDisk(fsspec.implementations.local.LocalFileSystem):
    """A disk that silently truncates files."""

    protocol = "full"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("full://"))

    def put_file(self, path1: str, path2: str, callback: object = None, **kwargs: object) -> None:
        super().put_file(path1, path2)
        size = Path(path2).stat().st_size
        os.truncate(path2, size - 1)


def test_truncated_upload_never_gets_its_final_name(run: Path, tmp_path: Path) -> None:
    fsspec.register_implementation("full", FullDisk, clobber=True)
    with pytest.raises(OSError, match=r"cannot write run-1/parquet/part-000000.parquet: only \d+ of \d+ bytes arrived"):
        sync_run(run, Destination(f"full://{tmp_path}/copies"))
    assert files_of(tmp_path / "copies") == {}


def test_server_that_went_away_is_reported(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyftpdlib")
    with remotes.serving("ftp", tmp_path / "remote") as remote:
        destination = destination_of(remote)
    with pytest.raises(OSError, match="cannot list run-1"):
        sync_run(run, destination)
    with pytest.raises(OSError, match="cannot be opened"):
        destination_of(remote)


def test_downloaded_copy_is_readable(remote: Remote, run: Path, tmp_path: Path) -> None:
    sync_run(run, destination_of(remote))
    files, path = fsspec.url_to_fs(remote.url, skip_instance_cache=True, **remote.options)
    files.get(f"{path}/run-1", str(tmp_path / "fetched"), recursive=True)
    assert files_of(tmp_path / "fetched").keys() == files_of(remote.folder / "run-1").keys()
    found = holter.open_run(tmp_path / "fetched")
    assert found.ranks == [0, 1]
    assert len(found.series("train/loss", rank=1)) == 200
