"""The listing of a run's Parquet parts, including merged and damaged ones."""

import os
import shutil
from pathlib import Path

import holter
from holter._parts import Part, list_parts


def record(run_dir: Path) -> holter.Logger:
    """Return an open logger with two closed parts of ten rows."""
    logger = holter.Logger(run_dir, sinks=("parquet",))
    for start in (0, 10):
        for step in range(start, start + 10):
            logger.log(step, "loss", step / 2)
        logger.flush(60)
    return logger


def test_parts_are_listed_by_number(run_dir):
    with record(run_dir):
        assert list_parts(run_dir / "parquet") == [
            Part("part-000000.parquet", 0, [], 10),
            Part("part-000001.parquet", 1, [], 10),
        ]


def test_merged_part_lists_the_parts_it_replaces(run_dir, tmp_path):
    logger = record(run_dir)
    shutil.copytree(run_dir / "parquet", tmp_path / "before")
    logger.close()
    merged = Part("part-000002.parquet", 2, [0, 1], 20)
    assert list_parts(run_dir / "parquet") == [merged]
    shutil.copytree(tmp_path / "before", run_dir / "parquet", dirs_exist_ok=True)
    assert [part.number for part in list_parts(run_dir / "parquet")] == [0, 1, 2]


def test_unreadable_parts_are_skipped(run_dir):
    record(run_dir).close()
    folder = run_dir / "parquet"
    content = (folder / "part-000002.parquet").read_bytes()
    for number, damaged in enumerate([b"", b"PAR1", b"\xff\xff\xff\xffPAR1", content[:-1]], start=3):
        (folder / f"part-{number:06}.parquet").write_bytes(damaged)
    os.mkfifo(folder / "part-000090.parquet")
    (folder / "part-000091.parquet").mkdir()
    (folder / "part-7.parquet").write_bytes(content)
    assert [part.number for part in list_parts(folder)] == [2]


def test_missing_folder_has_no_parts(tmp_path):
    assert list_parts(tmp_path / "parquet") == []
