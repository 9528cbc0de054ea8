"""Shared fixtures of the probe tests: a logger that keeps points in memory, and a small model."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the probes need PyTorch, which is not installed")


class RecordingLogger:
    """Replaces `holter.Logger` in tests that only check values."""

    def __init__(self) -> None:
        self.points: dict[str, dict[int, float]] = {}

    def metrics(self, names):
        return tuple(names)

    def log_array(self, step, metrics, values):
        values = memoryview(values)
        assert (values.ndim, values.format, values.contiguous) == (1, "d", True)
        assert len(metrics) == len(values)
        for name, value in zip(metrics, values, strict=True):
            self.points.setdefault(name, {})[step] = float(value)

    def __getitem__(self, name: str) -> dict[int, float]:
        """Return a metric's values by step; empty for a metric that was not recorded."""
        return self.points.get(name, {})

    def names(self, prefix: str = "") -> list[str]:
        return sorted(name for name in self.points if name.startswith(prefix))


@pytest.fixture
def recorder() -> RecordingLogger:
    return RecordingLogger()


@pytest.fixture(autouse=True)
def fixed_threads_and_seed():
    """Use one thread, because other cores may be busy, and a fixed seed, so that test order does not matter."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def two_layers():
    """Two numbered linear layers with a nonlinearity, and data for them."""
    model = torch.nn.Sequential()
    model.layers = torch.nn.ModuleList([torch.nn.Linear(6, 6), torch.nn.Linear(6, 6)])
    model.forward = lambda x: model.layers[1](torch.tanh(model.layers[0](x)))
    return model


@pytest.fixture(autouse=True)
def no_unexpected_warnings(caplog, request):
    """Fail a test in which a probe raised or a note was logged: the watch itself only logs a warning."""
    yield
    if "expects_warnings" not in request.keywords:
        assert [record.getMessage() for record in caplog.records if record.name == "holter.torch"] == []


def pytest_configure(config):
    config.addinivalue_line("markers", "expects_warnings: the test makes the watch log a warning, and checks it")
