"""`holter sync`: output on a terminal, in a pipe and as JSON, and exit statuses."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import holter
import remotes
from run_copies import assert_is_copy
from waiting import wait_until

pytest.importorskip("fsspec")

COMMAND = [sys.executable, "-W", "error", "-m", "holter.cli", "sync"]


def test_runs_of_a_folder_are_copied_to_their_relative_paths(runs, invoke):
    Path("runs/exp").mkdir()
    Path("runs/code").rename("runs/exp/code")
    result = invoke("sync", "runs", "copies")
    assert (result.status, result.stderr) == (0, "")
    assert re.fullmatch(
        r"prose: 3 files, \d+\.\d kB copied, 0 unchanged\nexp/code: 3 files, \d+\.\d kB copied, 0 unchanged\n",
        result.stdout,
    )
    for name in ("prose", "exp/code"):
        assert_is_copy(Path("copies", name), runs / name)
    again = invoke("sync", "runs", f"file://{Path.cwd()}/copies")
    assert (again.status, again.stdout) == (0, "prose: up to date, 3 files\nexp/code: up to date, 3 files\n")


def test_a_run_is_copied_to_its_name_or_the_given_one(runs, invoke):
    assert invoke("sync", "prose", "runs/../runs/code/.", "copies").status == 0
    assert invoke("sync", "prose", "copies", "--name", "2026/prose").stdout.startswith("2026/prose: 3 files")
    for name, run in (("prose", "prose"), ("code", "code"), ("2026/prose", "prose")):
        assert_is_copy(Path("copies", name), runs / run)


def test_two_runs_with_the_same_name_are_rejected(runs, invoke):
    shutil.copytree("runs/code", "other/prose")
    result = invoke("sync", "prose", "other/prose", "copies")
    assert result.status == 1
    assert "runs/prose and other/prose would both be copied to prose" in result.stderr
    result = invoke("sync", "runs", "copies", "--name", "x")
    assert result.status == 1
    assert result.stderr.endswith("would both be copied to x\n--name is for one run\n")
    assert not Path("copies").exists()


def test_a_dry_run_lists_the_files(runs, invoke):
    result = invoke("sync", "prose", "copies", "--dry-run")
    assert result.status == 0
    assert [line.split("  ")[:2] for line in result.stdout.splitlines()][1:] == [
        ["", "parquet/part-000000.parquet"],
        ["", "summary.jsonl"],
        ["", "run.json"],
    ]
    assert re.match(r"prose: 3 files, \d+\.\d kB would be copied, 0 unchanged\n", result.stdout)
    assert not Path("copies").exists()
    assert invoke("sync", "prose", "copies", "--dry-run", "--follow").status == 2


def test_json_document(runs, invoke):
    document = json.loads(invoke("sync", "runs", "copies", "--json").stdout)
    assert document.keys() == {"url", "is_dry_run", "runs", "problems"}
    assert (document["url"], document["is_dry_run"], document["problems"]) == ("copies", False, [])
    prose = document["runs"][0]
    assert prose.pop("num_bytes") == sum(
        Path("copies/prose", name).stat().st_size
        for name in ("run.json", "summary.jsonl", "parquet/part-000000.parquet")
    )
    assert prose == {
        "path": "runs/prose",
        "name": "prose",
        "status": "finished",
        "is_live": False,
        "copied": ["parquet/part-000000.parquet", "run.json", "summary.jsonl"],
        "num_unchanged": 0,
        "removed": [],
        "skipped": [],
    }
    verified = json.loads(invoke("sync", "prose", "copies", "--json", "--verify").stdout)["runs"][0]
    assert (verified["copied"], verified["num_verified"], verified["damaged"]) == ([], 3, [])


def test_verify_finds_and_repairs_damage(runs, invoke):
    assert invoke("sync", "prose", "copies", "--verify").stdout.endswith("prose: 3 files verified\n")
    part = Path("copies/prose/parquet/part-000000.parquet")
    content = bytearray(part.read_bytes())
    content[500] ^= 1
    part.write_bytes(content)
    assert invoke("sync", "prose", "copies").stdout == "prose: up to date, 3 files\n"
    message = "Error: runs/prose: parquet/part-000000.parquet is damaged in the copy: its checksum differs"
    dry_run = invoke("sync", "prose", "copies", "--verify", "--dry-run")
    assert dry_run.status == 1
    assert message in dry_run.stderr
    assert part.read_bytes() == content
    repaired = invoke("sync", "prose", "copies", "--verify")
    assert repaired.status == 1
    assert message in repaired.stderr
    assert repaired.stdout.endswith("prose: repaired 1 of 1 damaged file\n")
    assert_is_copy(Path("copies/prose"), runs / "prose")
    assert invoke("sync", "prose", "copies", "--verify").status == 0


def test_skipped_files_are_reported(runs, invoke):
    (runs / "prose" / "summary.jsonl").unlink()
    (runs / "prose" / "summary.jsonl").symlink_to("/etc/hostname")
    result = invoke("sync", "runs", "copies")
    assert result.status == 1
    assert "Error: runs/prose: summary.jsonl was not copied: symlinks are not followed" in result.stderr
    assert_is_copy(Path("copies/code"), runs / "code")


def test_a_failure_does_not_affect_other_runs(runs, invoke):
    (runs / "broken").mkdir()
    (runs / "broken" / "run.json").write_text("{")
    Path("copies").mkdir()
    Path("copies/prose").write_text("a file in the way")
    result = invoke("sync", "runs", "copies")
    assert result.status == 1
    assert "Error: runs/broken: " in result.stderr
    assert "Error: runs/prose: copies: cannot list prose/parquet: not a directory" in result.stderr
    assert_is_copy(Path("copies/code"), runs / "code")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("prosa", "copies"), 1, "did you mean 'prose'?"),
        (("prose", "nothing://x"), 1, "nothing://x: Protocol not known: nothing"),
        (("prose", "host:copies"), 1, "is not a URL: use sftp://host/path"),
        (("prose", "runs"), 1, "into the run itself"),
        (("ftp://me:hidden@host/copies", "runs"), 2, "expected local runs first and the URL last"),
        (("prose",), 2, "Missing argument 'RUN|RUNS...'"),
    ],
)
def test_invalid_arguments_are_reported(runs, invoke, arguments, status, message):
    result = invoke("sync", *arguments)
    assert result.status == status
    assert message in result.stderr
    assert "hidden" not in result.stderr


def test_missing_fsspec_is_reported_with_its_extra(runs, invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    result = invoke("sync", "prose", "copies")
    assert result.status == 1
    assert result.stderr == "Error: syncing needs fsspec; install it with: pip install 'holter[sync]'\n"


def test_passwords_are_not_printed(runs, tmp_path, piped):
    """On success and on failure, on all outputs."""
    pytest.importorskip("pyftpdlib")
    with remotes.serving("ftp", tmp_path / "remote") as remote:
        host = remote.url.partition("@")[2]
        wrong = piped("sync", "prose", f"ftp://me:wr0ng@{host}")
        assert wrong.returncode == 1
        assert f"Error: ftp://me:***@{host} cannot be opened: 530" in wrong.stderr
        right = piped("sync", "prose", remote.url, "--json", "--verify", FSSPEC_FTP_PASSWORD=remotes.PASSWORD)
        assert (right.returncode, json.loads(right.stdout)["problems"]) == (0, [])
    shown = [text for done in (wrong, right) for text in (done.stdout, done.stderr)]
    assert [text for text in shown if "wr0ng" in text or remotes.PASSWORD in text or "Traceback" in text] == []


def test_names_are_escaped(runs, invoke):
    (runs / "prose").rename(runs / "\x1b[31m")
    result = invoke("sync", "runs", "copies")
    assert result.status == 1
    assert "\x1b" not in result.stdout + result.stderr
    assert "is not a valid destination: it contains '\\x1b'" in result.stderr
    odd = "[bold] run"
    (runs / "\x1b[31m").rename(runs / odd)
    assert f"{odd}: 3 files" in invoke("sync", "runs", "copies").stdout


def test_a_large_part_shows_a_bar_on_a_terminal(runs, terminal):
    (runs / "prose" / "parquet" / "part-000001.parquet").write_bytes(bytes(9_000_000))
    session = terminal("sync", "prose", "copies")
    session.finish()
    assert session.process.returncode == 0, session.text
    assert re.search(r"prose .*\d/9\.\d MB", session.plain), session.plain
    assert re.search(r"prose: 4 files, 9\.\d MB copied, 0 unchanged", session.plain)


@dataclass
class Following:
    """A running command and its output so far."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition; fail if the command ends first."""
        wait_until(lambda: condition() or self.process.poll() is not None, secs=60)
        assert condition(), self.stderr


