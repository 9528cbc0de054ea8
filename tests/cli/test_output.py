"""Output to a pipe, a terminal, a full disk, a closed file."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-W", "error", "-m", "holter.cli"]


@pytest.mark.parametrize("command", ["ls", "show prose", "tail prose --once", "doctor", "plot prose *loss*"])
def test_a_pipe_gets_plain_text_in_any_environment(command, runs, piped):
    done = piped(*command.split(), FORCE_COLOR="1", CLICOLOR_FORCE="1", COLUMNS="40", TERM="xterm-256color")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert [
        line for line in done.stdout.splitlines() if any("\u2500" <= character <= "\u257f" for character in line)
    ] == []
    wide = piped(*command.split(), COLUMNS="400")
    if not command.startswith("tail"):  # its lines contain the time
        # Other processes use the disk at the same time.
        narrow, wide = (re.sub(r"[\d.]+ GB free", "free", text.stdout) for text in (done, wide))
        assert wide == narrow, "output to a pipe does not depend on COLUMNS"


@pytest.mark.parametrize("command", ["ls --json", "show code --json", "tail code --once --json", "doctor code --json"])
def test_json_is_ascii_and_strict_in_any_locale(command, runs, piped):
    import json

    done = piped(*command.split(), PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()

    def reject(word):
        raise AssertionError(f"{word} is not strict JSON")

    json.loads(done.stdout, parse_constant=reject)


def test_characters_that_the_encoding_lacks_are_escaped(runs, piped):
    import holter

    with holter.Logger(runs / "größe", journal_points=1 << 10) as logger:
        logger.log(0, "verlust/höhe", 1.0)
    done = piped("show", "größe", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "verlust/h\\xf6he" in done.stdout
    assert "verlust/höhe" in piped("show", "größe", PYTHONIOENCODING="utf-8").stdout


def test_a_full_disk_is_reported(runs):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND, "ls"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_standard_output_is_not_an_error(runs):
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "show", "prose"],
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["ls", "show prose", "export prose --format csv -o -"])
def test_a_closed_pipe_prints_no_error(command, runs):
    """Catches a traceback, or the interpreter's `Exception ignored`, in `holter ... | head -0`."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        arguments = [*COMMAND, *command.split()]
        done = subprocess.run(arguments, stdout=gone, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_csv_on_a_terminal_is_escaped(runs, terminal):
    session = terminal("export", "code", "--pattern", "*evil", "--format", "csv", "-o", "-")
    session.finish()
    assert session.process.returncode == 0
    assert "\x1b[31m" not in session.text
    assert "\\x1b[31mred\\x07\\u202eevil" in session.text
