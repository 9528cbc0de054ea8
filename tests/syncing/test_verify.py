"""A copy is read back: whatever is not as it was copied is found, and can be mended."""

from pathlib import Path

import pytest

from holter.syncing import Damage, Destination, sync_run, verify_run
from remotes import Remote
from run_copies import assert_is_copy


def test_a_flipped_byte_and_a_truncated_file_are_found_and_mended(remote: Remote, run: Path) -> None:
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
    assert sorted(damage, key=lambda one: one.name) == [
        Damage("rank-00001/parquet/part-000000.parquet", "its content is not what was copied: the checksums differ"),
        Damage("summary.jsonl", f"it has {size - 1} bytes, and {size} were copied"),
    ]
    done = sync_run(run, destination, again={one.name for one in damage})
    assert done.copied.keys() == {one.name for one in damage}
    assert verify_run(run, destination) == (6, [])
    assert_is_copy(copy, run)


def test_what_is_missing_is_found(run: Path, destination: Destination, copy: Path) -> None:
    sync_run(run, destination)
    (copy / "parquet/part-000000.parquet").unlink()
    (copy / "rank-00001/holter-sync.json").unlink()
    assert [(one.name, one.reason.split(",")[0]) for one in verify_run(run, destination)[1]] == [
        ("rank-00001/holter-sync.json", "it is missing"),
        ("parquet/part-000000.parquet", "it is missing"),
    ]


def test_every_single_byte_counts(run: Path, destination: Destination, copy: Path) -> None:
    sync_run(run, destination)
    file = copy / "run.json"
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert [one.name for one in verify_run(run, destination)[1]] == ["run.json"]
    file.write_bytes(whole)
    assert verify_run(run, destination) == (6, [])


def test_nothing_was_copied_yet(run: Path, destination: Destination) -> None:
    count, damage = verify_run(run, destination)
    assert count == 0
    assert [one.name for one in damage] == ["holter-sync.json", "rank-00001/holter-sync.json"]


def test_progress_counts_what_was_read(run: Path, destination: Destination) -> None:
    size = sync_run(run, destination).num_bytes
    told: list[tuple[int, int]] = []
    verify_run(run, destination, progress=lambda *numbers: told.append(numbers))
    assert told[-1] == (size, size)
    assert told == sorted(told)


@pytest.mark.parametrize("name", ["", ".", "a//b", "../run-1"])
def test_no_name_leads_out_of_the_destination(run: Path, destination: Destination, name: str) -> None:
    with pytest.raises(ValueError, match="no place for a copy"):
        verify_run(run, destination, name=name)
