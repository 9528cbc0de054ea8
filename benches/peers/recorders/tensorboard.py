"""TensorBoard with PyTorch's `SummaryWriter`."""

import pathlib
from collections.abc import Sequence
from typing import Any

from peers.recorder import Recorder, Way


class TensorBoard(Recorder):
    """Event files as in PyTorch's documentation. There is no call for many scalars of one step."""

    title = "TensorBoard"
    requirements = ("tensorboard==2.21.0",)
    shared = ("torch",)
    settings = "`SummaryWriter(log_dir)` of `torch.utils.tensorboard`, defaults: queue of 10, flush every 120 s"
    durable = "`writer.flush()` has returned: written to the page cache, not synced"
    reader = "`EventAccumulator` with `size_guidance` 0, which keeps all points; it reads the whole file"
    ways = (Way("log", "`writer.add_scalar(name, value, step)`", "pairs"),)
    many = None

    def prepare(self, path: pathlib.Path) -> None:
        del path
        from tensorboard.backend.event_processing import event_accumulator
        from torch.utils.tensorboard import SummaryWriter

        self._accumulator, self._make = event_accumulator.EventAccumulator, SummaryWriter

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del names
        self._writer = self._make(log_dir=str(path))

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        writer = self._writer
        for name, value in pairs:
            writer.add_scalar(name, value, step)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

    def open_reader(self, path: pathlib.Path) -> None:
        self._events: Any = self._accumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
        self._events.Reload()

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        if name not in self._events.Tags()["scalars"]:
            return [], []
        events = self._events.Scalars(name)
        return [event.step for event in events], [event.value for event in events]
