"""Fixtures for all tests."""

import importlib.util
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent

# On a busy machine a single example can take longer than any useful deadline.
hypothesis.settings.register_profile("holter", deadline=None)
hypothesis.settings.load_profile("holter")


def pytest_configure() -> None:
    """Reject another checkout's code, which an environment shared between checkouts may point at."""
    spec = importlib.util.find_spec("holter")
    if spec is None or not Path(spec.origin or "").resolve().is_relative_to(ROOT):
        found = spec.origin if spec else "nothing"
        pytest.exit(f"`import holter` finds {found}, not this checkout: run `make test-python`", returncode=4)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A path for a run that does not exist yet."""
    return tmp_path / "runs" / "run-1"
