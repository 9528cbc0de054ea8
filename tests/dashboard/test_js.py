"""The scripts of the page and the report: unit tests under Node.js, and types checked by TypeScript where installed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import holter

TESTS = Path(__file__).parent / "js"
SCRIPTS = Path(holter.__file__).parent / "dashboard" / "static"
MIN_NODE = 18


@pytest.fixture
def node() -> str:
    """The path of Node.js."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("node is not installed")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < MIN_NODE:
        pytest.skip(f"node {MIN_NODE} or later is needed, this is {version}")
    return path


def test_pure_modules_pass_their_unit_tests(node, tmp_path):
    # Older versions of Node.js need a package.json to load these files as modules, and the page does not.
    tests = tmp_path / "tests/dashboard/js"
    scripts = tmp_path / "python/holter/dashboard/static"
    shutil.copytree(TESTS, tests)
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "package.json").write_text(json.dumps({"type": "module"}))
    files = sorted(str(path) for path in tests.glob("*.test.mjs"))
    done = subprocess.run([node, "--test", *files], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_correct():
    tsc = shutil.which("tsc")
    if tsc is None:
        pytest.skip("tsc is not installed; on Debian: apt-get install node-typescript")
    command = [tsc, "--project", str(TESTS / "tsconfig.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_script_is_type_checked():
    report = SCRIPTS.parents[1] / "plots" / "report" / "static"
    scripts = [*SCRIPTS.glob("*.js"), *report.glob("*.js")]
    assert len(scripts) > 1
    assert [path.name for path in scripts if not path.read_text("utf-8").startswith("// @ts-check\n")] == []
