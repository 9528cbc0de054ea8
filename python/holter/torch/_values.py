"""Probe values of one step's forward pass, held until the step is committed.

Eager code provides values directly; compiled code writes them into tensors (`_compiled.py`). By default, only the
first value of a step under each name is kept: of accumulated micro-batches the first counts. The recomputation that
activation checkpointing runs in the backward pass does not count again.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from holter.torch._columns import Columns, cached_plans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._compiled import Target, Targets
    from holter.torch._staging import Staging


CALLS = ("first", "last", "mean", "each")


@dataclass(frozen=True)
class Ratio:
    """A metric computed from two others of the same layer: numerator / (denominator + epsilon).

    It is computed from their recorded values off the training thread, so that it launches no kernel.

    Attributes:
        metric: The ratio's own name, for example `memory_rw_ratio`.
        numerator: The name of the dividend, for example `memory_read_norm`.
        denominator: The name of the divisor, for example `memory_write_norm`.
        epsilon: Added to the denominator. The default is that of the usual definition of `memory_rw_ratio`.
    """

    metric: str
    numerator: str
    denominator: str
    epsilon: float = 1e-10


class _Plan:
    """The columns of one combination of names, and the ratios computed from them."""

    def __init__(self, logger: Logger, ratios: Sequence[Ratio], names: tuple[str, ...]) -> None:
        index_of = {name: index for index, name in enumerate(names)}
        self._numerators: list[int] = []
        self._denominators: list[int] = []
        epsilons: list[float] = []
        derived: list[str] = []
        for ratio in ratios:
            for name in names:
                metric, _, label = name.partition("/")
                other = index_of.get(f"{ratio.denominator}/{label}")
                if metric == ratio.numerator and other is not None:
                    self._numerators.append(index_of[name])
                    self._denominators.append(other)
                    epsilons.append(ratio.epsilon)
                    derived.append(f"{ratio.metric}/{label}")
        self._epsilons = np.asarray(epsilons)
        self._columns = Columns(logger, [*names, *derived])

    def receive(self, step: int, values: FloatArray) -> None:
        with np.errstate(all="ignore"):
            ratios = values[self._numerators] / (values[self._denominators] + self._epsilons)
        self._columns.record(step, np.concatenate((values, ratios)))


@dataclass(frozen=True)
class _CompiledValues:
    """The targets of one group that compiled code may have written in a step.

    Attributes:
        tick: The step's tick: a value with another tick is from an earlier step.
        kind: As in `StepValues.add_targets`.
        targets: The targets whose values eager code has not provided.
        total: The number of targets in the group.
    """

    tick: int
    kind: str | None
    targets: list[Target]
    total: int

    @property
    def has_eager_values(self) -> bool:
        """Whether eager code has provided the values of at least one target."""
        return len(self.targets) < self.total


class StepValues:
    """Collects named tensors during a step.

    Attributes:
        calls: Which call counts if there are several in a step: "first", "last", "mean" or "each".
        num_calls: The number of calls in the last recorded step, by the first of their names.

    Raises:
        ValueError: If `calls` is none of these.
    """

    def __init__(self, logger: Logger, ratios: Sequence[Ratio] = (), calls: str = "first") -> None:
        if calls not in CALLS:
            raise ValueError(f"calls must be one of {', '.join(CALLS)}, not {calls!r}")
        self.calls = calls
        self.num_calls: dict[str, int] = {}
        self._counts: dict[tuple[str, ...], int] = {}
        self._sums: dict[tuple[str, ...], Tensor] = {}
        self._summands: dict[tuple[str, ...], int] = {}
        self._outside_backward: set[tuple[str, ...]] = set()
        self._logger = logger
        self._plan = cached_plans(functools.partial(_Plan, logger, tuple(ratios)))
        self._values: dict[tuple[str, ...], Tensor] = {}
        self._valid_names: set[tuple[str, ...]] = set()
        self._groups: list[tuple[Targets, str | None]] = []

    def add_targets(self, targets: Targets, kind: str | None) -> None:
        """Also collect the values that compiled code writes into these targets.

        Args:
            targets: The targets.
            kind: The name passed to `on_not_traced` if no value of the group appears; None to not report it.
        """
        self._groups.append((targets, kind))

    def wants(self, names: tuple[str, ...]) -> bool:
        """Count a call whose values have these names, and return whether to compute them.

        Activation checkpointing runs a forward pass again during the backward pass. That call does not count, unless
        the first one ran without gradients and so was not observed.
        """
        if torch._C._current_graph_task_id() != -1:  # noqa: SLF001  the only way to detect a backward pass
            if names in self._outside_backward:
                return False
        else:
            self._outside_backward.add(names)
        self._counts[names] = self._counts.get(names, 0) + 1
        return self.calls != "first" or names not in self._values

    def put(self, names: tuple[str, ...], values: Tensor) -> None:
        """Add the values of these names: a vector, or a 0-d tensor for a single name.

        Raises:
            ValueError: If the logger rejects a name. Names are validated here so that an invalid name disables only the
                probe that uses it.
        """
        if names not in self._valid_names:
            self._logger.metrics(list(names))
            self._valid_names.add(names)
        values = values.detach()
        if self.calls == "each":
            number = self._counts.get(names, 1) - 1
            self._values[tuple(f"{name}/call_{number}" for name in names)] = values
        elif self.calls == "mean":
            self._sums[names] = (self._sums[names] + values) if names in self._sums else values
            self._summands[names] = self._summands.get(names, 0) + 1
            self._values[names] = self._sums[names] / self._summands[names]
        elif self.calls == "last" or names not in self._values:
            self._values[names] = values

    def stage(self, staging: Staging, on_not_traced: Callable[[str], None] | None = None) -> None:
        """Pass the step's values to staging and reset for the next step.

        Args:
            staging: Receives the values.
            on_not_traced: Called with the kind of each group of targets that has no value in this step, as soon as the
                values have arrived on the host.
        """
        values, self._values = self._values, {}
        if self._counts:
            self.num_calls = {names[0]: count for names, count in self._counts.items()}
        for each in (self._counts, self._sums, self._summands, self._outside_backward):
            each.clear()
        compiled = [
            _CompiledValues(
                targets.tick,
                kind,
                [target for target in targets.writable if not target.has_eager_values(values)],
                len(targets.members),
            )
            for targets, kind in self._groups
            if targets.is_active and targets.members
        ]
        names = [name for names in values for name in names]
        tensors = list(values.values())
        target_tensors = [target.tensor for group in compiled for target in group.targets]
        if target_tensors:
            receive = functools.partial(self._receive, names, compiled, on_not_traced)
            staging.put("recording of the forward pass", receive, tensors + target_tensors)
        elif tensors:
            staging.put("recording of the forward pass", self._plan(tuple(names)).receive, tensors)

    def _receive(
        self,
        names: list[str],
        compiled: list[_CompiledValues],
        on_not_traced: Callable[[str], None] | None,
        step: int,
        values: FloatArray,
    ) -> None:
        """Record the values of eager code, and those elements of the targets that were written in this step."""
        found = dict(zip(names, values[: len(names)], strict=True))
        rest = values[len(names) :]
        for group in compiled:
            has_values = group.has_eager_values
            for target in group.targets:
                size = target.tensor.numel()
                rows, rest = rest[:size].reshape(-1, 2), rest[size:]
                # The names may have grown since the step was staged; zip stops at the shorter of the two.
                for name, (value, tick) in zip(target.names, rows, strict=False):
                    if tick == group.tick:
                        has_values = True
                        found.setdefault(name, value)
            if on_not_traced is not None and group.kind is not None and not has_values:
                on_not_traced(group.kind)
        if found:
            self._plan(tuple(found)).receive(step, np.fromiter(found.values(), np.float64, len(found)))
