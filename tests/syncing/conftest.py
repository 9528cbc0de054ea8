"""Runs of two ranks to copy, and remotes of every kind."""

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import holter
import remotes
from holter.syncing import Destination
from remotes import Remote

NAMES = ["train/loss", "grad_norm/blocks.0.M_init", "ä/ß", "special"]


def record(path: Path, *, parts: int, first_step: int = 0, rank: int = 0, has_database: bool = False) -> holter.Logger:
    """Return an open logger. Without a database, each flush closes a part, here of a hundred steps."""
    sinks = ("sqlite", "parquet", "summary") if has_database else ("parquet", "summary")
    logger = holter.Logger(path, rank=rank, sinks=sinks, summary_every=10, journal_points=1 << 12, resume="allow")
    for start in range(first_step, first_step + parts * 100, 100):
        for step in range(start, start + 100):
            values = [step * 0.5, -step, 1.0, (math.nan, math.inf, 0.1)[step % 3]]
            logger.log_many(step, dict(zip(NAMES, values, strict=True)))
        logger.flush()
    return logger


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("syncing") / "run-1"
    for rank in range(2):
        record(path, parts=2, rank=rank, has_database=True).close()
    return path


@pytest.fixture(scope="session")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run as it is after a crash: two ranks with three parts each."""
    folder = tmp_path_factory.mktemp("syncing")
    loggers = [record(folder / "run", parts=3, rank=rank) for rank in range(2)]
    shutil.copytree(folder / "run", folder / "run-1")
    for logger in loggers:
        logger.close()
    return folder / "run-1"


@pytest.fixture
def recording() -> Callable[..., holter.Logger]:
    """The function `record`, which starts or resumes a run."""
    return record


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    """A finished run of two ranks that a test may change."""
    return Path(shutil.copytree(recorded, tmp_path / "runs" / "run-1"))


@pytest.fixture(params=remotes.KINDS)
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    """A remote of each kind."""
    for module in {"s3": ("s3fs", "localbucket"), "ftp": ("pyftpdlib",)}.get(request.param, ()):
        pytest.importorskip(module)
    with remotes.serving(request.param, tmp_path / "remote") as remote:
        yield remote


@pytest.fixture
def destination(tmp_path: Path) -> Destination:
    """The folder `copies`."""
    pytest.importorskip("fsspec")
    return Destination(str(tmp_path / "copies"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The path of the run's copy in `destination`."""
    return tmp_path / "copies" / "run-1"
