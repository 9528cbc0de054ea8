"""Every mitigation in docs/security.md names tests, and these tests exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("|")][2:]
NAMED = re.findall(r"`([\w./]+)::(\w+)`", PAGE)


def named_tests(path: Path) -> set[str]:
    """Return the tests that pytest or cargo finds in a file."""
    text = path.read_text()
    if path.suffix == ".rs":
        return set(re.findall(r"#\[test\]\s+(?:#\[[^\]]*\]\s+)*fn (\w+)\(", text))
    functions = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    return {node.name for node in functions if path.name.startswith("test_") and node.name.startswith("test_")}


def test_every_row_has_a_mitigation_and_a_test():
    assert len(ROWS) > 25
    for row in ROWS:
        assert len(row) == 3, row
        assert row[1].strip(), row
        assert "::" in row[2], row


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda part: part)
def test_every_named_test_exists(file, name):
    assert name in named_tests(ROOT / file)


def test_helper_functions_do_not_count_as_tests(tmp_path):
    (tmp_path / "test_a.py").write_text("def test_a(): ...\ndef helper(): ...\n")
    (tmp_path / "a.rs").write_text("fn helper() {}\n#[test]\nfn real() {}\n")
    assert named_tests(tmp_path / "test_a.py") == {"test_a"}
    assert named_tests(tmp_path / "a.rs") == {"real"}
