"""Each error that a user can make at the command line: the message names the cause and the way out."""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import holter

FAILED, USAGE = 1, 2


def nothing(runs: Path) -> None:
    del runs


def no_folder(runs: Path) -> None:
    shutil.rmtree(runs)


def empty_folder(runs: Path) -> None:
    shutil.rmtree(runs)
    runs.mkdir()


def a_file_instead(runs: Path) -> None:
    shutil.rmtree(runs)
    runs.write_text("")


def manifest_damaged(runs: Path) -> None:
    (runs / "prose" / "run.json").write_text("{half")


def manifest_missing(runs: Path) -> None:
    (runs / "prose" / "run.json").unlink()


def database_damaged(runs: Path) -> None:
    database = runs / "prose" / "metrics.sqlite"
    database.write_bytes(b"this is no database" * 1000)


def newer_format(runs: Path) -> None:
    path = runs / "prose" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))


def foreign_files(runs: Path) -> None:
    shutil.rmtree(runs)
    (runs / "photos").mkdir(parents=True)
    (runs / "photos" / "cat.jpg").write_bytes(b"\xff\xd8")


def twins(runs: Path) -> None:
    for folder in ("a", "b"):
        holter.Logger(runs / folder, name="twin", journal_points=1 << 10).close()


def no_points(runs: Path) -> None:
    holter.Logger(runs / "new", journal_points=1 << 10).close()


def output_there(runs: Path) -> None:
    Path("points.csv").write_text("mine")


