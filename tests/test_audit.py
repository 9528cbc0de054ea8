"""`make audit` says what was found, and says what could not be asked."""

import importlib.util
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_advisory_is_told_and_fails(audit, capsys):
    advisory = {"id": "PYSEC-1", "fixed_in": ["2.0"], "summary": "it burns"}
    assert not audit.packages({"good": "1.0", "bad": "1.0"}, lambda name, _: [advisory] if name == "bad" else [])
    printed = capsys.readouterr().out
    assert "packages: bad 1.0: PYSEC-1, mended in ['2.0']: it burns" in printed
    assert "2 of 2 asked about, 1 advisories" in printed


def test_a_network_that_is_not_there_is_told_and_does_not_fail(audit, capsys):
    asked = []

    def ask(name, version):
        asked.append(name)
        raise OSError("no route to host")

    assert audit.packages({"a": "1.0", "b": "1.0"}, ask)
    assert asked == ["a"], "nobody is asked again who did not answer"
    printed = capsys.readouterr().out
    assert "not checked from a on" in printed
    assert "no route to host" in printed
    assert "0 of 2 asked about" in printed


@pytest.mark.parametrize(
    "case",
    [
        ("failed to fetch advisory database https://…", 1, True, "not checked: RustSec's database is out of reach"),
        ("error[vulnerability]: it burns", 1, False, ""),
        ("", 0, True, "nothing found"),
    ],
)
def test_cargo_deny_is_asked_if_it_is_there(audit, capsys, monkeypatch, case):
    error, code, is_clean, words = case

    def run(command, **options):
        is_advisories = command[-1] == "advisories"
        return subprocess.CompletedProcess(command, code if is_advisories else 0, stderr=error)

    monkeypatch.setattr(audit.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(audit.subprocess, "run", run)
    assert audit.crates() == is_clean
    assert words in capsys.readouterr().out
    monkeypatch.setattr(
        audit.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, stderr="")
    )
    assert not audit.crates()


def test_cargo_deny_that_is_missing_is_told(audit, capsys, monkeypatch):
    monkeypatch.setattr(audit.shutil, "which", lambda name: None)
    assert audit.crates()
    assert "not checked: cargo-deny is not installed" in capsys.readouterr().out


def test_what_a_package_needs_is_followed_and_extras_are_chosen(audit):
    needed = audit.required("rich", [])
    assert {"pygments", "markdown-it-py", "mdurl"} <= set(needed)
    assert "ipywidgets" not in needed
