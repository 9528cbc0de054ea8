"""The GPU code path without a GPU: fake tensors on `cuda`, for which every synchronization raises.

A fake tensor has no values, so `.item()`, `bool()`, `nonzero` and similar operations raise. A dispatch mode detects
the synchronizations that do not read a value: copies between the device and memory that is not pinned. This test cannot
show how long operations take or what a driver does.
"""

import sys
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

import holter.torch  # noqa: E402
from holter.demo.model import AtlasLanguageModel, ModelConfig  # noqa: E402
from holter.demo.train import make_optimizer  # noqa: E402
from holter.torch import Attention, Parameter, Probe, Rank, Ratio, emit, watch  # noqa: E402
from holter.torch import _staging as staging  # noqa: E402
from holter.torch import _tracing as tracing  # noqa: E402

SMALL = ModelConfig(width=16, heads=2, layers=2, memory_width=8, chunk=8, context=32)
SYNCHRONIZING = ("_local_scalar_dense", "nonzero", "masked_select", "_unique", "unique_dim", "equal", "is_nonzero")


class SyncDetector(TorchDispatchMode):
    """Collects the operations in holter's files that would block the training thread."""

    def __init__(self, pinned):
        super().__init__()
        self.found, self.pinned, self.to_host = [], pinned, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        where = holter_line()
        if where is None:
            return result
        name = function._schema.name.removeprefix("aten::")
        if name.startswith(SYNCHRONIZING) or (name == "index" and any(is_mask(index) for index in args[1])):
            self.found.append((name, where))
        if name in ("copy_", "_to_copy"):
            target, source = (args[0], args[1]) if name == "copy_" else (result, args[0])
            if {target.device.type, source.device.type} == {"cpu", "cuda"}:
                base = target if target._base is None else target._base
                is_asynchronous = (name == "copy_" and args[2:] == (True,)) or kwargs.get("non_blocking")
                if is_asynchronous and any(base is tensor for tensor in self.pinned):
                    self.to_host += 1
                else:
                    self.found.append((f"{name} {source.device.type} to {target.device.type}", where))
        return result


def is_mask(index):
    return index is not None and index.dtype == torch.bool


def holter_line():
    """Return the line of holter that an operation comes from: the innermost frame outside torch."""
    frame = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        if "holter/torch/" in path and "tests/" not in path:
            return f"{path.rpartition('/')[2]}:{frame.f_lineno}"
        if "/torch/" not in path:
            return None
        frame = frame.f_back
    return None


@pytest.fixture
def cuda(monkeypatch):
    """A fake CUDA device and the detector of its synchronizations."""
    pinned = []

    def allocate(size, dtype):
        pinned.append(torch.empty(size, dtype=dtype, device="cpu"))
        return pinned[-1]

    class CopyEvent:
        def __init__(self, device):
            assert device.type == "cuda"

        def record(self):
            pass

        wait = record

    def attend(query, key, value, *args, **kwargs):
        return (query @ key.mT).softmax(-1) @ value

    # Fake tensors replace a device here: they must not be detected as such.
    monkeypatch.setattr(tracing, "FakeTensor", ())
    monkeypatch.setattr(tracing, "_len_modes", lambda: 0)
    monkeypatch.setattr(F, "scaled_dot_product_attention", attend)  # torch's function needs a driver to choose a kernel
    monkeypatch.setattr(staging, "_pinned", allocate)
    monkeypatch.setattr(staging, "_CopyEvent", CopyEvent)
    # Staging's threads must not touch fake tensors: FakeTensorMode is active in a single thread.
    monkeypatch.setattr(staging._Buffer, "read", lambda _buffer, start, stop: np.ones(stop - start))
    monkeypatch.setattr(staging, "_to_host", lambda tensor: np.ones(tensor.shape))
    with FakeTensorMode(), SyncDetector(pinned) as mode, torch.device("cuda"):
        yield mode


def backward(model):
    """Replace the backward pass, which needs a real device."""
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)


@pytest.mark.parametrize("attention", [Attention(every=1, standard_error=True), Attention(every=1, exact=True)])
def test_step_does_not_synchronize(recorder, cuda, attention):
    model = AtlasLanguageModel(SMALL)
    optimizer = make_optimizer(model)
    probes = [
        Probe("blocks.*.memory", "memory_read_norm", lambda module, inputs, output: output[0]),
        Probe("blocks.*.memory", "memory_write_norm", lambda module, inputs, output: output[1] - inputs[1]),
        Ratio("memory_rw_ratio", "memory_read_norm", "memory_write_norm"),
    ]
    parameters = {
        "*.alpha_logit": Parameter("m3_alpha", transform="sigmoid", gradient=True),
        "*.M_init": Parameter("m", transform="tanh", gradient=True, change_every=1),
    }
    rank, threads, log_array = Rank("*.M_init", every=1), set(), recorder.log_array

    def record_thread(*arguments):
        threads.add(threading.current_thread().name)
        log_array(*arguments)

    recorder.log_array = record_thread
    with watch(
        model, recorder, optimizer, attention=attention, probes=probes, parameters=parameters, rank=rank
    ) as handle:
        for step in range(4):
            logits, _ = model(torch.zeros(2, 32, dtype=torch.int64), model.initial_memories(2))
            handle.log("train/ppl", logits.float().mean(), transform="exp")
            backward(model)
            if step % 2:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            else:
                handle.clip_grad_norm_(1.0)
            optimizer.step()
        disabled = handle.disabled
    assert disabled == {}
    assert cuda.found == []
    assert cuda.to_host >= 4
    # Derived values (total, ratio, transforms, ranks) are computed right before they are logged.
    assert threads == {"holter-staging", "holter-rank"}
    for name in ("attention_entropy", "memory_rw_ratio", "m3_alpha", "m3_alpha_grad", "m_rel_change", "effective_rank"):
        assert recorder.names(f"{name}/") == [f"{name}/layer_0", f"{name}/layer_1"], name
    assert len(recorder["grad_norm_total"]) == len(recorder["train/ppl"]) == 4


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x, mask):
        x = self.project(x)
        holter.torch.attention(self, x, x, mask=mask, softcap=3.0)
        emit(self, "inner", [x, x.to(torch.bfloat16)])
        return x