# The state of the folder, the command line, the exit status, the cause and the way out.
ERRORS = [
    (nothing, "lz", USAGE, "No such command 'lz'", "holter --help"),
    (nothing, "shwo prose", USAGE, "No such command 'shwo'", "Did you mean 'show'"),
    (nothing, "show prose --jsn", USAGE, "No such option '--jsn'", "Did you mean '--json'"),
    (nothing, "show", USAGE, "Missing argument 'RUN'", "holter show --help"),
    # RUN
    (nothing, "show proze", FAILED, "there is no run 'proze'", "did you mean 'prose'?"),
    (nothing, "show runs/proze", FAILED, "there is no run 'runs/proze'", "did you mean 'runs/prose'?"),
    (nothing, "show something-else", FAILED, "there is no run 'something-else'", "runs has 2 runs (prose, code)"),
    (nothing, "show elsewhere/x", FAILED, "there is no folder 'elsewhere'", "HOLTER_DIR"),
    (nothing, "show runs", FAILED, "runs is no run itself", "name one of them; `holter ls runs`"),
    (nothing, "show runs/prose/metrics.sqlite", FAILED, "is a file of the run runs/prose", "name runs/prose"),
    (a_file_instead, "show runs", FAILED, "runs is a file, and a run is a directory", "holter.Logger was given"),
    (no_folder, "show prose", FAILED, "there is no run 'prose', and there is no folder 'runs'", "`holter demo`"),
    (empty_folder, "show prose", FAILED, "runs holds no runs", "`holter demo` records a first one"),
    (empty_folder, "show runs", FAILED, "runs is empty", "the directory that holter.Logger was given"),
    (foreign_files, "show runs/photos", FAILED, "runs/photos holds no run (no run.json)", "holter.Logger was given"),
    (manifest_missing, "show prose", FAILED, "no run.json: it was copied in part", "copy the whole directory again"),
    (manifest_damaged, "show prose", FAILED, "run.json is damaged", "`holter doctor runs/prose`"),
    (newer_format, "show prose", FAILED, "format version 99; this Holter reads up to 1", "upgrade it"),
    (database_damaged, "show prose", FAILED, "not a database", "`holter doctor RUN` looks into it"),
    (twins, "show twin", FAILED, "2 runs are named 'twin': runs/a, runs/b", "name one of them by its path"),
    # PATTERN
    (nothing, "show prose los", FAILED, "no series of runs/prose matches 'los'", "did you mean 'train/loss'?"),
    (nothing, "show prose zzz", FAILED, "no series of runs/prose matches 'zzz'", "it has 15 series: attention_entropy"),
    (no_points, "show new loss", FAILED, "runs/new has no points yet", "`holter tail` waits"),
    # ls
    (no_folder, "ls", FAILED, "there is no folder 'runs'", "HOLTER_DIR"),
    (a_file_instead, "ls", FAILED, "runs is a file, and runs lie in a folder", "name the folder that it is in"),
    (manifest_damaged, "ls", FAILED, "runs/prose cannot be read: ", "damaged"),
    (newer_format, "ls", FAILED, "runs/prose cannot be read: ", "upgrade it"),
    (nothing, "ls --sort age", USAGE, "'age' is not one of", "'updated'"),
    (nothing, "ls --config lr", USAGE, "'lr' has no '='", "write KEY=VALUE"),
    # tail
    (nothing, "tail prose --every 0", USAGE, "0 is not in the range", "x>=0.05"),
    (nothing, "tail nowhere", FAILED, "there is no run 'nowhere'", "`holter ls runs` lists them"),
    # export
    (nothing, "export prose", USAGE, "Missing option '-o'", "holter export --help"),
    (nothing, "export prose -o points", USAGE, "does not say which format", "--format parquet|csv|jsonl"),
    (nothing, "export prose -o points.csv --format xls", USAGE, "'xls' is not one of", "'parquet', 'csv', 'jsonl'"),
    (nothing, "export prose -o - --format parquet", USAGE, "Parquet cannot go to the standard output", "name a file"),
    (output_there, "export prose -o points.csv", FAILED, "points.csv is there already", "--force"),
    (nothing, "export prose -o runs --format csv", FAILED, "runs is a directory", "name a file in it"),
    (nothing, "export prose -o a/b.csv", FAILED, "there is no directory a", "mkdir -p a"),
    (nothing, "export prose --pattern zzz -o a.csv", FAILED, "no series of runs/prose matches 'zzz'", "15 series"),
    # plot
    (nothing, "plot prose", USAGE, "Missing argument 'PATTERN...'", "holter plot --help"),
    (nothing, "plot prose zzz", FAILED, "no series of runs/prose matches 'zzz'", "it has 15 series"),
    (nothing, "plot prose *loss* --band std --heatmap", USAGE, "two ways to draw the same series", "take one"),
    (nothing, "plot prose *loss* --with code --heatmap", USAGE, "a heatmap shows one run", "leave --with out"),
    (nothing, "plot prose *loss* --start 9 --stop 9", USAGE, "start must be less than stop", "got 9 and 9"),
    (nothing, "plot prose *loss* --x time", USAGE, "x must be", '"wall"'),
    (nothing, "plot prose *loss* --x metric:zz", FAILED, "'zz'", "`holter show RUN` lists the series"),
    (nothing, "plot prose *loss* --band sdt", USAGE, "'sdt' is not one of", "'std', 'quantile', 'minmax'"),
    (nothing, "plot prose *loss* -o loss.gif", USAGE, "'loss.gif' does not end in", ".png, .svg, .pdf, .html"),
    (nothing, "plot prose *loss* -o a/b.png", FAILED, "there is no directory a", "mkdir -p a"),
    # serve
    (a_file_instead, "serve", FAILED, "runs is a file, and runs lie in a folder", "name the folder that it is in"),
    (nothing, "serve --port 99999", USAGE, "99999 is not in the range", "0<=x<=65535"),
    (nothing, "serve --token short", USAGE, "the token must have at least 16 characters", "prints one"),
    (nothing, "serve --host no.such.host.invalid", FAILED, "cannot resolve the host", "such as 127.0.0.1"),
    # report
    (nothing, "report", USAGE, "Missing argument 'RUN...'", "holter report --help"),
    (nothing, "report nowhere", FAILED, "there is no run 'nowhere'", "`holter ls runs` lists them"),
    (nothing, "report prose -o runs", FAILED, "runs is a directory", "name a file in it"),
    (output_there, "report prose -o points.csv", FAILED, "points.csv is there already", "--force"),
    # compare
    (nothing, "compare", USAGE, "Missing argument 'RUN...'", "holter compare --help"),
    (nothing, "compare prose cod", FAILED, "there is no run 'cod'", "did you mean 'code'?"),
    (nothing, "compare prose code --at 5k", USAGE, "'5k' is no step", "such as 5000,10000"),
    (nothing, "compare prose code --target 20", USAGE, "'20' is no target", "such as val/ppl=20"),
    (nothing, "compare prose code --format html", USAGE, "'html' is not one of", "'markdown'"),
    # doctor
    (nothing, "doctor proze", FAILED, "there is no run 'proze'", "did you mean 'prose'?"),
    (no_folder, "doctor", FAILED, "there is no folder 'runs'", "HOLTER_DIR"),
    (manifest_damaged, "doctor prose", FAILED, "run.json is damaged", "copy it again"),
    (newer_format, "doctor prose", FAILED, "format version 99", "pip install --upgrade holter"),
    (database_damaged, "doctor prose", FAILED, "not a database", "Parquet files may still be read"),
    # recover
    (nothing, "recover", USAGE, "Missing argument 'RUN...'", "holter recover --help"),
    (nothing, "recover proze", FAILED, "there is no run 'proze'", "did you mean 'prose'?"),
    (manifest_damaged, "recover prose", FAILED, "run.json is damaged", "run.json"),
    # completion
    (nothing, "completion tcsh", USAGE, "'tcsh' is not one of", "'bash', 'zsh', 'fish'"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{error[0].__name__}-{error[1]}")
def test_the_message_names_the_cause_and_the_way_out(error, runs, invoke):
    prepare, command_line, status, cause, way_out = error
    prepare(runs)
    before = Path("points.csv").read_text() if Path("points.csv").exists() else None
    result = invoke(*command_line.split())
    said = result.stderr + (result.stdout if command_line.startswith("doctor") else "")
    assert result.status == status, result
    assert cause in said
    assert way_out in said
    assert "Traceback" not in said
    assert "[Errno" not in said
    assert not re.search(r"Error: *\n", said)
    if before is not None:
        assert Path("points.csv").read_text() == before


# What may not be read, the command line, the cause and the way out.
CLOSED = [
    ("runs", "ls", "Permission denied", "`ls -ld runs` shows who may"),
    ("runs/prose", "show prose", "ermission denied", "`holter doctor runs/prose` looks into it"),
    ("runs/prose/run.json", "show prose", "Permission denied", "`holter doctor runs/prose`"),
    ("runs/prose/run.json", "doctor prose", "Permission denied", "you may not read runs/prose/run.json"),
]


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without the powers of root, under which no file is closed to the tests."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def reachable(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A copy of the runs as `./runs`, below folders that everybody may pass through; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(recorded, Path(folder, "runs"))
        monkeypatch.delenv("HOLTER_DIR", raising=False)
        monkeypatch.chdir(folder)
        yield
        monkeypatch.undo()


@pytest.mark.parametrize("error", CLOSED, ids=lambda error: f"{error[0]}-{error[1]}")
def test_what_may_not_be_read_is_said(error, invoke, reachable):
    closed, command_line, cause, way_out = error
    invoke(*command_line.split())  # imports what is imported late, while it may be read
    Path(closed).chmod(0)
    try:
        with as_nobody():
            result = invoke(*command_line.split())
    finally:
        Path(closed).chmod(0o755)
    assert result.status == FAILED
    assert cause in result.stderr + result.stdout
    assert way_out in result.stderr + result.stdout
    assert "[Errno" not in result.stderr


def test_a_wrong_environment_is_said(runs, invoke, monkeypatch):
    monkeypatch.setenv("HOLTER_MODE", "of")
    result = invoke("ls")
    assert result.status == FAILED
    assert "HOLTER_MODE must be 'on' or 'disabled', got 'of'" in result.stderr
    assert "unset the variable" in result.stderr


def test_parquet_without_pyarrow_says_what_to_install(runs, invoke, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    result = invoke("export", "prose", "-o", "points.parquet")
    assert result.status == FAILED
    assert "pyarrow, which is not installed" in result.stderr
    assert "pip install 'holter[arrow]', or choose --format csv or jsonl" in result.stderr
    assert list(Path.cwd().glob(".points*")) == []


def test_what_a_path_says_cannot_command_the_terminal(runs, invoke):
    """Catches a message that repeats a directory's name as it is."""
    (runs / "\x1b[31mred").mkdir()
    (runs / "\x1b[31mred" / "run.json").write_text("{")
    for command_line in (["ls"], ["show", "\x1b[31mred"], ["doctor"], ["recover", "runs/\x1b[31mred"]):
        result = invoke(*command_line)
        assert result.status == FAILED
        assert "\x1b" not in result.stdout + result.stderr
        assert "\\x1b[31mred" in result.stdout + result.stderr
