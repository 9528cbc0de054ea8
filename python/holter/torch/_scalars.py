"""Scalars from the training loop, such as the loss, recorded without waiting for the device.

They stay on their device until the step's other values are fetched. Several values under the same name, one per
micro-batch for example, are averaged and transformed off the training thread.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch

from holter._core import number
from holter.torch._columns import Columns, cached_plans
from holter.torch._tracing import has_data
from holter.torch._transforms import TRANSFORMS, check

if TYPE_CHECKING:
    from torch import Tensor

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._staging import Staging

_Key = tuple[tuple[str, str | None, int], ...]


class Scalars:
    """Collects a step's scalars."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._plan = cached_plans(functools.partial(_Plan, logger))
        self._valid_names: set[str] = set()
        self._values: dict[tuple[str, str | None], list[Tensor]] = {}

    def put(self, name: str, value: Tensor | float, transform: str | None) -> None:
        """Add a scalar to the current step.

        Raises:
            TypeError: If `value` is neither a number nor a tensor.
            ValueError: If `value` does not have exactly one element, `transform` is unknown, or the logger rejects the
                name.
        """
        check(transform)
        if name not in self._valid_names:
            self._logger.metrics([name])
            self._valid_names.add(name)
        if isinstance(value, torch.Tensor):
            if value.numel() != 1:
                raise ValueError(f"value must be a tensor with one element, not of shape {tuple(value.shape)}")
            if not has_data(value):
                return
            tensor = value.detach()
            if tensor.is_complex():
                raise TypeError("value must be a real number, not a complex tensor; record its abs() or its parts")
        else:
            tensor = torch.tensor(number(name, value), dtype=torch.float64, device="cpu")
        self._values.setdefault((name, transform), []).append(tensor)

    def stage(self, staging: Staging) -> None:
        """Pass the step's scalars to staging and reset for the next step."""
        values, self._values = self._values, {}
        if not values:
            return
        key = tuple((name, transform, len(tensors)) for (name, transform), tensors in values.items())
        flat = [tensor for tensors in values.values() for tensor in tensors]
        staging.put("recording of scalars", self._plan(key).receive, flat)


class _Plan:
    """The metrics of one combination of names, each with its number of values."""

    def __init__(self, logger: Logger, key: _Key) -> None:
        self._columns = Columns(logger, [name for name, _, _ in key])
        self._counts = np.asarray([count for _, _, count in key])
        self._starts = np.cumsum(self._counts) - self._counts
        self._transforms = [
            (index, TRANSFORMS[transform].of_numbers)
            for index, (_, transform, _) in enumerate(key)
            if transform is not None
        ]

    def receive(self, step: int, values: FloatArray) -> None:
        with np.errstate(all="ignore"):
            means = np.add.reduceat(values, self._starts) / self._counts
            for index, transform in self._transforms:
                means[index] = transform(means[index])
        self._columns.record(step, means)
