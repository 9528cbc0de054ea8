"""The README's example, make targets and links work."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import holter

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benches/*.md")])
README = (ROOT / "README.md").read_text()


WATCH_SETUP = """
import torch
torch.manual_seed(0)
class Model(torch.nn.Sequential):
    def forward(self, batch):
        return super().forward(batch).square().mean()
model = Model(torch.nn.Linear(4, 4))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
loader = torch.randn(3, 2, 4)
"""


def run_example(code: str, cwd: Path) -> str:
    command = [sys.executable, "-W", "error::holter.HolterWarning", "-c", code]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_watch_example_records_losses_and_gradient_norms(tmp_path):
    pytest.importorskip("torch")
    example = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    run_example(WATCH_SETUP + example, tmp_path)
    run = holter.open_run(tmp_path / "runs/run-1")
    assert run.names() == ["grad_norm/0.bias", "grad_norm/0.weight", "grad_norm_total", "train/loss"]
    assert run.series("train/loss").steps.tolist() == [0, 1, 2]


def test_the_recording_example_runs(tmp_path):
    (example,) = re.findall(r"## Record\n.*?```python\n(.*?)```.*?## Look", README, re.DOTALL)
    step, value = run_example(example, tmp_path).split()
    assert int(step) == 9999
    assert float(value) == pytest.approx(2.0067, abs=1e-4)


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
