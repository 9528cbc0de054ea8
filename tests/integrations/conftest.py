"""What the adapters' tests share: a run's points as a framework's own logger would list them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the frameworks are PyTorch's, which is not installed")

import holter  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread_and_one_seed():
    """The machine's other cores may be busy, and two trainings that are compared begin from the same numbers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def points_of():
    """A function from a run's directory to its values by name and step."""

    def read(path, pattern="*"):
        run = holter.open_run(path)
        every = {name: run.series(name) for name in run.names(pattern)}
        return {
            (name, int(step)): float(value)
            for name, series in every.items()
            for step, value in zip(series.steps, series.values, strict=True)
        }

    return read
