"""Which runs are found in files and directories, how they are called, and what a new run must not touch."""

import os
import shutil

import pytest

import holter
from holter.formats import directory_name, find_sources, import_source

LINE = '{"step": 1, "loss": 0.5}\n'


def lay(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            LINE if path.suffix in {".jsonl", ".txt"} else "step,loss\n1,0.5\n" if path.suffix == ".csv" else ""
        )


def found(path, kind=None):
    return [(source.name, source.kind) for source in find_sources(path, kind)]


def test_of_a_directory_what_loggers_write_is_taken(tmp_path):
    lay(
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


def test_a_file_is_called_by_what_says_most(tmp_path):
    lay(tmp_path, "exp/metrics.jsonl", "exp/seed-7.jsonl", "exp/x.csv", "tb/events.out.tfevents.5.host")
    assert found(tmp_path / "exp" / "metrics.jsonl") == [("exp", "jsonl")]
    assert found(tmp_path / "exp" / "seed-7.jsonl") == [("seed-7", "jsonl")]
    assert found(tmp_path / "tb" / "events.out.tfevents.5.host") == [("tb", "tfevents")]


def test_the_format_is_told_by_the_content_where_the_name_does_not(tmp_path):
    lay(tmp_path, "x.txt")
    (tmp_path / "y.txt").write_text("epoch;loss\n1;2\n")
    (tmp_path / "z.txt").write_text("hello\n")
    assert found(tmp_path / "x.txt") == [("x", "jsonl")]
    assert found(tmp_path / "y.txt") == [("y", "csv")]
    with pytest.raises(ValueError, match=r"z\.txt does not say in which format it is"):
        find_sources(tmp_path / "z.txt")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (source,) = find_sources(tmp_path / "pipe.jsonl")
    with pytest.raises(ValueError, match="is no file"):
        list(source.read())


def test_runs_of_our_own_are_not_looked_into(tmp_path):
    with holter.Logger(tmp_path / "runs" / "mine", journal_points=1 << 10) as logger:
        logger.log(1, "loss", 0.5)
    lay(tmp_path / "runs", "other/metrics.csv")
    assert found(tmp_path / "runs") == [("other", "csv")]
    with pytest.raises(ValueError, match="is a run of Holter's already; copy its directory"):
        find_sources(tmp_path / "runs" / "mine")
    with pytest.raises(FileNotFoundError, match="no file or directory"):
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
def test_a_name_becomes_one_plain_directory(name, directory):
    assert directory_name(name) == directory


def test_a_run_that_is_there_is_not_written_into(tmp_path):
    lay(tmp_path, "x.jsonl")
    (source,) = find_sources(tmp_path / "x.jsonl")
    (tmp_path / "run").mkdir()
    with pytest.raises(FileExistsError, match="is there already; an import makes a new run"):
        import_source(source, tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_what_fails_on_the_way_leaves_nothing(tmp_path):
    lay(tmp_path, "x.jsonl")
    (source,) = find_sources(tmp_path / "x.jsonl")
    seen = []

    def fail(bytes_read):
        seen.extend((tmp_path / "runs").iterdir())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_source(source, tmp_path / "runs" / "run", progress=fail)
    assert [path.name.startswith(".holter-import-") for path in seen] == [True]
    assert list((tmp_path / "runs").iterdir()) == []


def test_the_run_says_where_it_came_from_and_is_complete(tmp_path):
    lay(tmp_path, "x.jsonl")
    (source,) = find_sources(tmp_path / "x.jsonl")
    done = import_source(source, tmp_path / "runs" / "run", name="my run")
    run = holter.open_run(tmp_path / "runs" / "run")
    assert (done.path, run.name, run.status, run.tags) == (run.path, "my run", "finished", ("imported",))
    assert run.config == {"imported": {"format": "jsonl", "files": [str(tmp_path / "x.jsonl")]}}
    assert holter.recover(run.path) == 0
    shutil.rmtree(tmp_path / "runs")


def test_a_disabled_logger_is_said(tmp_path, monkeypatch):
    lay(tmp_path, "x.jsonl")
    (source,) = find_sources(tmp_path / "x.jsonl")
    monkeypatch.setenv("HOLTER_MODE", "disabled")
    with pytest.raises(RuntimeError, match="HOLTER_MODE is disabled"):
        import_source(source, tmp_path / "run")