@pytest.mark.parametrize("exact", [False, True])
def test_custom_attention_and_emit_do_not_synchronize(recorder, cuda, exact):
    model = nn.ModuleList(Custom() for _ in range(3))
    x = torch.randn(2, 4, 16, 8)
    masks = [torch.ones(16, 16).tril().bool(), torch.randn(2, 1, 16, 16), None]
    with watch(model, recorder, attention=Attention(rows=4, every=1, exact=exact)) as handle:
        for layer, mask in zip(model, masks, strict=True):
            layer(x, mask)
        handle.commit()
        disabled = handle.disabled
    assert disabled == {}
    assert cuda.found == []
    assert len(recorder.names("attention_entropy/")) == len(recorder.names("inner/")) == 3


@pytest.mark.parametrize("need_weights", [True, False])
def test_multihead_attention_does_not_synchronize(recorder, cuda, need_weights):
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x, padding = torch.randn(2, 16, 8), torch.zeros(2, 16, dtype=torch.bool)
    with watch(attention, recorder, attention=Attention(every=1)) as handle:
        attention(x, x, x, need_weights=need_weights, key_padding_mask=padding)
        handle.commit()
        disabled = handle.disabled
    assert disabled == {}
    assert cuda.found == []
    assert len(recorder.names("attention_entropy/")) == 1


def test_sparse_and_mixed_gradients_with_scaler_do_not_synchronize(recorder, cuda):
    model = nn.Module()
    model.fp16, model.fp32 = nn.Parameter(torch.zeros(5).half()), nn.Parameter(torch.zeros(2, 3))
    model.sparse = nn.Parameter(torch.zeros(10, 3))
    optimizer = torch.optim.AdamW([model.fp16, model.fp32], fused=True)
    with watch(model, recorder, [optimizer]) as handle:
        for _ in range(2):
            model.fp16.grad, model.fp32.grad = torch.ones(5).half(), torch.ones(2, 3)
            indices = torch.zeros(1, 4, dtype=torch.int64)
            model.sparse.grad = torch.sparse_coo_tensor(indices, torch.ones(4, 3), (10, 3), check_invariants=False)
            optimizer.grad_scale, optimizer.found_inf = torch.ones(()), torch.zeros(())
            handle._recording.on_gradients(None, optimizer.grad_scale, optimizer.found_inf)
            handle._recording.on_step_end()
        disabled = handle.disabled
    assert disabled == {}
    assert cuda.found == []
    # Every fake number arrives as 1, including the overflow flag.
    assert set(recorder["optimizer_step_skipped"]) == {0, 1}


def test_gradients_on_host_and_device_together(recorder, cuda):
    model = nn.Module()
    model.far, model.near = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3, device="cpu"))
    with watch(model, recorder) as handle:
        backward(model)
        handle.commit()
        disabled = handle.disabled
    assert disabled == {}
    assert cuda.found == []
    assert set(recorder.names()) == {"grad_norm/far", "grad_norm/near", "grad_norm_total"}


@pytest.mark.expects_warnings
def test_nothing_is_recorded_during_cuda_graph_capture(recorder, cuda, monkeypatch, caplog):
    model = AtlasLanguageModel(SMALL)
    optimizer = make_optimizer(model)
    for where in ("_recording", "_tracing"):
        monkeypatch.setattr(f"holter.torch.{where}.is_capturing", lambda: True)
    probe = Probe("blocks.*.memory", "memory_read_norm", lambda module, inputs, output: output[0])
    with watch(model, recorder, optimizer, attention=Attention(every=1), probes=[probe]) as handle:
        for _ in range(2):
            model(torch.zeros(2, 32, dtype=torch.int64), model.initial_memories(2))
            backward(model)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        assert handle.step == 0
        assert len(handle.notes) == 1
        assert "captured in a CUDA graph" in handle.notes[0]
    assert recorder.names() == []
    assert cuda.to_host == 0


@pytest.mark.parametrize(
    "synchronize",
    [
        lambda x: x.cpu(),
        lambda x: x.to("cpu", non_blocking=True),
        lambda x: torch.tensor([1.0], device="cuda"),
        lambda x: torch.ones(3, device="cpu").to("cuda"),
        lambda x: x[x > 0],
        lambda x: x.sum().item(),
        lambda x: bool(x.sum()),
        lambda x: x.nonzero(),
    ],
)
def test_detector_finds_synchronizations(recorder, cuda, monkeypatch, synchronize):
    """Each synchronization runs as if it were in a file of holter."""
    raised = []

    def norms(tensors, dtype):
        try:
            synchronize(tensors[0])
        except Exception as error:  # noqa: BLE001  the errors of fake tensors have no common class
            raised.append(error)
        return torch.zeros(len(tensors), device="cuda")

    norms.__code__ = norms.__code__.replace(co_filename="/holter/torch/_gradients.py")
    synchronize.__code__ = synchronize.__code__.replace(co_filename="/holter/torch/_gradients.py")
    monkeypatch.setattr("holter.torch._gradients.norms", norms)
    model = nn.Linear(3, 3)
    with watch(model, recorder) as handle:
        backward(model)
        handle.commit()
    assert cuda.found or raised
