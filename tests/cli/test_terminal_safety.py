"""No subcommand prints control characters from names, settings or paths: it escapes them.

Each is called with runs whose texts are all hostile, and with damaged runs, whose names are in the error messages.
"""

import json
import unicodedata
from pathlib import Path

import pytest

import holter
from holter.alerts import NonFinite
from holter.cli.program import SUBCOMMANDS

EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\x08\rx"
RUN = f"runs/{EVIL}"
NAMES = [name for section in SUBCOMMANDS.values() for name in section]
COMMANDS = {
    "ls": [["ls"], ["ls", "--problems"], ["ls", "runs", f"--{EVIL}"]],
    "show": [["show", RUN], ["show", RUN, EVIL], ["show", EVIL]],
    "tail": [["tail", RUN], ["tail", "runs/damaged\x1b[2J"]],
    "plot": [["plot", RUN, "*", "--title", EVIL], ["plot", RUN, f"none{EVIL}"]],
    "serve": [["serve", f"{RUN}/run.json"], ["serve", "--host", EVIL]],
    "tensorboard": [["tensorboard", f"{RUN}/run.json"]],
    "compare": [["compare", RUN, "runs/other"], ["compare", RUN, f"{EVIL}"], ["compare", RUN, "--target", EVIL]],
    "report": [["report", RUN, "-o", f"{EVIL}.html"], ["report", EVIL]],
    "export": [["export", RUN, "-o", f"{EVIL}.csv"], ["export", RUN, "-o", f"{EVIL}.csv"], ["export", EVIL]],
    "sync": [["sync", RUN, f"file:///{EVIL}"], ["sync", RUN, f"{EVIL}://x"]],
    "import": [["import", f"{EVIL}.csv"], ["import", EVIL]],
    "doctor": [["doctor"], ["doctor", RUN]],
    "recover": [["recover", RUN], ["recover", "runs"]],
    "completion": [["completion", EVIL]],
    "demo": [["demo", "--steps", EVIL]],
}


@pytest.fixture
def hostile(tmp_path, monkeypatch) -> None:
    """Runs in `./runs` with hostile texts only."""
    monkeypatch.chdir(tmp_path)
    settings = {EVIL: EVIL, "nested": {EVIL: [EVIL]}}
    for place, name in ((RUN, EVIL), ("runs/other", "other")):
        with holter.Logger(
            place, name=name, config=settings, tags=[EVIL], alerts=[NonFinite("*")], journal_points=1 << 10
        ) as logger:
            for step in range(20):
                logger.log_many(step, {EVIL: float(step), f"val/{EVIL}": float("nan"), "loss": 1.0})
    manifest = json.loads(Path(RUN, "run.json").read_text())
    manifest |= {"host": EVIL, "command_line": [EVIL], "git": {"commit": EVIL}, "versions": {EVIL: EVIL}}
    Path(RUN, "run.json").write_text(json.dumps(manifest))
    damaged = Path("runs", "damaged\x1b[2J")
    damaged.mkdir()
    (damaged / "run.json").write_text(json.dumps({"format_version": 1, "name": EVIL, "started_micros": EVIL}))
    Path(f"{EVIL}.csv").write_text(f"step,{EVIL}\n0,1\n{EVIL},2\n")


def test_every_subcommand_is_covered():
    assert sorted(COMMANDS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_control_characters_are_escaped(name, hostile, invoke):
    output = ""
    for arguments in COMMANDS[name]:
        result = invoke(*arguments)
        output += result.stdout + result.stderr
    controls = {c for c in output if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf")}
    assert not controls, repr(output)
    assert "\\x1b" in output or name in ("completion", "demo", "tail"), "the output contains no hostile text"
