"""What the tests of the probes share: a logger that only remembers, and a model small enough to check by hand."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the probes are for PyTorch, which is not installed")


class RecordingLogger:
    """Stands in for `holter.Logger` where only the values matter."""

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
        """One metric's values by step; empty for one that was never recorded."""
        return self.points.get(name, {})

    def names(self, prefix: str = "") -> list[str]:
        return sorted(name for name in self.points if name.startswith(prefix))


@pytest.fixture
def recorder() -> RecordingLogger:
    return RecordingLogger()


@pytest.fixture(autouse=True)
def one_thread_and_one_seed():
    """The machine's other cores may be busy, and a test's numbers must not depend on which tests ran before."""
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
def no_probe_fails_unseen(caplog, request):
    """Probes swallow their own errors by design; a test that does not expect one must not."""
    yield
    if "expects_faults" not in request.keywords:
        assert [record.getMessage() for record in caplog.records if record.name == "holter.torch"] == []


def pytest_configure(config):
    config.addinivalue_line("markers", "expects_faults: the test makes a probe fail, and looks at the report itself")
