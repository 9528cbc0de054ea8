"""Parameters recorded by name: their values, their gradients and how far they have moved.

Values are those of the step's forward pass (before the optimizer changes them), gradients those before clipping.
Transforms of single-element parameters run off the training thread, so that they launch no kernel.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holter.torch._cadence import Cadence
from holter.torch._columns import Columns, cached_plans
from holter.torch._distributed import full_tensor
from holter.torch._names import clean_path, labels, matches
from holter.torch._norms import norms, to_device
from holter.torch._tracing import has_data
from holter.torch._transforms import TRANSFORMS, check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._staging import Staging


@dataclass(frozen=True)
class _Reading:
    """The meaning of one element of a step's vector."""

    name: str
    transform: str | None = None
    is_gradient: bool = False


_OVERFLOWED = _Reading("overflowed")
"""Marks the element that holds a GradScaler's overflow flag. It is not a metric."""


@dataclass(frozen=True)
class Parameter:
    """What to record of the parameters whose name matches a pattern.

    Attributes:
        metric: The metric's name. The value is recorded as `{metric}/layer_{i}` and the gradient as
            `{metric}_grad/layer_{i}`. For a parameter with several elements, both are means over the elements (of the
            transformed elements for the value).
        transform: Applied to the value, not to the gradient: "sigmoid", "tanh", "exp", "softplus" or None.
        value: Record the value.
        gradient: Record the gradient before clipping. Absent at steps where the parameter has none.
        change_every: Record every this many steps how far the parameter W has moved since the previous record:
            `{metric}_change/…` = ‖W - W_before‖ (2-norm) and `{metric}_rel_change/…` = ‖W - W_before‖ / ‖W_before‖.
            0 disables it. Keeps one copy of the parameter on its device.

    Raises:
        ValueError: If `transform` is unknown or `change_every` is negative.
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
    """A parameter to record, with the label of its metrics."""

    parameter: Tensor
    settings: Parameter
    label: str


class Parameters:
    """Reads the recorded parameters of one model.

    Raises:
        ValueError: If a pattern matches no parameter.
    """

    def __init__(self, model: nn.Module, logger: Logger, patterns: Mapping[str, Parameter]) -> None:
        self._plan = cached_plans(functools.partial(_Plan, logger))
        self._pending: list[tuple[tuple[_Reading, ...], Tensor]] = []
        self._followed: list[_Followed] = []
        self._changes: list[_Change] = []
        names = {clean_path(name): parameter for name, parameter in model.named_parameters()}
        for pattern, settings in patterns.items():
            found = {name: parameter for name, parameter in names.items() if matches(name, pattern)}
            if not found:
                examples = ", ".join(list(names)[:8])
                raise ValueError(f"no parameter name matches {pattern!r}; the model's names include {examples}")
            unusual = next((name for name, parameter in found.items() if parameter.is_complex()), None)
            if unusual is not None and (settings.value or settings.gradient):
                raise ValueError(f"{unusual!r} is complex, and only real numbers are recorded; set value=False")
            followed = [_Followed(found[name], settings, label) for name, label in labels(found).items()]
            self._followed += followed
            if settings.change_every:
                self._changes.append(_Change(followed, settings, logger))

    @property
    def names(self) -> list[str]:
        """The names of the values."""
        return [f"{followed.settings.metric}/{followed.label}" for followed in self._followed]

    def read(self, scale: Tensor | None = None, found_inf: Tensor | None = None, *, gradients: bool = True) -> None:
        """Read the current values and gradients, to be staged with the step. Only the first call of a step reads.

        Args:
            scale: The factor that the gradients are still multiplied by, a one-element tensor on its device.
            found_inf: A one-element tensor, nonzero if the gradients overflowed and must not be recorded.
            gradients: Whether to read gradients.
        """
        if not self._pending:
            values = [self._value(followed) for followed in self._followed if followed.settings.value]
            self._keep([(reading, value) for reading, value in values if has_data(value)])
            if gradients:
                found = [self._gradient(followed) for followed in self._followed if followed.settings.gradient]
                self._keep([reading for reading in found if reading is not None], scale)
        if found_inf is not None and self._pending:
            self._pending.append(((_OVERFLOWED,), found_inf.detach().to(torch.float32).reshape(1)))

    def drop_gradients(self) -> None:
        """Discard the step's gradients and keep its values: the scaler skips the optimizer."""
        self._pending = [(readings, vector) for readings, vector in self._pending if not readings[0].is_gradient]
        self.read(gradients=False)

    def read_changes(self, staging: Staging, step: int) -> None:
        """Record how far parameters have moved since the last time, for those that are due at this step."""
        for change in self._changes:
            change.read(staging, step)

    def stage(self, staging: Staging) -> None:
        """Pass the step's readings to staging and reset for the next step."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        key = tuple(reading for readings, _ in pending for reading in readings)
        staging.put("recording of parameters", self._plan(key).receive, [vector for _, vector in pending])

    def _keep(self, found: list[tuple[_Reading, Tensor]], scale: Tensor | None = None) -> None:
        """Copy these numbers with one kernel per device: the optimizer changes them before they leave the device."""
        by_device: dict[torch.device, list[tuple[_Reading, Tensor]]] = {}
        for reading, number in found:
            by_device.setdefault(number.device, []).append((reading, number))
        for device, group in by_device.items():
            vector = torch.cat([number.reshape(1) for _, number in group])
            if scale is not None:
                vector = vector / to_device(scale, device)
            self._pending.append((tuple(reading for reading, _ in group), vector))

    @staticmethod
    def _value(followed: _Followed) -> tuple[_Reading, Tensor]:
        settings = followed.settings
        name = f"{settings.metric}/{followed.label}"
        value = full_tensor(followed.parameter.detach())
        if value.numel() == 1:
            return _Reading(name, settings.transform), value
        if settings.transform is not None:
            value = TRANSFORMS[settings.transform].of_tensors(value.float())
        return _Reading(name), value.mean(dtype=torch.float32)

    @staticmethod
    def _gradient(followed: _Followed) -> tuple[_Reading, Tensor] | None:
        gradient = followed.parameter.grad
        if gradient is None or not has_data(gradient):
            return None
        gradient = full_tensor(gradient.detach())
        if gradient.numel() != 1:
            gradient = gradient.mean(dtype=torch.float32)
        return _Reading(f"{followed.settings.metric}_grad/{followed.label}", is_gradient=True), gradient


class _Plan:
    """One combination of readings: which to transform, and which to discard if the gradients overflowed."""

    def __init__(self, logger: Logger, readings: tuple[_Reading, ...]) -> None:
        self._has_flag = readings[-1] == _OVERFLOWED
        if self._has_flag:
            readings = readings[:-1]
        self._columns = Columns(logger, [reading.name for reading in readings])
        self._values = [index for index, reading in enumerate(readings) if not reading.is_gradient]
        self._values_only = Columns(logger, [readings[index].name for index in self._values])
        indices_by_transform: dict[str, list[int]] = {}
        for index, reading in enumerate(readings):
            if reading.transform is not None:
                indices_by_transform.setdefault(reading.transform, []).append(index)
        self._transforms = [
            (TRANSFORMS[transform].of_numbers, indices) for transform, indices in indices_by_transform.items()
        ]

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
    """Records how far parameters have moved since the previous record."""

    def __init__(self, followed: list[_Followed], settings: Parameter, logger: Logger) -> None:
        self._parameters = [each.parameter for each in followed]
        self._cadence = Cadence(settings.change_every)
        self._before: list[Tensor] = []
        self._columns = Columns(
            logger,
            [f"{settings.metric}_{which}/{each.label}" for which in ("change", "rel_change") for each in followed],
        )

    def read(self, staging: Staging, step: int) -> None:
        if not self._cadence.due(step):
            return
        self._cadence.done(step)
        now = [full_tensor(parameter.detach()) for parameter in self._parameters]
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
