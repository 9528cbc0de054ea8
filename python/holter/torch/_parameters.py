"""Parameters followed by name: their value, the gradient of it, and how far they have moved.

Values are read as they were in the step's forward pass (before the optimizer changes them), gradients as they were
before clipping. Transforms of a single number are applied off the training thread, so they cost no kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holter.torch._cadence import Cadence
from holter.torch._columns import Columns
from holter.torch._distributed import whole
from holter.torch._gradients import beside, norms
from holter.torch._names import clean_path, labels, matches
from holter.torch._transforms import TRANSFORMS, check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._staging import Staging


@dataclass(frozen=True)
class _Reading:
    """What one number of a step is."""

    name: str
    transform: str | None = None
    is_gradient: bool = False


_OVERFLOWED = _Reading("overflowed")
"""Stands among the readings for a GradScaler's flag; it is no metric."""


@dataclass(frozen=True)
class Parameter:
    """What to record of the parameters whose name matches a pattern.

    Attributes:
        metric: the metric's name, as `{metric}/layer_{i}`; the gradient's is `{metric}_grad/layer_{i}`. Parameters of
            several elements give the mean of the (transformed) elements, and the mean of their gradients.
        transform: applied to the value and not to the gradient: "sigmoid", "tanh", "exp", "softplus", or None.
        value: record the value.
        gradient: record the gradient; absent at steps where there is none.
        change_every: every how many steps to record how far the parameter has moved since the last time, as
            `{metric}_change/…` = ‖W - W_before‖ and `{metric}_rel_change/…` = that over ‖W_before‖; 0 for never. It
            keeps one copy of the parameter on its device.
    """

    metric: str
    transform: str | None = None
    value: bool = True
    gradient: bool = False
    change_every: int = 0

    def __post_init__(self) -> None:
        check(self.transform)
        if self.change_every != 0:
            Cadence(self.change_every)


@dataclass
class _Followed:
    """One parameter under one metric."""

    parameter: Tensor
    settings: Parameter
    label: str


