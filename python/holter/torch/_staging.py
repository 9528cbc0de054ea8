"""Carries tensors from their devices to the logger without blocking the training thread.

A step's values stay on their device until the step ends. Then one asynchronous copy per device moves all of them into
pinned memory, followed by an event; a background thread waits for the event and logs the numbers. If every buffer is in
use, the step's values are dropped and counted instead of waiting. CPU tensors are logged immediately, because they need
no copy. Slow computations (eigenvalues) run on a second thread, so that no step's values wait behind them.

This is the only file of the torch layer that starts threads or holds events.
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

_MAX_BACKLOG = 64
"""Maximum number of matrices that wait for the computation thread; further matrices are dropped."""


def _is_on_host(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu"


def _to_host(tensor: Tensor) -> FloatArray:
    """Copy a CPU tensor to a float64 array, which later changes of the tensor do not affect."""
    if tensor.dtype not in (torch.float32, torch.float64):
        tensor = tensor.to(torch.float64)
    return tensor.resolve_neg().numpy().astype(np.float64)


def _pinned(size: int, dtype: torch.dtype) -> Tensor:
    """Allocate pinned host memory, the target of asynchronous copies. Requires an accelerator."""
    return torch.empty(size, dtype=dtype, device="cpu", pin_memory=True)


class _CopyEvent:
    """An event after the copies started so far on a device. A thread that waits for it sleeps instead of spinning."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # torch.Event accepts `blocking` but ignores it: a waiting thread would spin and use a whole core.
        cuda: Any = torch.cuda
        self._event: Any = cuda.Event(blocking=True) if device.type == "cuda" else torch.Event(device=device)

    def record(self) -> None:
        """Record the event after all work enqueued so far on the device's current stream."""
        if self._device.type == "cuda":
            self._event.record(torch.cuda.current_stream(self._device))
        else:
            self._event.record()

    def wait(self) -> None:
        """Block until the recorded work has finished. For staging's own threads only."""
        self._event.synchronize()


class _Buffer:
    """A pinned buffer and the event of the copy into it."""

    def __init__(self, device: torch.device) -> None:
        self._event = _CopyEvent(device)
        self._memory = _pinned(0, torch.float32)

    def copy(self, flat: Tensor) -> None:
        """Start the copy of a 1-D float32 tensor of the device."""
        if self._memory.numel() < flat.numel():
            self._memory = _pinned(1 << (flat.numel() - 1).bit_length(), torch.float32)
        self._memory[: flat.numel()].copy_(flat, non_blocking=True)
        self._event.record()

    def read(self, start: int, stop: int) -> FloatArray:
        """Wait for the copy and return a slice of its numbers. For staging's own thread only."""
        self._event.wait()
        return _to_host(self._memory[start:stop])


class _Batch:
    """The values of one device that share a buffer: all are added first, then a single copy starts."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._buffer: _Buffer | None = None
        self._flats: list[Tensor] = []
        self._length = 0

    def add(self, tensor: Tensor) -> _Read:
        """Append a tensor. Returns a function that reads its numbers on staging's thread."""
        start, self._length = self._length, self._length + tensor.numel()
        stop = self._length
        self._flats.append(tensor.reshape(-1).to(torch.float32))

        def read() -> FloatArray:
            return self._buffer.read(start, stop) if self._buffer is not None else np.empty(0)

        return read

    def start(self, buffer: _Buffer) -> None:
        """Concatenate the tensors and start the copy, on the device's current stream."""
        self._buffer = buffer
        buffer.copy(torch.cat(self._flats))
        self._flats.clear()


class _Worker:
    """A thread that runs jobs in order. It starts with the first job."""

    def __init__(self, name: str, faults: Faults) -> None:
        self._name = name
        self._faults = faults
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def backlog(self) -> int:
        """Number of jobs that have not started."""
        return self._jobs.qsize()

    def submit(self, job: Callable[[], None]) -> None:
        """Add a job to the end of the queue."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def close(self, timeout_secs: float) -> None:
        """Wait for all jobs, for at most `timeout_secs`, and end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(timeout_secs)
            self._thread = None

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:  # noqa: BLE001, PERF203  a lost device must not silently end the thread
                self._faults.report("staging", error)


