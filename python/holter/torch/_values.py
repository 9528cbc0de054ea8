"""Values: what the probes of one step's forward pass have computed, until the step is committed.

Values come from eager code at once, and from compiled code (`_compiled.py`) out of the tensors that it writes. Only the
first value of a step under one name is kept. That is the rule for gradient accumulation (the first
micro-batch counts) and for activation checkpointing (the recomputation in the backward pass does not count again).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holter.torch._columns import Columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._compiled import Pulse, Site
    from holter.torch._staging import Staging

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


@dataclass(frozen=True)
class _Awaited:
    """What compiled code may have written in a step."""

    tick: int
    kind: str | None
    sites: list[Site]
    expected: int

    @property
    def is_seen(self) -> bool:
        """Whether eager code has given any of it already."""
        return len(self.sites) < self.expected


class StepValues:
    """Collects tensors under names during a step."""

    def __init__(self, logger: Logger, ratios: Sequence[Ratio] = ()) -> None:
        self._logger = logger
        self._ratios = tuple(ratios)
        self._values: dict[tuple[str, ...], Tensor] = {}
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._known: set[tuple[str, ...]] = set()
        self._pulses: list[tuple[Pulse, str | None]] = []

    def await_from(self, pulse: Pulse, kind: str | None) -> None:
        """Also take what compiled code writes for this pulse.

        Args:
            pulse: whose sites.
            kind: what the report calls it if nothing at all is seen of it; None to say nothing.
        """
        self._pulses.append((pulse, kind))

    def has(self, names: tuple[str, ...]) -> bool:
        """Whether this step has these names already, so that computing them again can be left out."""
        return names in self._values

    def put(self, names: tuple[str, ...], values: Tensor) -> None:
        """Keep a vector (or a 0-d tensor, for one name) whose elements are the values of these names.

        Raises:
            ValueError: the logger refuses a name. It is asked here, where the failure is one probe's own.
        """
        if names not in self._known:
            self._logger.metrics(list(names))
            self._known.add(names)
        if names not in self._values:
            self._values[names] = values.detach()

    def stage(self, staging: Staging, report_blind: Callable[[str], None] | None = None) -> None:
        """Hand the step's values to staging, and begin anew.

        Args:
            staging: where to.
            report_blind: called with each kind of which nothing was seen, once it is known.
        """
        values, self._values = self._values, {}
        awaited = [
            _Awaited(pulse.tick, kind, [site for site in pulse.awaited if not site.is_seen(values)], len(pulse.sites))
            for pulse, kind in self._pulses
            if pulse.is_active and pulse.sites
        ]
        names = [name for names in values for name in names]
        tensors = list(values.values())
        targets = [site.target for one in awaited for site in one.sites]
        if targets:
            receive = functools.partial(self._receive, names, awaited, report_blind)
            staging.put("recording of the forward pass", receive, tensors + targets)
        elif tensors:
            staging.put("recording of the forward pass", self._plan(tuple(names)).receive, tensors)

    def _plan(self, names: tuple[str, ...]) -> _Plan:
        plan = self._plans.get(names)
        if plan is None:
            if len(self._plans) >= _CACHE_LIMIT:
                self._plans.clear()
            plan = self._plans[names] = _Plan(self._logger, list(names), self._ratios)
        return plan

    def _receive(
        self,
        names: list[str],
        awaited: list[_Awaited],
        report_blind: Callable[[str], None] | None,
        step: int,
        values: FloatArray,
    ) -> None:
        """Take the values of eager code, then those places of the targets that were written in this step."""
        found = dict(zip(names, values[: len(names)], strict=True))
        rest = values[len(names) :]
        for one in awaited:
            is_seen = one.is_seen
            for site in one.sites:
                size = site.target.numel()
                places, rest = rest[:size].reshape(-1, 2), rest[size:]
                # A list of names may have grown meanwhile; zip ends with the shorter.
                for name, (value, tick) in zip(site.names, places, strict=False):
                    if tick == one.tick:
                        is_seen = True
                        found.setdefault(name, value)
            if report_blind is not None and one.kind is not None and not is_seen:
                report_blind(one.kind)
        if found:
            self._plan(tuple(found)).receive(step, np.fromiter(found.values(), np.float64, len(found)))