@contextmanager
def following(tmp_path: Path, *arguments: object, **environment: str) -> Iterator[Following]:
    """Start the command, following `./live`."""
    with ExitStack() as stack:
        outputs = [stack.enter_context((tmp_path / name).open("w")) for name in ("stdout", "stderr")]
        process = subprocess.Popen(
            [*COMMAND, "live", *map(str, arguments), "--every", "0.05"],
            stdout=outputs[0],
            stderr=outputs[1],
            cwd=tmp_path,
            env={**os.environ, **environment},
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield Following(process, tmp_path)


def test_a_run_is_followed_until_it_ends(tmp_path):
    """Catches a missing last pass: the copy is complete when the command ends."""
    with holter.Logger(tmp_path / "live", sinks=("parquet",)) as logger:
        logger.log(0, "loss", 1.0)
        logger.flush()
        with following(tmp_path, "copies", "--json") as command:
            copy = tmp_path / "copies" / "live"
            command.until((copy / "parquet" / "part-000000.parquet").exists)
            logger.log(1, "loss", 0.5)
            logger.flush()
            command.until((copy / "parquet" / "part-000001.parquet").exists)
            logger.close()
            assert command.process.wait(60) == 0
            passes = [json.loads(line) for line in command.stdout.splitlines()]
    assert_is_copy(copy, tmp_path / "live")
    assert len(passes) >= 3
    assert [document["runs"][0]["is_live"] for document in passes] == [True] * (len(passes) - 1) + [False]


def test_following_survives_an_unreachable_remote(tmp_path):
    pytest.importorskip("pyftpdlib")
    with holter.Logger(tmp_path / "live", sinks=("parquet",)) as logger, ExitStack() as stack:
        logger.log(0, "loss", 1.0)
        logger.flush()
        server = stack.enter_context(ExitStack())
        remote = server.enter_context(remotes.serving("ftp", tmp_path / "remote"))
        command = stack.enter_context(following(tmp_path, remote.url, **remote.environment))
        command.until((remote.folder / "live" / "holter-sync.json").exists)
        server.close()
        command.until(lambda: "Error: " in command.stderr)
        port = int(remote.url.rpartition(":")[2].partition("/")[0])
        stack.enter_context(remotes.serving("ftp", tmp_path / "remote", port))
        logger.close()
        assert command.process.wait(60) == 0
        assert_is_copy(remote.folder / "live", tmp_path / "live")


def test_an_unreachable_remote_at_the_first_pass_is_an_error(runs, invoke):
    result = invoke("sync", "prose", "nothing://x", "--follow")
    assert (result.status, "Protocol not known" in result.stderr) == (1, True)


def test_ctrl_c_stops_following(tmp_path):
    with holter.Logger(tmp_path / "live") as logger:
        logger.log(0, "loss", 1.0)
        with following(tmp_path, "copies") as command:
            command.until((tmp_path / "copies" / "live" / "holter-sync.json").exists)
            command.process.send_signal(signal.SIGINT)
            assert command.process.wait(60) == 130
            assert "Traceback" not in command.stderr
