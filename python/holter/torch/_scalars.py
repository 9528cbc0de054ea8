"""Scalars: numbers that only the training loop knows, its loss above all, recorded without waiting for the device.

They stay where they are until the step's other values are fetched. What several micro-batches of a step give under one
name is averaged, and transformed, off the training thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from holter.torch._columns import Columns
from holter.torch._transforms import TRANSFORMS, check

if TYPE_CHECKING:
    from torch import Tensor

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._staging import Staging

_Key = tuple[tuple[str, str | None, int], ...]


class Scalars:
    """Collects a step's numbers.

    Args:
        logger: where to.
    """

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._plans: dict[_Key, _Plan] = {}
        self._known: set[str] = set()
        self._found: dict[tuple[str, str | None], list[Tensor]] = {}

    def put(self, name: str, value: Tensor | float, transform: str | None) -> None:
        """Keep one number under a name.

        Raises:
            TypeError: it is not a number.
            ValueError: it is more than one number, the transform is unknown, or the logger refuses the name.
        """
        check(transform)
        if name not in self._known:
            self._logger.metrics([name])
            self._known.add(name)
        if isinstance(value, torch.Tensor):
            if value.numel() != 1:
                raise ValueError(f"value must be one number, not a tensor of shape {tuple(value.shape)}")
            tensor = value.detach()
        elif isinstance(value, (int, float)):
            tensor = torch.tensor(value, dtype=torch.float64, device="cpu")
        else:
            raise TypeError(f"value must be a tensor of one number or a float, not {type(value).__name__}")
        self._found.setdefault((name, transform), []).append(tensor)

    def stage(self, staging: Staging) -> None:
        """Hand the step's numbers to staging, and begin anew."""
        found, self._found = self._found, {}
        if not found:
            return
        key = tuple((name, transform, len(tensors)) for (name, transform), tensors in found.items())
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _Plan(self._logger, key)
        staging.put("recording of numbers", plan.receive, [one for tensors in found.values() for one in tensors])


class _Plan:
    """One combination of names, with how many numbers each has."""

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
