"""Values: what the probes of one step's forward pass have computed, until the step is committed.

Only the first value of a step under one name is kept. That is the rule for gradient accumulation (the first
micro-batch counts) and for activation checkpointing (the recomputation in the backward pass does not count again).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ._columns import Columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from holter import Logger

    from ._columns import FloatArray
    from ._staging import Staging

_CACHE_LIMIT = 256


@dataclass(frozen=True)
class Ratio:
    """A metric that is the quotient of two others of the same layer: numerator / (denominator + epsilon).

    It is computed off the training thread from their recorded values, so it costs no kernel.

    Attributes:
        metric: the ratio's own name, for example `memory_rw_ratio`.
        numerator: the metric above the line, for example `memory_read_norm`.
        denominator: the metric below it, for example `memory_write_norm`.
        epsilon: added to the denominator. The default is the one of the usual definition of `memory_rw_ratio`.
    """

    metric: str
    numerator: str
    denominator: str
    epsilon: float = 1e-10


class _Plan:
    """One combination of names: its columns, and the ratios that can be had from them."""

    def __init__(self, logger: Logger, names: list[str], ratios: Sequence[Ratio]) -> None:
        place = {name: index for index, name in enumerate(names)}
        self._numerators: list[int] = []
        self._denominators: list[int] = []
        epsilons: list[float] = []
        derived: list[str] = []
        for ratio in ratios:
            for name in names:
                metric, _, label = name.partition("/")
                other = place.get(f"{ratio.denominator}/{label}")
                if metric == ratio.numerator and other is not None:
                    self._numerators.append(place[name])
                    self._denominators.append(other)
                    epsilons.append(ratio.epsilon)
                    derived.append(f"{ratio.metric}/{label}")
        self._epsilons = np.asarray(epsilons)
        self._columns = Columns(logger, names + derived)

    def receive(self, step: int, values: FloatArray) -> None:
        with np.errstate(all="ignore"):
            ratios = values[self._numerators] / (values[self._denominators] + self._epsilons)
        self._columns.record(step, np.concatenate((values, ratios)))


class StepValues:
    """Collects tensors under names during a step."""

    def __init__(self, logger: Logger, ratios: Sequence[Ratio] = ()) -> None:
        self._logger = logger
        self._ratios = tuple(ratios)
        self._values: dict[tuple[str, ...], Tensor] = {}
        self._plans: dict[tuple[tuple[str, ...], ...], _Plan] = {}

    def __bool__(self) -> bool:
        return bool(self._values)

    def has(self, names: tuple[str, ...]) -> bool:
        """Whether this step has these names already, so that computing them again can be left out."""
        return names in self._values

    def put(self, names: tuple[str, ...], values: Tensor) -> None:
        """Keep a vector (or a 0-d tensor, for one name) whose elements are the values of these names."""
        if names not in self._values:
            self._values[names] = values.detach()

    def stage(self, staging: Staging) -> None:
        """Hand the step's values to staging, and begin anew."""
        values, self._values = self._values, {}
        if not values:
            return
        key = tuple(values)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _CACHE_LIMIT:
                self._plans.clear()
            plan = self._plans[key] = _Plan(self._logger, [name for names in key for name in names], self._ratios)
        staging.put("recording of the forward pass", plan.receive, list(values.values()))
