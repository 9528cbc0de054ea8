"""Parameters followed by name: their value, the gradient of it, and how far they have moved.

Values are read as they were in the step's forward pass (before the optimizer changes them), gradients as they were
before clipping. Transforms of a single number are applied off the training thread, so they cost no kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ._cadence import Cadence
from ._columns import Columns
from ._distributed import whole
from ._gradients import norms
from ._names import clean_path, labels, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from holter import Logger

    from ._columns import FloatArray
    from ._staging import Staging

_TRANSFORMS: dict[str, tuple[Callable[[FloatArray], FloatArray], Callable[[Tensor], Tensor]]] = {
    "sigmoid": (lambda x: 1.0 / (1.0 + np.exp(-x)), torch.sigmoid),
    "tanh": (np.tanh, torch.tanh),
    "exp": (np.exp, torch.exp),
    "softplus": (lambda x: np.logaddexp(0.0, x), torch.nn.functional.softplus),
}


_GRADIENT = "_grad"
_OVERFLOWED = "overflowed"
"""Stands among the names for a GradScaler's flag; it is no metric."""


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
        if self.transform is not None and self.transform not in _TRANSFORMS:
            raise ValueError(f"transform must be None or one of {', '.join(_TRANSFORMS)}; not {self.transform!r}")
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
        self._plans: dict[tuple[tuple[str, str | None], ...], _Plan] = {}
        self._pending: list[tuple[str, str | None, Tensor]] = []
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
            for followed in self._followed:
                if followed.settings.value:
                    self._read_value(followed)
            for followed in self._followed if gradients else ():
                if followed.settings.gradient and followed.parameter.grad is not None:
                    self._read_gradient(followed, followed.parameter.grad, scale)
        if found_inf is not None and self._pending:
            self._pending.append((_OVERFLOWED, None, found_inf.detach().to(torch.float32).reshape(())))

    def overflowed(self) -> None:
        """The optimizer is left out of this step: keep the values and forget the gradients."""
        self._pending = [one for one in self._pending if not _is_gradient(one[0])]
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
        key = tuple((name, transform) for name, transform, _ in pending)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = _Plan(self._logger, key)
        staging.put("recording of the parameters", plan.receive, [tensor for _, _, tensor in pending])

    def _read_value(self, followed: _Followed) -> None:
        settings = followed.settings
        name = f"{settings.metric}/{followed.label}"
        value = whole(followed.parameter.detach())
        if value.numel() == 1:
            # A copy: the optimizer changes the parameter before its value has left the device.
            self._pending.append((name, settings.transform, value.clone()))
            return
        if settings.transform is not None:
            value = _TRANSFORMS[settings.transform][1](value.float())
        self._pending.append((name, None, value.mean(dtype=torch.float32)))

    def _read_gradient(self, followed: _Followed, gradient: Tensor, scale: Tensor | None) -> None:
        value = whole(gradient.detach()).mean(dtype=torch.float32)
        if scale is not None:
            value = value / scale.to(value.device, non_blocking=True)
        self._pending.append((f"{followed.settings.metric}{_GRADIENT}/{followed.label}", None, value))


class _Plan:
    """One combination of names: which of their values are transformed, and which an overflow makes worthless."""

    def __init__(self, logger: Logger, key: tuple[tuple[str, str | None], ...]) -> None:
        names = [name for name, _ in key]
        self._has_flag = names[-1] == _OVERFLOWED
        if self._has_flag:
            names.pop()
        self._columns = Columns(logger, names)
        self._values = [index for index, name in enumerate(names) if not _is_gradient(name)]
        self._values_only = Columns(logger, [names[index] for index in self._values])
        places: dict[str, list[int]] = {}
        for index, (_, transform) in enumerate(key):
            if transform is not None:
                places.setdefault(transform, []).append(index)
        self._transforms = [(_TRANSFORMS[transform][0], indices) for transform, indices in places.items()]

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


def _is_gradient(name: str) -> bool:
    return name.partition("/")[0].endswith(_GRADIENT)


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
