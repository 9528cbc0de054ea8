"""Staging: from tensors on a device to numbers in the logger, without the training thread ever waiting.

What a step's probes computed stays on its device. At the step's end one copy per device brings all of it into pinned
memory, asynchronously, with an event behind it; a thread of ours waits for the event and hands the numbers over. Where
every buffer is under way the step's values are dropped and counted, never waited for. Tensors that live on the CPU are
handed over at once: there is nothing to wait for. What takes long (eigenvalues) has a thread of its own, so that no
step's values ever wait behind it.

This is the only file of the torch layer that starts a thread or holds an event.
"""

from __future__ import annotations

import atexit
import queue
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from holter.torch._columns import FloatArray
    from holter.torch._faults import Faults

    Receive = Callable[[int, FloatArray], None]
    _Read = Callable[[], FloatArray]
    _Part = tuple[str, Receive, list[_Read]]

_LARGEST_BACKLOG = 64
"""Matrices that may wait for their thread before new ones are dropped."""


def _is_on_host(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _to_host(tensor: Tensor) -> FloatArray:
    """A CPU tensor's numbers as float64, in a copy that later changes of the tensor do not reach."""
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float64)
    return tensor.numpy().astype(np.float64)


def _pinned(size: int, dtype: torch.dtype) -> Tensor:
    """Host memory that a device copies into without the host's help. Only ever asked for beside an accelerator."""
    return torch.empty(size, dtype=dtype, device="cpu", pin_memory=True)


class _Copied:
    """Says when the copies started so far on a device have arrived; whoever waits for it sleeps."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # torch.Event takes `blocking` and does not heed it: its waiter would spin, at the cost of a core.
        cuda: Any = torch.cuda
        self._event: Any = cuda.Event(blocking=True) if device.type == "cuda" else torch.Event(device=device)

    def record(self) -> None:
        """After everything that the device's current stream has been given until now."""
        if self._device.type == "cuda":
            self._event.record(torch.cuda.current_stream(self._device))
        else:
            self._event.record()

    def wait(self) -> None:
        """Return when that has happened. Our threads only."""
        self._event.synchronize()


class _Slot:
    """One pinned buffer, and what says that the copy into it has finished."""

    def __init__(self, device: torch.device) -> None:
        self._copied = _Copied(device)
        self._buffer = _pinned(0, torch.float32)

    def copy(self, flat: Tensor) -> None:
        """Start the copy of a 1-D float32 tensor of the device."""
        if self._buffer.numel() < flat.numel():
            self._buffer = _pinned(1 << (flat.numel() - 1).bit_length(), torch.float32)
        self._buffer[: flat.numel()].copy_(flat, non_blocking=True)
        self._copied.record()

    def read(self, start: int, stop: int) -> FloatArray:
        """Wait for the copy; then a part of its numbers. Our thread only."""
        self._copied.wait()
        return _to_host(self._buffer[start:stop])


class _Batch:
    """The values of one device that go through one slot: first all are added, then one copy starts."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.slot: _Slot | None = None
        self._flats: list[Tensor] = []
        self._length = 0

    def add(self, tensor: Tensor) -> _Read:
        """Put a tensor behind the others; what is returned reads its numbers, on our thread."""
        start, self._length = self._length, self._length + tensor.numel()
        stop = self._length
        self._flats.append(tensor.reshape(-1).to(torch.float32))

        def read() -> FloatArray:
            return self.slot.read(start, stop) if self.slot is not None else np.empty(0)

        return read

    def start(self, slot: _Slot) -> None:
        """Gather and copy, on the device's current stream."""
        self.slot = slot
        slot.copy(torch.cat(self._flats))
        self._flats.clear()


class _Worker:
    """A thread that runs jobs one after the other; started by the first of them."""

    def __init__(self, name: str, faults: Faults) -> None:
        self._name = name
        self._faults = faults
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def backlog(self) -> int:
        """How many jobs have not begun yet."""
        return self._jobs.qsize()

    def give(self, job: Callable[[], None]) -> None:
        """Have a job run behind those that wait."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def close(self, timeout_secs: float) -> None:
        """Wait for every job and end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(timeout_secs)
            self._thread = None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:  # noqa: BLE001, PERF203  a lost device must not end the thread silently
                self._faults.report("staging", error)


