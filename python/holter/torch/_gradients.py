"""Gradient norms: the 2-norm of every parameter's gradient and of all together, in one fused pass.

Norms are measured once per step, after accumulation, unscaling and reduction. They are accumulated in float32 or
better regardless of the gradients' dtype, because a float16 norm overflows at 65,504. A parameter without a gradient is
absent, not 0.0. A tied weight counts once, under its first name.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holter.torch._columns import Columns, cached_plans
from holter.torch._distributed import device_mesh, full_tensor, is_sharded, is_unreduced, local_tensor, sharded_norms
from holter.torch._names import clean_path, selected
from holter.torch._norms import norms, to_device
from holter.torch._tracing import has_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor, nn

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._staging import Staging

TOTAL = "grad_norm_total"
SKIPPED = "optimizer_step_skipped"
"""1.0 at a step that GradScaler skipped because gradients overflowed; such a step has no norms."""

AFTER_CLIPPING = "grad_norm_may_be_clipped"
"""1.0 at the watch's first step if the program holds a clipping function that a watch cannot observe."""

_PIECE = 1 << 16
"""Number of elements of a CPU gradient that are summed in float32; the sums of pieces are added in float64."""

_RESCAN_STEPS = 100
"""Number of steps between searches for parameters that were added to the model."""