class Staging:
    """Carries each step's values to their receivers.

    A receiver is called with the step's number and a float64 vector: the elements of the tensors passed to `put`, in
    order. It runs on staging's thread for accelerator tensors, and inside `commit` for CPU tensors.

    Args:
        faults: Reports receivers that raise.
        depth: Number of buffers per device: the number of steps whose values can be in flight.

    Attributes:
        dropped: Number of steps dropped because no buffer was free, plus matrices dropped because the queue was full.
    """

    def __init__(self, faults: Faults, depth: int = 8) -> None:
        self.dropped = 0
        self._faults = faults
        self._depth = depth
        self._pending: list[tuple[str, Receive, list[Tensor]]] = []
        self._free: dict[torch.device, queue.SimpleQueue[_Buffer]] = {}
        self._deliveries = _Worker("holter-staging", faults)
        self._computations = _Worker("holter-rank", faults)
        self._is_registered = False

    def put(self, probe: str, receive: Receive, tensors: Sequence[Tensor]) -> None:
        """Add tensors to the current step.

        Args:
            probe: The name to report if `receive` raises.
            receive: Called with the step and the tensors' values.
            tensors: The tensors. They must not change before the next `commit`.
        """
        self._pending.append((probe, receive, [tensor.detach() for tensor in tensors]))

    def commit(self, step: int) -> None:
        """End a step: all tensors put since the previous commit belong to it."""
        pending, self._pending = self._pending, []
        batches: dict[torch.device, _Batch] = {}
        deferred: list[_Part] = []
        for probe, receive, tensors in pending:
            if all(_is_on_host(tensor) for tensor in tensors):
                self._faults.attempt(probe, self._deliver_now, receive, step, tensors)
            else:
                readers = self._faults.attempt(probe, _add, batches, tensors)
                if readers is not None:
                    deferred.append((probe, receive, readers))
        if deferred:
            self._send(step, list(batches.values()), deferred)

    def fetch(self, probe: str, receive: Receive, step: int, tensor: Tensor) -> None:
        """Copy a tensor to the host and run `receive` on it, in its own shape, on the computation thread."""
        if self._computations.backlog >= _MAX_BACKLOG:
            self.dropped += 1
            return
        tensor = tensor.detach()
        event: _CopyEvent | None = None
        if _is_on_host(tensor):
            host = tensor.clone()
        else:
            host = _pinned(tensor.numel(), tensor.dtype).view(tensor.shape)
            host.copy_(tensor, non_blocking=True)
            event = _CopyEvent(tensor.device)
            event.record()

        def job() -> None:
            if event is not None:
                event.wait()
            self._faults.run(probe, receive, step, _to_host(host))

        self._submit(self._computations, job)

    def close(self, timeout_secs: float = 60.0) -> None:
        """Wait for the values in flight and stop the threads."""
        self._pending.clear()
        self._deliveries.close(timeout_secs)
        self._computations.close(timeout_secs)
        if self._is_registered:
            self._is_registered = False
            atexit.unregister(self.close)

    def _send(self, step: int, batches: list[_Batch], parts: list[_Part]) -> None:
        """Start one copy per device and submit their delivery to the thread."""
        buffers = [self._take(batch.device) for batch in batches]

        def release() -> None:
            for batch, buffer in zip(batches, buffers, strict=True):
                if buffer is not None:
                    self._free[batch.device].put(buffer)

        def job() -> None:
            try:
                for probe, receive, readers in parts:
                    self._deliver(probe, receive, step, [read() for read in readers])
            finally:
                release()

        if any(buffer is None for buffer in buffers):
            self.dropped += 1
            release()
            return
        for batch, buffer in zip(batches, buffers, strict=True):
            if buffer is not None:
                batch.start(buffer)
        # There are never more jobs than buffers, so the queue needs no bound.
        self._submit(self._deliveries, job)

    def _take(self, device: torch.device) -> _Buffer | None:
        """Take a free buffer of a device; None if all are in use. The first call allocates the device's buffers."""
        free = self._free.get(device)
        if free is None:
            free = self._free[device] = queue.SimpleQueue()
            for _ in range(self._depth):
                free.put(_Buffer(device))
        try:
            return free.get_nowait()
        except queue.Empty:
            return None

    def _deliver_now(self, receive: Receive, step: int, tensors: list[Tensor]) -> None:
        receive(step, np.concatenate([_to_host(tensor).reshape(-1) for tensor in tensors]))

    def _deliver(self, probe: str, receive: Receive, step: int, arrays: list[FloatArray]) -> None:
        values = np.concatenate([array.reshape(-1) for array in arrays])
        self._faults.attempt(probe, receive, step, values)

    def _submit(self, worker: _Worker, job: Callable[[], None]) -> None:
        if not self._is_registered:
            # So that the last steps are recorded even if the program exits without closing the watch.
            self._is_registered = True
            atexit.register(self.close)
        worker.submit(job)


def _add(batches: dict[torch.device, _Batch], tensors: list[Tensor]) -> list[_Read]:
    """Add tensors, at least one of which is on an accelerator, to the batches of their devices."""
    readers: list[_Read] = []
    for tensor in tensors:
        if _is_on_host(tensor):
            readers.append(_constant(_to_host(tensor)))
        else:
            batch = batches.setdefault(tensor.device, _Batch(tensor.device))
            readers.append(batch.add(tensor))
    return readers


def _constant(values: FloatArray) -> _Read:
    return lambda: values
