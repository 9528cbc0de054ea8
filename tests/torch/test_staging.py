"""Staging: values keep their step, nothing blocks, and values without a free buffer are dropped and counted.

There is no accelerator: host tensors replace it, and the tests decide when their copies arrive.
"""

import threading

import pytest

torch = pytest.importorskip("torch")

from holter.torch import _staging as module  # noqa: E402
from holter.torch._faults import Faults  # noqa: E402
from waiting import wait_until  # noqa: E402

DEADLINE_SECS = 60.0


class Device:
    """A fake accelerator: copies run immediately, but their events complete when `finish` is set."""

    def __init__(self):
        self.finish = threading.Event()
        self.waits = []

    def copy_event(self, device):
        owner = self

        class CopyEvent:
            def record(self):
                pass

            def wait(self):
                owner.waits.append(threading.current_thread().name)
                assert owner.finish.wait(DEADLINE_SECS)

        return CopyEvent()


@pytest.fixture
def device(monkeypatch):
    fake = Device()
    monkeypatch.setattr(module, "_is_on_host", lambda tensor: False)
    monkeypatch.setattr(module, "_pinned", lambda size, dtype: torch.full((size,), -1.0, dtype=dtype))
    monkeypatch.setattr(module, "_CopyEvent", fake.copy_event)
    yield fake
    fake.finish.set()


@pytest.fixture
def received():
    return {}


@pytest.fixture
def receiver(received):
    def receive(step, values):
        received.setdefault(step, []).append(values.tolist())

    return receive


def test_cpu_values_are_delivered_immediately(received, receiver):
    staging = module.Staging(Faults())
    staging.put("test", receiver, [torch.tensor(1.0), torch.tensor([[2.0, 3.0]], dtype=torch.float64)])
    staging.put("test", receiver, [torch.tensor([4], dtype=torch.bfloat16)])
    staging.commit(5)
    staging.commit(6)
    assert received == {5: [[1.0, 2.0, 3.0], [4.0]]}
    assert "holter-staging" not in [thread.name for thread in threading.enumerate()]


def test_device_values_arrive_in_order_and_only_the_staging_thread_waits(device, received, receiver):
    staging = module.Staging(Faults())
    for step in range(3):
        staging.put("test", receiver, [torch.tensor(step * 1.0), torch.full((step + 2,), 7.0)])
        staging.put("test", receiver, [torch.tensor([step * 10.0])])
        staging.commit(step)
    assert received == {}
    device.finish.set()
    staging.close()
    assert received == {step: [[step * 1.0, *[7.0] * (step + 2)], [step * 10.0]] for step in range(3)}
    assert set(device.waits) == {"holter-staging"}
    assert staging.dropped == 0


def test_step_is_dropped_and_counted_without_a_free_buffer(device, received, receiver):
    staging = module.Staging(Faults(), depth=2)
    for step in range(5):
        staging.put("test", receiver, [torch.tensor([step * 1.0])])
        staging.commit(step)
    assert staging.dropped == 3
    device.finish.set()
    staging.close()
    assert received == {0: [[0.0]], 1: [[1.0]]}


def test_buffers_are_reused(device, received, receiver):
    device.finish.set()
    staging = module.Staging(Faults(), depth=2)
    steps = 50
    for step in range(steps):
        before = len(received)
        staging.put("test", receiver, [torch.full((step % 5 + 1,), step * 1.0)])
        staging.commit(step)
        wait_until(lambda before=before: len(received) > before, DEADLINE_SECS)
    staging.close()
    assert staging.dropped == 0
    assert received == {step: [[step * 1.0] * (step % 5 + 1)] for step in range(steps)}


def test_fetched_tensor_keeps_its_shape(device, received, receiver):
    staging = module.Staging(Faults())
    tensor = torch.randn(2, 3, dtype=torch.float64)
    staging.fetch("test", receiver, 4, tensor)
    assert received == {}
    device.finish.set()
    staging.close()
    assert received == {4: [tensor.tolist()]}


def test_backlog_of_matrices_is_bounded(device, receiver):
    staging = module.Staging(Faults())
    for step in range(module._MAX_BACKLOG + 10):
        staging.fetch("test", receiver, step, torch.zeros(1))
    assert 9 <= staging.dropped <= 10
    device.finish.set()
    staging.close()


def test_step_values_do_not_wait_for_slow_computations(device, received, receiver):
    device.finish.set()
    may_finish = threading.Event()
    staging = module.Staging(Faults(), depth=2)
    staging.fetch("slow", lambda step, values: may_finish.wait(DEADLINE_SECS), 0, torch.zeros(1))
    for step in range(6):
        staging.put("test", receiver, [torch.tensor([step * 1.0])])
        staging.commit(step)
        wait_until(lambda step=step: step in received, DEADLINE_SECS)
    assert staging.dropped == 0
    may_finish.set()
    staging.close()


@pytest.mark.expects_warnings
def test_receiver_that_raises_does_not_stop_the_others(device, received, receiver):
    def fails(step, values):
        raise OSError("disk")

    faults = Faults()
    staging = module.Staging(faults)
    device.finish.set()
    for step in range(2):
        staging.put("failing", fails, [torch.tensor(1.0)])
        staging.put("test", receiver, [torch.tensor(2.0)])
        staging.commit(step)
    staging.close()
    assert received == {0: [[2.0]], 1: [[2.0]]}
    assert faults.disabled == {}
    assert list(faults.failures) == ["failing"]
    assert "OSError: disk" in faults.failures["failing"]


def test_close_ends_the_thread_and_is_idempotent(device, receiver):
    device.finish.set()
    staging = module.Staging(Faults())
    staging.put("test", receiver, [torch.tensor(1.0)])
    staging.commit(0)
    staging.close()
    staging.close()
    assert "holter-staging" not in [thread.name for thread in threading.enumerate()]