class Staging:
    """Carries each step's values to their receivers.

    A receiver gets the step's number and one float64 vector: the elements of the tensors it was `put` for, in their
    order. It runs on our thread for tensors of an accelerator and inside `commit` for tensors of the CPU.

    Attributes:
        dropped: how many steps' values found no free buffer, and how many matrices too many others before them.
    """

    def __init__(self, faults: Faults, depth: int = 8) -> None:
        self.dropped = 0
        self._faults = faults
        self._depth = depth
        self._pending: list[tuple[str, Receive, list[Tensor]]] = []
        self._free: dict[torch.device, queue.SimpleQueue[_Slot]] = {}
        self._deliveries = _Worker("holter-staging", faults)
        self._computations = _Worker("holter-rank", faults)
        self._is_registered = False

    def put(self, probe: str, receive: Receive, tensors: Sequence[Tensor]) -> None:
        """Have these tensors' values go to `receive` with the next commit. They must not change until then.

        `probe` is what the report names if `receive` raises.
        """
        self._pending.append((probe, receive, [tensor.detach() for tensor in tensors]))

    def commit(self, step: int) -> None:
        """End a step: everything put since the last commit belongs to it."""
        pending, self._pending = self._pending, []
        batches: dict[torch.device, _Batch] = {}
        later: list[_Part] = []
        for probe, receive, tensors in pending:
            if all(_is_on_host(tensor) for tensor in tensors):
                self._deliver(probe, receive, step, [_to_host(tensor) for tensor in tensors])
                continue
            readers: list[_Read] = []
            for tensor in tensors:
                if _is_on_host(tensor):
                    readers.append(_constant(_to_host(tensor)))
                else:
                    batch = batches.setdefault(tensor.device, _Batch(tensor.device))
                    readers.append(batch.add(tensor))
            later.append((probe, receive, readers))
        if later:
            self._send(step, list(batches.values()), later)

    def fetch(self, probe: str, receive: Receive, step: int, tensor: Tensor) -> None:
        """Bring one tensor, in its own shape, to a thread of ours and run `receive` there, however long that takes."""
        if self._computations.backlog >= _LARGEST_BACKLOG:
            self.dropped += 1
            return
        tensor = tensor.detach()
        copied: _Copied | None = None
        if _is_on_host(tensor):
            host = tensor.clone()
        else:
            host = _pinned(tensor.numel(), tensor.dtype).view(tensor.shape)
            host.copy_(tensor, non_blocking=True)
            copied = _Copied(tensor.device)
            copied.record()

        def job() -> None:
            if copied is not None:
                copied.wait()
            self._faults.run(probe, receive, step, _to_host(host))

        self._give(self._computations, job)

    def close(self, timeout_secs: float = 60.0) -> None:
        """Wait for what is under way and stop our threads."""
        self._pending.clear()
        self._deliveries.close(timeout_secs)
        self._computations.close(timeout_secs)
        if self._is_registered:
            self._is_registered = False
            atexit.unregister(self.close)

    def _send(self, step: int, batches: list[_Batch], parts: list[_Part]) -> None:
        """Start one copy per device; have our thread wait for them and deliver."""
        slots = [self._take(batch.device) for batch in batches]

        def release() -> None:
            for batch, slot in zip(batches, slots, strict=True):
                if slot is not None:
                    self._free[batch.device].put(slot)

        def job() -> None:
            try:
                for probe, receive, readers in parts:
                    self._deliver(probe, receive, step, [read() for read in readers])
            finally:
                release()

        if any(slot is None for slot in slots):
            self.dropped += 1
            release()
            return
        for batch, slot in zip(batches, slots, strict=True):
            if slot is not None:
                batch.start(slot)
        # Never more jobs than slots, so their queue needs no bound.
        self._give(self._deliveries, job)

    def _take(self, device: torch.device) -> _Slot | None:
        """A free slot of the device's ring, which is made at the first call."""
        free = self._free.get(device)
        if free is None:
            free = self._free[device] = queue.SimpleQueue()
            for _ in range(self._depth):
                free.put(_Slot(device))
        try:
            return free.get_nowait()
        except queue.Empty:
            return None

    def _deliver(self, probe: str, receive: Receive, step: int, arrays: list[FloatArray]) -> None:
        values = np.concatenate([array.reshape(-1) for array in arrays])
        self._faults.run(probe, receive, step, values)

    def _give(self, worker: _Worker, job: Callable[[], None]) -> None:
        if not self._is_registered:
            # A program that ends without closing the watch still gets its last steps.
            self._is_registered = True
            atexit.register(self.close)
        worker.give(job)


def _constant(values: FloatArray) -> _Read:
    return lambda: values
