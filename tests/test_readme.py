"""The README's example, make targets and links work."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benches/*.md")])
README = (ROOT / "README.md").read_text()


def test_the_example_runs_without_warnings(tmp_path):
    (example,) = re.findall(r"## Use it\n+```python\n(.*?)```", README, re.DOTALL)
    assert len(example.splitlines()) <= 12
    command = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    step, value = done.stdout.split()
    assert int(step) == 9999
    assert float(value) == pytest.approx(2.0067, abs=1e-4)
    assert done.stderr == ""


def test_every_documented_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(document.read_text() for document in DOCUMENTS)
    commands = re.findall(r"^make [a-z-]+|`make [a-z-]+", text, re.MULTILINE)
    named = {command.split()[1] for command in commands}
    assert {"demo", "test"} <= named
    assert named <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_existing_files(document):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