class Gradients:
    """Measures gradient norms and keeps them until the step is staged.

    Args:
        model: The model whose parameters to measure.
        logger: Receives the norms.
        include: Patterns of the parameters to record; None for all. The total always covers all parameters.
        exclude: Patterns of the parameters not to record.
    """

    def __init__(
        self,
        model: nn.Module,
        logger: Logger,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
    ) -> None:
        self._model = model
        self._plan = cached_plans(functools.partial(_Plan, logger, include, exclude))
        self._staged_steps = 0
        self._is_skipped = False
        self._has_total = True
        self._found_inf: list[Tensor] = []
        self._measured_ids: set[int] = set()
        self._vectors: list[tuple[tuple[str, ...], tuple[int, ...], Tensor]] = []
        self._parameters: list[tuple[str, nn.Parameter]] = []
        self._parameter_ids: set[int] = set()
        self.rescan()

    def rescan(self) -> None:
        """Find parameters that were added to the model since the previous scan."""
        self._parameters = [(clean_path(name), parameter) for name, parameter in self._model.named_parameters()]
        self._parameter_ids = {id(parameter) for _, parameter in self._parameters}

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The model's parameters."""
        return [parameter for _, parameter in self._parameters]

    @property
    def has_norms(self) -> bool:
        """Whether any norm of this step has been measured."""
        return bool(self._vectors)

    def measure(
        self,
        only: Iterable[Tensor] | None = None,
        scale: Tensor | None = None,
        found_inf: Tensor | None = None,
    ) -> None:
        """Measure the norms of the gradients that have not been measured in this step.

        Args:
            only: The parameters to measure; None for all of the model's.
            scale: The factor that the gradients are still multiplied by (a GradScaler's scale), a one-element tensor.
            found_inf: A one-element tensor, nonzero if the optimizer will skip this step.
        """
        selection = None if only is None else {id(parameter) for parameter in only}
        if selection is not None and not selection <= self._parameter_ids:
            self.rescan()
        parameters = [
            (name, parameter)
            for name, parameter in self._parameters
            if id(parameter) not in self._measured_ids and (selection is None or id(parameter) in selection)
        ]
        unusual = [name for name, parameter in parameters if not _is_measurable(parameter.grad)]
        self._has_total = self._has_total and not unusual
        for group in _groups(parameters):
            vector, pieces = group.precise_norms()
            if scale is not None:
                vector = vector / to_device(scale, vector.device)
            self._keep(group, vector, pieces)
        if found_inf is not None:
            self._found_inf.append(found_inf.detach().reshape(1).to(torch.float32))
        if unusual:
            raise TypeError(
                f"the gradient of {unusual[0]} is neither dense nor a sparse COO tensor, or has no data; its norm and "
                f"{TOTAL} are not recorded"
            )

    def clip(
        self, parameters: Sequence[Tensor] | None, max_norm: float, *, keep: bool, bit_exact: bool = False
    ) -> Tensor:
        """Clip gradients to a total norm of at most `max_norm` and measure their norms in the same pass.

        Uses the arithmetic of `torch.nn.utils.clip_grad_norm_`, with one pass less than clipping and measuring
        separately.

        Args:
            parameters: The parameters whose gradients to clip; None for all of the model's.
            max_norm: The maximum total 2-norm.
            keep: Whether to record this step's norms.
            bit_exact: Clip with norms of exactly torch's precision. Long CPU gradients are then read twice, because
                recorded norms are more precise.

        Returns:
            The total norm before clipping, a 0-d tensor on the first gradient's device.
        """
        names = {id(parameter): name for name, parameter in self._parameters}
        if parameters is None:
            parameters = self.parameters
        if not all(_is_measurable(parameter.grad) for parameter in parameters):
            raise TypeError("a gradient is neither dense nor a sparse COO tensor, or has no data")
        vectors = []
        for group in _groups([(names.get(id(parameter)), parameter) for parameter in parameters]):
            is_precise = group.is_precise or not bit_exact
            vector, pieces = group.precise_norms() if is_precise else (group.norms(), ())
            vectors.append(vector)
            if keep and is_precise and self._measured_ids.isdisjoint(group.parameter_ids) and None not in group.names:
                self._keep(group, vector, pieces)
        if keep:
            self.measure(parameters)
        if not vectors:
            return torch.tensor(0.0)
        device = vectors[0].device
        total: Tensor = torch.linalg.vector_norm(torch.cat([to_device(vector, device) for vector in vectors]))
        plain = [p for p in parameters if p.grad is not None and not is_sharded(p.grad)]
        sharded = [local_tensor(p.grad) for p in parameters if p.grad is not None and is_sharded(p.grad)]
        if plain:
            torch.nn.utils.clip_grads_with_norm_(plain, max_norm, total)
        if sharded:
            # torch's function cannot multiply a sharded tensor by a plain one.
            coefficient = (max_norm / (total + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(sharded, coefficient)
        return total

    def clip_as_torch(self, parameters: Sequence[Tensor], max_norm: float) -> Tensor | None:
        """Clip if the result is certain to be bit-identical to torch's; otherwise do nothing and return None."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            return None
        device = gradients[0].device
        if not all(
            type(gradient) is torch.Tensor
            and gradient.dtype == torch.float32
            and gradient.layout == torch.strided
            and gradient.device == device
            and has_data(gradient)
            for gradient in gradients
        ):
            return None
        return self.clip(parameters, max_norm, keep=True, bit_exact=True)

    def stage(self, staging: Staging) -> None:
        """Pass the step's norms to staging and reset for the next step."""
        vectors, found_inf, has_total = self._vectors, self._found_inf, self._has_total
        self._reset()
        self._staged_steps += 1
        if self._staged_steps % _RESCAN_STEPS == 0:
            self.rescan()
        if not vectors:
            return
        names = tuple(name for group, _, _ in vectors for name in group)
        pieces = tuple(count for _, counts, _ in vectors for count in counts)
        tensors = [*(vector for _, _, vector in vectors), *found_inf]
        staging.put("recording of gradient norms", self._plan((names, pieces, has_total)).receive, tensors)

    def skip(self) -> None:
        """Discard all norms of this step, including those for other optimizers: the scaler skips an optimizer."""
        self._reset()
        self._is_skipped = True

    def _reset(self) -> None:
        self._is_skipped = False
        self._has_total = True
        self._vectors = []
        self._found_inf = []
        self._measured_ids = set()

    def _keep(self, group: _Group, vector: Tensor, pieces: tuple[int, ...]) -> None:
        if self._is_skipped:
            return
        self._measured_ids.update(group.parameter_ids)
        self._vectors.append((tuple(name for name in group.names if name is not None), pieces, vector))


class _Group:
    """Gradients of one device and dtype, with their parameters' names (None for another model's parameter)."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.names: list[str | None] = []
        self.parameter_ids: list[int] = []
        self._dtype = dtype
        self._gradients: list[Tensor] = []
        self._sharded: list[Tensor] = []

    def add(self, name: str | None, parameter: Tensor, gradient: Tensor) -> None:
        self.names.append(name)
        self.parameter_ids.append(id(parameter))
        self._gradients.append(local_tensor(gradient))
        if is_sharded(gradient):
            self._sharded.append(gradient)

    @property
    def is_precise(self) -> bool:
        """Whether `norms` is precise without splitting gradients into pieces."""
        return bool(self._sharded) or not any(_is_long(gradient) for gradient in self._gradients)

    def norms(self) -> Tensor:
        """Return one norm per gradient, with the arithmetic of torch's clipping."""
        vector = norms(self._gradients, self._dtype)
        return sharded_norms(self._sharded, vector) if self._sharded else vector

    def precise_norms(self) -> tuple[Tensor, tuple[int, ...]]:
        """Return the norms of pieces of the gradients, and the number of pieces of each gradient."""
        if self._sharded:
            return self.norms(), (1,) * len(self.names)
        pieces: list[Tensor] = []
        counts = []
        for gradient in self._gradients:
            parts = torch.split(gradient.reshape(-1), _PIECE) if _is_long(gradient) else (gradient,)
            pieces += parts
            counts.append(len(parts))
        return norms(pieces, self._dtype), tuple(counts)


def _groups(parameters: Iterable[tuple[str | None, Tensor]]) -> Iterable[_Group]:
    """Group the existing gradients as the fused kernels need them, each group in the parameters' order."""
    groups: dict[tuple[torch.device, torch.dtype, Any], _Group] = {}
    for name, parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and _is_measurable(gradient):
            if is_unreduced(gradient):
                gradient = full_tensor(gradient)
            key = (gradient.device, gradient.dtype, device_mesh(gradient))
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Group(gradient.dtype)
            group.add(name, parameter, gradient)
    return groups.values()


def _is_measurable(gradient: Tensor | None) -> bool:
    """Return whether a gradient's norm can be computed; True if there is no gradient."""
    if gradient is None:
        return True
    return has_data(gradient) and not gradient.is_nested and gradient.layout in (torch.strided, torch.sparse_coo)


def _is_long(gradient: Tensor) -> bool:
    """Return whether a single float32 sum over a gradient would lose precision.

    The CPU kernel sums in a few float32 lanes: with 20 million elements the relative error is 7e-4. Other devices sum
    in a tree.
    """
    return gradient.device.type == "cpu" and gradient.numel() > _PIECE and gradient.layout == torch.strided


class _Plan:
    """The meaning of a step's vector: norms of pieces of gradients, then any overflow flags.

    Args:
        logger: Receives the norms.
        include: As for `Gradients`.
        exclude: As for `Gradients`.
        key: The names of the parameters, the number of pieces of each parameter's gradient, and whether these are all
            gradients, so that their total is recorded.
    """

    def __init__(
        self,
        logger: Logger,
        include: str | Sequence[str] | None,
        exclude: str | Sequence[str] | None,
        key: tuple[tuple[str, ...], tuple[int, ...], bool],
    ) -> None:
        names, pieces, has_total = key
        self._count = sum(pieces)
        self._starts = np.cumsum([0, *pieces[:-1]]) if self._count > len(names) else None
        self._kept = [index for index, name in enumerate(names) if selected(name, include, exclude)]
        self._columns = Columns(
            logger, [*(f"grad_norm/{names[index]}" for index in self._kept), *([TOTAL] if has_total else [])]
        )
        self._skipped = Columns(logger, [SKIPPED])

    def receive(self, step: int, values: FloatArray) -> None:
        """Compute the total and log the norms. Runs off the training thread if the model is on an accelerator."""
        if np.any(values[self._count :] != 0.0):
            self._skipped.record(step, np.ones(1))
            return
        values = values[: self._count]
        with np.errstate(all="ignore"):
            if self._starts is not None:
                values = np.sqrt(np.add.reduceat(np.square(values), self._starts))
            total = np.sqrt(np.sum(np.square(values)))
        self._columns.record(step, np.append(values[self._kept], total)[: len(self._columns.names)])