class Parameters:
    """Reads the followed parameters of one model.

    Raises:
        ValueError: a pattern matches no parameter.
    """

    def __init__(self, model: nn.Module, logger: Logger, patterns: Mapping[str, Parameter]) -> None:
        self._logger = logger
        self._plans: dict[tuple[_Reading, ...], _Plan] = {}
        self._pending: list[tuple[tuple[_Reading, ...], Tensor]] = []
        self._followed: list[_Followed] = []
        self._changes: list[_Change] = []
        names = {clean_path(name): parameter for name, parameter in model.named_parameters()}
        for pattern, settings in patterns.items():
            found = {name: parameter for name, parameter in names.items() if matches(name, pattern)}
            if not found:
                known = ", ".join(list(names)[:8])
                raise ValueError(f"no parameter's name matches {pattern!r}; names are like {known}")
            followed = [_Followed(found[name], settings, label) for name, label in labels(found).items()]
            self._followed += followed
            if settings.change_every:
                self._changes.append(_Change(followed, settings, logger))

    def read(self, scale: Tensor | None = None, found_inf: Tensor | None = None, *, gradients: bool = True) -> None:
        """Take values and gradients as they are now, to be staged with the step; only the first time in a step.

        Args:
            scale: what the gradients are still multiplied with, on its device.
            found_inf: not zero where they have overflowed, and are not to be recorded; on its device.
            gradients: whether there are gradients worth reading.
        """
        if not self._pending:
            self._keep([self._value(one) for one in self._followed if one.settings.value])
            if gradients:
                found = [self._gradient(one) for one in self._followed if one.settings.gradient]
                self._keep([one for one in found if one is not None], scale)
        if found_inf is not None and self._pending:
            self._pending.append(((_OVERFLOWED,), found_inf.detach().to(torch.float32).reshape(1)))

    def overflowed(self) -> None:
        """The optimizer is left out of this step: keep the values and forget the gradients."""
        self._pending = [(readings, vector) for readings, vector in self._pending if not readings[0].is_gradient]
        self.read(gradients=False)

    def read_changes(self, staging: Staging, step: int) -> None:
        """Compare with what the parameters were when this was last due, where it is due again."""
        for change in self._changes:
            change.read(staging, step)

    def stage(self, staging: Staging) -> None:
        """Hand what was read to staging, and begin anew."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        key = tuple(reading for readings, _ in pending for reading in readings)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _Plan(self._logger, key)
        staging.put("recording of the parameters", plan.receive, [vector for _, vector in pending])

    def _keep(self, found: list[tuple[_Reading, Tensor]], scale: Tensor | None = None) -> None:
        """Copy these numbers, since the optimizer changes them before they have left the device: one kernel for all."""
        by_device: dict[torch.device, list[tuple[_Reading, Tensor]]] = {}
        for one in found:
            by_device.setdefault(one[1].device, []).append(one)
        for device, group in by_device.items():
            vector = torch.cat([number.reshape(1) for _, number in group])
            if scale is not None:
                vector = vector / beside(scale, device)
            self._pending.append((tuple(reading for reading, _ in group), vector))

    @staticmethod
    def _value(followed: _Followed) -> tuple[_Reading, Tensor]:
        settings = followed.settings
        name = f"{settings.metric}/{followed.label}"
        value = whole(followed.parameter.detach())
        if value.numel() == 1:
            return _Reading(name, settings.transform), value
        if settings.transform is not None:
            value = TRANSFORMS[settings.transform].of_tensors(value.float())
        return _Reading(name), value.mean(dtype=torch.float32)

    @staticmethod
    def _gradient(followed: _Followed) -> tuple[_Reading, Tensor] | None:
        gradient = followed.parameter.grad
        if gradient is None:
            return None
        gradient = whole(gradient.detach())
        if gradient.numel() != 1:
            gradient = gradient.mean(dtype=torch.float32)
        return _Reading(f"{followed.settings.metric}_grad/{followed.label}", is_gradient=True), gradient


class _Plan:
    """One combination of readings: which of them are transformed, and which an overflow makes worthless."""

    def __init__(self, logger: Logger, readings: tuple[_Reading, ...]) -> None:
        self._has_flag = readings[-1] == _OVERFLOWED
        if self._has_flag:
            readings = readings[:-1]
        self._columns = Columns(logger, [reading.name for reading in readings])
        self._values = [index for index, reading in enumerate(readings) if not reading.is_gradient]
        self._values_only = Columns(logger, [readings[index].name for index in self._values])
        places: dict[str, list[int]] = {}
        for index, reading in enumerate(readings):
            if reading.transform is not None:
                places.setdefault(reading.transform, []).append(index)
        self._transforms = [(TRANSFORMS[transform].of_numbers, indices) for transform, indices in places.items()]

    def receive(self, step: int, values: FloatArray) -> None:
        overflowed = False
        if self._has_flag:
            overflowed, values = bool(values[-1] != 0.0), values[:-1]
        with np.errstate(all="ignore"):
            for transform, indices in self._transforms:
                values[indices] = transform(values[indices])
        if overflowed:
            self._values_only.record(step, values[self._values])
        else:
            self._columns.record(step, values)


class _Change:
    """How far some parameters have moved since the last time that was recorded."""

    def __init__(self, followed: list[_Followed], settings: Parameter, logger: Logger) -> None:
        self._parameters = [one.parameter for one in followed]
        self._cadence = Cadence(settings.change_every)
        self._before: list[Tensor] = []
        self._columns = Columns(
            logger,
            [f"{settings.metric}_{which}/{one.label}" for which in ("change", "rel_change") for one in followed],
        )

    def read(self, staging: Staging, step: int) -> None:
        if not self._cadence.due(step):
            return
        self._cadence.done(step)
        now = [whole(parameter.detach()) for parameter in self._parameters]
        if self._before:
            moved: Any = [after - before for after, before in zip(now, self._before, strict=True)]
            pairs = zip(moved, self._before, strict=True)
            vectors = [torch.cat([norms([tensor], tensor.dtype) for tensor in pair]) for pair in pairs]
            staging.put("recording of parameter changes", self.receive, vectors)
        self._before = [tensor.clone() for tensor in now]

    def receive(self, step: int, values: FloatArray) -> None:
        change, before = values.reshape(-1, 2).T
        with np.errstate(all="ignore"):
            self._columns.record(step, np.concatenate((change, change / before)))
