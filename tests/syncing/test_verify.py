"""Verifying a copy: damage of every kind is found and can be repaired."""

from pathlib import Path

import pytest

from holter.syncing import Damage, Destination, sync_run, verify_run
from remotes import Remote
from run_copies import assert_is_copy


def test_flipped_byte_and_truncated_file_are_found_and_repaired(remote: Remote, run: Path) -> None:
    copy, destination = remote.folder / "run-1", Destination(remote.url, **remote.options)
    sync_run(run, destination)
    part, lines = copy / "rank-00001/parquet/part-000000.parquet", copy / "summary.jsonl"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    size = lines.stat().st_size
    lines.write_bytes(lines.read_bytes()[:-1])
    count, damage = verify_run(run, destination)
    assert count == 6
    assert sorted(damage, key=lambda file: file.name) == [
        Damage("rank-00001/parquet/part-000000.parquet", "its checksum differs from the manifest"),
        Damage("summary.jsonl", f"it has {size - 1} bytes instead of {size}"),
    ]
    done = sync_run(run, destination, recopy={file.name for file in damage})
    assert done.copied.keys() == {file.name for file in damage}
    assert verify_run(run, destination) == (6, [])
    assert_is_copy(copy, run)


def test_missing_files_are_found(run: Path, destination: Destination, copy: Path) -> None:
    sync_run(run, destination)
    (copy / "parquet/part-000000.parquet").unlink()
    (copy / "rank-00001/holter-sync.json").unlink()
    assert [(file.name, file.reason.split(",")[0]) for file in verify_run(run, destination)[1]] == [
        ("rank-00001/holter-sync.json", "it is missing"),
        ("parquet/part-000000.parquet", "it is missing"),
    ]


def test_every_byte_is_verified(run: Path, destination: Destination, copy: Path) -> None:
    sync_run(run, destination)
    file = copy / "run.json"
    content = file.read_bytes()
    for index in range(0, len(content), 97):
        file.write_bytes(content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :])
        assert [damage.name for damage in verify_run(run, destination)[1]] == ["run.json"]
    file.write_bytes(content)
    assert verify_run(run, destination) == (6, [])


def test_missing_copy_is_reported(run: Path, destination: Destination) -> None:
    count, damage = verify_run(run, destination)
    assert count == 0
    assert [file.name for file in damage] == ["holter-sync.json", "rank-00001/holter-sync.json"]


def test_progress_counts_the_bytes_read(run: Path, destination: Destination) -> None:
    size = sync_run(run, destination).num_bytes
    calls: list[tuple[int, int]] = []
    verify_run(run, destination, on_progress=lambda *numbers: calls.append(numbers))
    assert calls[-1] == (size, size)
    assert calls == sorted(calls)


@pytest.mark.parametrize("name", ["", ".", "a//b", "../run-1"])
def test_invalid_names_are_rejected(run: Path, destination: Destination, name: str) -> None:
    with pytest.raises(ValueError, match="not a valid destination"):
        verify_run(run, destination, name=name)
