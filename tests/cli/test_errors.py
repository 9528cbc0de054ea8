"""Errors at the command line: each message states the cause and a hint."""

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
    database.write_bytes(b"not a database" * 1000)


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


# The state of the folder, the command line, the exit status, the cause and the hint.
ERRORS = [
    (nothing, "lz", USAGE, "No such command 'lz'", "holter --help"),
    (nothing, "shwo prose", USAGE, "No such command 'shwo'", "Did you mean 'show'"),
    (nothing, "show prose --jsn", USAGE, "No such option '--jsn'", "Did you mean '--json'"),
    (nothing, "show", USAGE, "Missing argument 'RUN'", "holter show --help"),
    # RUN
    (nothing, "show proze", FAILED, "run 'proze' does not exist", "did you mean 'prose'?"),
    (nothing, "show runs/proze", FAILED, "run 'runs/proze' does not exist", "did you mean 'runs/prose'?"),
    (
        nothing,
        "show something-else",
        FAILED,
        "run 'something-else' does not exist",
        "runs contains 2 runs (prose, code)",
    ),
    (nothing, "show elsewhere/x", FAILED, "folder 'elsewhere' does not exist", "HOLTER_DIR"),
    (nothing, "show runs", FAILED, "runs is a folder of runs, not a run", "pass one of them; `holter ls runs`"),
    (nothing, "show runs/prose/metrics.sqlite", FAILED, "is a file of the run runs/prose", "pass runs/prose"),
    (a_file_instead, "show runs", FAILED, "runs is a file; expected the directory of a run", "given to holter.Logger"),
    (no_folder, "show prose", FAILED, "run 'prose' does not exist: folder 'runs' does not exist", "`holter demo`"),
    (empty_folder, "show prose", FAILED, "runs contains no runs", "`holter demo` records a first run"),
    (empty_folder, "show runs", FAILED, "runs is empty", "the directory that was given to holter.Logger"),
    (
        foreign_files,
        "show runs/photos",
        FAILED,
        "runs/photos is not a run: it has no run.json",
        "given to holter.Logger",
    ),
    (manifest_missing, "show prose", FAILED, "no run.json: the copy is incomplete", "copy the whole directory again"),
    (manifest_damaged, "show prose", FAILED, "run.json is damaged", "`holter doctor runs/prose`"),
    (newer_format, "show prose", FAILED, "format version 99", "upgrade Holter"),
    (database_damaged, "show prose", FAILED, "not a database", "`holter doctor RUN` to diagnose it"),
    (twins, "show twin", FAILED, "2 runs are named 'twin': runs/a, runs/b", "pass the path of one of them"),
    # PATTERN
    (nothing, "show prose los", FAILED, "no series of runs/prose match 'los'", "did you mean 'train/loss'?"),
    (nothing, "show prose zzz", FAILED, "no series of runs/prose match 'zzz'", "it has 15 series: attention_entropy"),
    (no_points, "show new loss", FAILED, "runs/new has no points yet", "`holter tail` waits"),
    # ls
    (no_folder, "ls", FAILED, "folder 'runs' does not exist", "HOLTER_DIR"),
    (a_file_instead, "ls", FAILED, "runs is a file; expected a folder of runs", "pass the folder that contains it"),
    (manifest_damaged, "ls", FAILED, "runs/prose cannot be read: ", "damaged"),
    (newer_format, "ls", FAILED, "runs/prose cannot be read: ", "upgrade Holter"),
    (nothing, "ls --sort age", USAGE, "'age' is not one of", "'updated'"),
    (nothing, "ls --config lr", USAGE, "'lr' is not a setting", "expected KEY=VALUE"),
    # tail
    (nothing, "tail prose --every 0", USAGE, "0 is not in the range", "x>=0.05"),
    (nothing, "tail nowhere", FAILED, "run 'nowhere' does not exist", "`holter ls runs` lists them"),
    # export
    (nothing, "export prose", USAGE, "Missing option '-o'", "holter export --help"),
    (nothing, "export prose -o points", USAGE, "the format of 'points' is unknown", "--format parquet|csv|jsonl"),
    (nothing, "export prose -o points.csv --format xls", USAGE, "'xls' is not one of", "'parquet', 'csv', 'jsonl'"),
    (
        nothing,
        "export prose -o - --format parquet",
        USAGE,
        "Parquet cannot be written to standard output",
        "pass a file name",
    ),
    (output_there, "export prose -o points.csv", FAILED, "points.csv already exists", "--force"),
    (nothing, "export prose -o runs --format csv", FAILED, "runs is a directory", "add a file name"),
    (nothing, "export prose -o a/b.csv", FAILED, "directory a does not exist", "mkdir -p a"),
    (nothing, "export prose --pattern zzz -o a.csv", FAILED, "no series of runs/prose match 'zzz'", "15 series"),
    # plot
    (nothing, "plot prose", USAGE, "Missing argument 'PATTERN...'", "holter plot --help"),
    (nothing, "plot prose zzz", FAILED, "no series of runs/prose match 'zzz'", "it has 15 series"),
    (
        nothing,
        "plot prose *loss* --band std --heatmap",
        USAGE,
        "--band and --heatmap exclude each other",
        "pass one of them",
    ),
    (nothing, "plot prose *loss* --with code --heatmap", USAGE, "a heatmap shows one run", "omit --with"),
    (nothing, "plot prose *loss* --start 9 --stop 9", USAGE, "start must be less than stop", "got 9 and 9"),
    (nothing, "plot prose *loss* --x time", USAGE, "x must be", '"wall"'),
    (nothing, "plot prose *loss* --x metric:zz", FAILED, "'zz'", "`holter show RUN` lists the series"),
    (nothing, "plot prose *loss* --band sdt", USAGE, "'sdt' is not one of", "'std', 'quantile', 'minmax'"),
    (
        nothing,
        "plot prose *loss* -o loss.gif",
        USAGE,
        "unknown file format '.gif' of 'loss.gif'",
        ".png, .svg, .pdf, .html",
    ),
    (nothing, "plot prose *loss* -o a/b.png", FAILED, "directory a does not exist", "mkdir -p a"),
    # serve
    (a_file_instead, "serve", FAILED, "runs is a file; expected a folder of runs", "pass the folder that contains it"),
    (nothing, "serve --port 99999", USAGE, "99999 is not in the range", "0<=x<=65535"),
    (nothing, "serve --token short", USAGE, "the token must have at least 16 characters", "prints one"),
    (nothing, "serve --host no.such.host.invalid", FAILED, "cannot resolve the host", "such as 127.0.0.1"),
    # report
    (nothing, "report", USAGE, "Missing argument 'RUN...'", "holter report --help"),
    (nothing, "report nowhere", FAILED, "run 'nowhere' does not exist", "`holter ls runs` lists them"),
    (nothing, "report prose -o runs", FAILED, "runs is a directory", "add a file name"),
    (output_there, "report prose -o points.csv", FAILED, "points.csv already exists", "--force"),
    # compare
    (nothing, "compare", USAGE, "Missing argument 'RUN...'", "holter compare --help"),
    (nothing, "compare prose cod", FAILED, "run 'cod' does not exist", "did you mean 'code'?"),
    (nothing, "compare prose code --at 5k", USAGE, "'5k' is not a step", "expected an integer such as 5000"),
    (nothing, "compare prose code --target 20", USAGE, "'20' is not a target", "such as val/ppl=20"),
    (nothing, "compare prose code --format html", USAGE, "'html' is not one of", "'markdown'"),
    # doctor
    (nothing, "doctor proze", FAILED, "run 'proze' does not exist", "did you mean 'prose'?"),
    (no_folder, "doctor", FAILED, "folder 'runs' does not exist", "HOLTER_DIR"),
    (manifest_damaged, "doctor prose", FAILED, "run.json is damaged", "copy it again"),
    (newer_format, "doctor prose", FAILED, "format version 99", "pip install --upgrade holter"),
    (database_damaged, "doctor prose", FAILED, "not a database", "Parquet readers may still read"),
    # recover
    (nothing, "recover", USAGE, "Missing argument 'RUN...'", "holter recover --help"),
    (nothing, "recover proze", FAILED, "run 'proze' does not exist", "did you mean 'prose'?"),
    (manifest_damaged, "recover prose", FAILED, "run.json is damaged", "run.json"),
    # completion
    (nothing, "completion tcsh", USAGE, "'tcsh' is not one of", "'bash', 'zsh', 'fish'"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{error[0].__name__}-{error[1]}")
def test_errors_state_the_cause_and_a_hint(error, runs, invoke):
    prepare, command_line, status, cause, hint = error
    prepare(runs)
    before = Path("points.csv").read_text() if Path("points.csv").exists() else None
    result = invoke(*command_line.split())
    output = result.stderr + (result.stdout if command_line.startswith("doctor") else "")
    assert result.status == status, result
    assert cause in output
    assert hint in output
    assert "Traceback" not in output
    assert "[Errno" not in output
    assert not re.search(r"Error: *\n", output)
    if before is not None:
        assert Path("points.csv").read_text() == before


# The unreadable path, the command line, the cause and the hint.
CLOSED = [
    ("runs", "ls", "Permission denied", "`ls -ld runs` shows the permissions"),
    ("runs/prose", "show prose", "ermission denied", "`holter doctor runs/prose` to diagnose it"),
    ("runs/prose/run.json", "show prose", "Permission denied", "`holter doctor runs/prose`"),
    ("runs/prose/run.json", "doctor prose", "Permission denied", "no permission to read runs/prose/run.json"),
]


@contextlib.contextmanager
def without_root() -> Iterator[None]:
    """Drop root's permissions, with which every file is readable."""
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
    """A copy of the runs as `./runs`, below folders that everyone may traverse, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(recorded, Path(folder, "runs"))
        monkeypatch.delenv("HOLTER_DIR", raising=False)
        monkeypatch.chdir(folder)
        yield
        monkeypatch.undo()


@pytest.mark.parametrize("error", CLOSED, ids=lambda error: f"{error[0]}-{error[1]}")
def test_missing_permissions_are_reported(error, invoke, reachable):
    closed, command_line, cause, hint = error
    invoke(*command_line.split())  # so that all imports happen with permissions
    Path(closed).chmod(0)
    try:
        with without_root():
            result = invoke(*command_line.split())
    finally:
        Path(closed).chmod(0o755)
    assert result.status == FAILED
    assert cause in result.stderr + result.stdout
    assert hint in result.stderr + result.stdout
    assert "[Errno" not in result.stderr


def test_an_invalid_environment_variable_is_reported(runs, invoke, monkeypatch):
    monkeypatch.setenv("HOLTER_MODE", "of")
    result = invoke("ls")
    assert result.status == FAILED
    assert "HOLTER_MODE must be 'on' or 'disabled', got 'of'" in result.stderr
    assert "unset the variable" in result.stderr


def test_parquet_without_pyarrow_is_reported_with_its_extra(runs, invoke, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    result = invoke("export", "prose", "-o", "points.parquet")
    assert result.status == FAILED
    assert "pyarrow, which is not installed" in result.stderr
    assert "pip install 'holter[arrow]', or choose --format csv or jsonl" in result.stderr
    assert list(Path.cwd().glob(".points*")) == []


def test_paths_in_messages_are_escaped(runs, invoke):
    """Catches a message with an unescaped directory name."""
    (runs / "\x1b[31mred").mkdir()
    (runs / "\x1b[31mred" / "run.json").write_text("{")
    for command_line in (["ls"], ["show", "\x1b[31mred"], ["doctor"], ["recover", "runs/\x1b[31mred"]):
        result = invoke(*command_line)
        assert result.status == FAILED
        assert "\x1b" not in result.stdout + result.stderr
        assert "\\x1b[31mred" in result.stdout + result.stderr
