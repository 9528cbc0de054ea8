"""Shared fixtures: deterministic training, and a run's points in the form that the frameworks' loggers use."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import holter  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread_and_one_seed():
    """Use one thread, because other cores may be busy, and one seed, because trainings are compared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def points_of():
    """A function that returns the values of a run by name and step."""

    def read(path, pattern="*"):
        run = holter.open_run(path)
        every = {name: run.series(name) for name in run.names(pattern)}
        return {
            (name, int(step)): float(value)
            for name, series in every.items()
            for step, value in zip(series.steps, series.values, strict=True)
        }

    return read
