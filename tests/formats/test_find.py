"""Detecting runs in files and directories, naming them, and creating runs without touching existing ones."""

import os
import shutil

import pytest

import holter
from holter.formats import UnknownFormatError, directory_name, find_sources, import_source

LINE = '{"step": 1, "loss": 0.5}\n'


def create_files(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            LINE if path.suffix in {".jsonl", ".txt"} else "step,loss\n1,0.5\n" if path.suffix == ".csv" else ""
        )


def found(path, kind=None):
    return [(source.name, source.kind) for source in find_sources(path, kind)]


def test_directory_is_searched_for_files_of_loggers(tmp_path):
    create_files(
        tmp_path,
        "b/metrics.csv",
        "a/c/metrics.jsonl",
        "data.csv",
        "d/events.out.tfevents.1.host",
        ".hidden/metrics.csv",
    )
    (tmp_path / "link").symlink_to(tmp_path / "b")
    assert found(tmp_path) == [("a/c", "jsonl"), ("b", "csv"), ("d", "tfevents")]
    assert found(tmp_path, "csv") == [("b", "csv"), ("data", "csv")]
    assert found(tmp_path / "b") == [("b", "csv")]
    assert found(tmp_path / "d") == [("d", "tfevents")]
    assert found(tmp_path / "a" / "c", "tfevents") == []


def test_generic_file_names_yield_the_directory_name(tmp_path):
    create_files(tmp_path, "exp/metrics.jsonl", "exp/seed-7.jsonl", "exp/x.csv", "tb/events.out.tfevents.5.host")
    assert found(tmp_path / "exp" / "metrics.jsonl") == [("exp", "jsonl")]
    assert found(tmp_path / "exp" / "seed-7.jsonl") == [("seed-7", "jsonl")]
    assert found(tmp_path / "tb" / "events.out.tfevents.5.host") == [("tb", "tfevents")]


def test_unknown_suffix_is_resolved_by_content(tmp_path):
    create_files(tmp_path, "x.txt")
    (tmp_path / "y.txt").write_text("epoch;loss\n1;2\n")
    (tmp_path / "z.txt").write_text("hello\n")
    assert found(tmp_path / "x.txt") == [("x", "jsonl")]
    assert found(tmp_path / "y.txt") == [("y", "csv")]
    with pytest.raises(
        UnknownFormatError, match=r"the format of .*z\.txt is unknown; expected one of tfevents, jsonl, csv, neptune"
    ):
        find_sources(tmp_path / "z.txt")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (source,) = find_sources(tmp_path / "pipe.jsonl")
    with pytest.raises(ValueError, match="is not a regular file"):
        list(source.read())


def test_holter_runs_are_skipped(tmp_path):
    with holter.Logger(tmp_path / "runs" / "mine", journal_points=1 << 10) as logger:
        logger.log(1, "loss", 0.5)
    create_files(tmp_path / "runs", "other/metrics.csv")
    assert found(tmp_path / "runs") == [("other", "csv")]
    with pytest.raises(ValueError, match="is already a Holter run; copy the directory"):
        find_sources(tmp_path / "runs" / "mine")
    with pytest.raises(FileNotFoundError, match="no such file or directory"):
        find_sources(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("a/b c", "a-b-c"),
        ("..", "run"),
        ("../../etc", "etc"),
        (".x", "x"),
        ("é_1.5", "é_1.5"),
        ("\x1b[31m", "31m"),
        ("/", "run"),
    ],
)
def test_run_name_becomes_a_valid_directory_name(name, directory):
    assert directory_name(name) == directory


def test_existing_directory_is_not_changed(tmp_path):
    create_files(tmp_path, "x.jsonl")
    (source,) = find_sources(tmp_path / "x.jsonl")
    (tmp_path / "run").mkdir()
    with pytest.raises(FileExistsError, match="already exists; choose a new directory"):
        import_source(source, tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_interrupted_import_leaves_no_files(tmp_path):
    create_files(tmp_path, "x.jsonl")
    (source,) = find_sources(tmp_path / "x.jsonl")
    seen = []

    def fail(bytes_read):
        seen.extend((tmp_path / "runs").iterdir())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_source(source, tmp_path / "runs" / "run", on_progress=fail)
    assert [path.name.startswith(".holter-import-") for path in seen] == [True]
    assert list((tmp_path / "runs").iterdir()) == []


def test_imported_run_is_finished_and_names_its_source(tmp_path):
    create_files(tmp_path, "x.jsonl")
    (source,) = find_sources(tmp_path / "x.jsonl")
    done = import_source(source, tmp_path / "runs" / "run", name="my run")
    run = holter.open_run(tmp_path / "runs" / "run")
    assert (done.path, run.name, run.status, run.tags) == (run.path, "my run", "finished", ("imported",))
    assert run.config == {"imported": {"format": "jsonl", "files": [str(tmp_path / "x.jsonl")]}}
    assert holter.recover(run.path) == 0
    shutil.rmtree(tmp_path / "runs")


def test_disabled_recording_is_an_error(tmp_path, monkeypatch):
    create_files(tmp_path, "x.jsonl")
    (source,) = find_sources(tmp_path / "x.jsonl")
    monkeypatch.setenv("HOLTER_MODE", "disabled")
    with pytest.raises(RuntimeError, match="recording is disabled by HOLTER_MODE"):
        import_source(source, tmp_path / "run")
