"""A folder with two training-like runs, and HTTP clients that connect like the page in a browser."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

import sample_runs
from holter.dashboard import make_app

BASE = "http://127.0.0.1:6116"


@pytest.fixture(scope="session")
def sample_root(tmp_path_factory) -> Path:
    """Two runs; tests must not modify them."""
    root = tmp_path_factory.mktemp("sample") / "runs"
    sample_runs.record(root / "run-1", config={"data": "prose"})
    sample_runs.record(root / "run-2", seed=1, config={"data": "code"})
    return root


@pytest.fixture
def root(tmp_path) -> Path:
    """An empty folder of runs."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def open_client():
    """Opens clients of dashboards; accepts the arguments of `make_app`."""
    clients = []

    def open_one(root: Path, **options) -> TestClient:
        app = make_app(root, **options)
        app.folder._max_age_secs = 0.0  # every request rescans the folder
        clients.append(TestClient(app, BASE, raise_server_exceptions=False, follow_redirects=False))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()


@pytest.fixture
def client(sample_root, open_client) -> TestClient:
    """A client of the dashboard of `sample_root`."""
    return open_client(sample_root)
