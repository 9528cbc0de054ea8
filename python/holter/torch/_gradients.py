"""Gradients: the 2-norm of every parameter's gradient and of all together, by one fused pass over them.

Norms are those of the whole batch's gradient: taken after accumulation, unscaling and reduction, once per step. They
are accumulated in float32 whatever the gradients' type: a float16 norm overflows at 65,504. A parameter without a
gradient is absent, not 0.0. A tied weight is one parameter under its first name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holter.torch._columns import Columns
from holter.torch._distributed import is_sharded, is_unreduced, local, mesh_of, sharded_norms, whole
from holter.torch._names import clean_path, selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor, nn

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._staging import Staging

TOTAL = "grad_norm_total"
SKIPPED = "optimizer_step_skipped"
"""1.0 at a step that GradScaler skipped because gradients had overflowed; that step has no norms."""

AFTER_CLIPPING = "grad_norm_may_be_clipped"
"""1.0 at the watch's first step where the program has a clipping function that cannot be seen."""

_CACHE_LIMIT = 256
"""Combinations of parameters with a gradient that are remembered; some models leave others out at each step."""

_PIECE = 1 << 16
"""Elements of a CPU gradient that are summed in float32 before float64 takes over."""

_RESCAN_STEPS = 100
"""How often the model is looked through for parameters that were added to it."""


class Gradients:
    """Takes the gradients' norms and keeps them until the step is staged.

    Args:
        model: whose parameters are meant.
        logger: where to.
        include: patterns of the parameters to record; None for all. The total is over all of them in any case.
        exclude: patterns of the parameters not to record.
    """

    def __init__(
        self,
        model: nn.Module,
        logger: Logger,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
    ) -> None:
        self._model = model
        self._include = include
        self._exclude = exclude
        self._logger = logger
        self._plans: dict[tuple[tuple[str, ...], tuple[int, ...]], _Plan] = {}
        self._staged_steps = 0
        self._is_skipped = False
        self._found_inf: list[Tensor] = []
        self._taken: set[int] = set()
        self._vectors: list[tuple[tuple[str, ...], tuple[int, ...], Tensor]] = []
        self._parameters: list[tuple[str, nn.Parameter]] = []
        self._known: set[int] = set()
        self.rescan()

    def rescan(self) -> None:
        """Look for parameters that were added to the model since it was last looked through."""
        self._parameters = [(clean_path(name), parameter) for name, parameter in self._model.named_parameters()]
        self._known = {id(parameter) for _, parameter in self._parameters}

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The model's parameters."""
        return [parameter for _, parameter in self._parameters]

    @property
    def taken(self) -> bool:
        """Whether this step has norms already, so that they must not be taken again (after clipping, say)."""
        return bool(self._vectors)

    def measure(
        self,
        only: Iterable[Tensor] | None = None,
        scale: Tensor | None = None,
        found_inf: Tensor | None = None,
    ) -> None:
        """Take the norms of the gradients that this step has not taken yet.

        Args:
            only: the parameters meant; None for all of the model's.
            scale: what the gradients are still multiplied with (a GradScaler's scale, on its device).
            found_inf: not zero where the optimizer is going to skip this step, on its device.
        """
        wanted = None if only is None else {id(parameter) for parameter in only}
        if wanted is not None and not wanted <= self._known:
            self.rescan()
        parameters = [
            (name, parameter)
            for name, parameter in self._parameters
            if id(parameter) not in self._taken and (wanted is None or id(parameter) in wanted)
        ]
        for group in _groups(parameters):
            vector, pieces = group.precise_norms()
            if scale is not None:
                vector = vector / beside(scale, vector.device)
            self._keep(group, vector, pieces)
        if found_inf is not None:
            self._found_inf.append(found_inf.detach().reshape(1).to(torch.float32))

    def clip(
        self, parameters: Sequence[Tensor] | None, max_norm: float, *, keep: bool, to_the_bit: bool = False
    ) -> Tensor:
        """Scale gradients down to a total norm of `max_norm`, taking their norms on the way.

        The same arithmetic as `torch.nn.utils.clip_grad_norm_`, with one pass less than clipping and recording
        would need one after the other.

        Args:
            parameters: whose gradients; None for all of the model's.
            max_norm: the largest total norm.
            keep: whether this step's norms are to be recorded.
            to_the_bit: clip with norms of torch's own precision. Long gradients of a CPU are then read twice, since
                what is recorded is more precise.

        Returns:
            The total norm before clipping, a 0-d tensor on the first gradient's device.
        """
        names = {id(parameter): name for name, parameter in self._parameters}
        if parameters is None:
            parameters = self.parameters
        vectors = []
        for group in _groups([(names.get(id(parameter)), parameter) for parameter in parameters]):
            is_precise = group.is_precise or not to_the_bit
            vector, pieces = group.precise_norms() if is_precise else (group.norms(), ())
            vectors.append(vector)
            if keep and is_precise and self._taken.isdisjoint(group.identities) and None not in group.names:
                self._keep(group, vector, pieces)
        if keep:
            self.measure(parameters)
        if not vectors:
            return torch.tensor(0.0)
        device = vectors[0].device
        together = torch.cat([beside(vector, device) for vector in vectors])
        total: Tensor = torch.linalg.vector_norm(together)
        plain = [p for p in parameters if p.grad is not None and not is_sharded(p.grad)]
        sharded = [local(p.grad) for p in parameters if p.grad is not None and is_sharded(p.grad)]
        if plain:
            torch.nn.utils.clip_grads_with_norm_(plain, max_norm, total)
        if sharded:
            # torch's function would have to multiply a sharded tensor with a plain one.
            coefficient = (max_norm / (total + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(sharded, coefficient)
        return total

    def clip_as_torch(self, parameters: Sequence[Tensor], max_norm: float) -> Tensor | None:
        """`clip` where its result is torch's own to the bit; None, and nothing done, where that is not certain."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            return None
        same = gradients[0].device
        if not all(
            type(gradient) is torch.Tensor
            and gradient.dtype == torch.float32
            and gradient.layout == torch.strided
            and gradient.device == same
            for gradient in gradients
        ):
            return None
        return self.clip(parameters, max_norm, keep=True, to_the_bit=True)

    def stage(self, staging: Staging) -> None:
        """Hand this step's norms to staging, and begin anew."""
        vectors, found_inf = self._vectors, self._found_inf
        self._forget()
        self._staged_steps += 1
        if self._staged_steps % _RESCAN_STEPS == 0:
            self.rescan()
        if not vectors:
            return
        names = tuple(name for group, _, _ in vectors for name in group)
        pieces = tuple(count for _, counts, _ in vectors for count in counts)
        plan = self._plans.get((names, pieces))
        if plan is None:
            if len(self._plans) >= _CACHE_LIMIT:
                self._plans.clear()
            kept = [index for index, name in enumerate(names) if selected(name, self._include, self._exclude)]
            plan = self._plans[names, pieces] = _Plan(self._logger, names, pieces, kept)
        staging.put(
            "recording of the gradient norms", plan.receive, [*(vector for _, _, vector in vectors), *found_inf]
        )

    def skip(self) -> None:
        """An optimizer is left out of this step, which has no norms then, of the others' gradients neither."""
        self._forget()
        self._is_skipped = True

    def _forget(self) -> None:
        self._is_skipped = False
        self._vectors = []
        self._found_inf = []
        self._taken = set()

    def _keep(self, group: _Group, vector: Tensor, pieces: tuple[int, ...]) -> None:
        if self._is_skipped:
            return
        self._taken.update(group.identities)
        self._vectors.append((tuple(name for name in group.names if name is not None), pieces, vector))


class _Group:
    """Gradients of one device and type, with their parameters' names (None: not the watched model's)."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.names: list[str | None] = []
        self.identities: list[int] = []
        self._dtype = dtype
        self._gradients: list[Tensor] = []
        self._sharded: list[Tensor] = []

    def add(self, name: str | None, parameter: Tensor, gradient: Tensor) -> None:
        self.names.append(name)
        self.identities.append(id(parameter))
        self._gradients.append(local(gradient))
        if is_sharded(gradient):
            self._sharded.append(gradient)

    @property
    def is_precise(self) -> bool:
        """Whether `norms` needs no cutting into pieces."""
        return bool(self._sharded) or not any(_is_long(gradient) for gradient in self._gradients)

    def norms(self) -> Tensor:
        """One norm per gradient, by the same arithmetic as torch's own clipping."""
        vector = norms(self._gradients, self._dtype)
        return sharded_norms(self._sharded, vector) if self._sharded else vector

    def precise_norms(self) -> tuple[Tensor, tuple[int, ...]]:
        """Norms of pieces of the gradients, and how many pieces each one has."""
        if self._sharded:
            return self.norms(), (1,) * len(self.names)
        pieces: list[Tensor] = []
        counts = []
        for gradient in self._gradients:
            cut = torch.split(gradient.reshape(-1), _PIECE) if _is_long(gradient) else (gradient,)
            pieces += cut
            counts.append(len(cut))
        return norms(pieces, self._dtype), tuple(counts)


def _groups(parameters: Iterable[tuple[str | None, Tensor]]) -> Iterable[_Group]:
    """The gradients that are there, grouped as the fused kernels need them, each group in the parameters' order."""
    groups: dict[tuple[torch.device, torch.dtype, Any], _Group] = {}
    for name, parameter in parameters:
        gradient = parameter.grad
        if gradient is not None:
            if is_unreduced(gradient):
                gradient = whole(gradient)
            key = (gradient.device, gradient.dtype, mesh_of(gradient))
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Group(gradient.dtype)
            group.add(name, parameter, gradient)
    return groups.values()


def _is_long(gradient: Tensor) -> bool:
    """Whether one sum over a gradient would lose digits.

    The CPU's kernel adds up in a few float32 lanes: 20 million elements are off by 7e-4. Other devices add in a tree.
    """
    return gradient.device.type == "cpu" and gradient.numel() > _PIECE and gradient.layout == torch.strided


class _Plan:
    """What one step's vector means: norms of pieces of these parameters' gradients, then maybe overflow flags."""

    def __init__(self, logger: Logger, names: Sequence[str], pieces: Sequence[int], kept: list[int]) -> None:
        self._count = sum(pieces)
        self._starts = np.cumsum([0, *pieces[:-1]]) if self._count > len(names) else None
        self._kept = kept
        self._columns = Columns(logger, [*(f"grad_norm/{names[index]}" for index in kept), TOTAL])
        self._skipped = Columns(logger, [SKIPPED])

    def receive(self, step: int, values: FloatArray) -> None:
        """Off the training thread where there is an accelerator: derive the total and hand everything over."""
        if np.any(values[self._count :] != 0.0):
            self._skipped.record(step, np.ones(1))
            return
        values = values[: self._count]
        with np.errstate(all="ignore"):
            if self._starts is not None:
                values = np.sqrt(np.add.reduceat(np.square(values), self._starts))
            total = np.sqrt(np.sum(np.square(values)))
        self._columns.record(step, np.append(values[self._kept], total))


def beside(tensor: Tensor, device: torch.device) -> Tensor:
    """A small tensor on another device, for arithmetic there.

    Only on its way to the host is it waited for: what is read there before the copy has arrived is garbage.
    """
    return tensor.to(device, non_blocking=device.type != "cpu")


def norms(tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """The 2-norm of each tensor, all of them of one device and type, accumulated in float32 or better.

    Returns:
        A 1-D tensor on their device, float64 for float64 tensors and float32 for all others.
    """
    tensors = [_summed(tensor) if tensor.layout == torch.sparse_coo else tensor for tensor in tensors]
    if dtype.is_complex:
        tensors = [torch.view_as_real(tensor) for tensor in tensors]
        dtype = tensors[0].dtype
    accumulate = torch.float64 if dtype == torch.float64 else torch.float32
    return torch.stack(torch._foreach_norm(tensors, 2.0, dtype=accumulate))  # noqa: SLF001  as torch's clipping


def _summed(gradient: Tensor) -> Tensor:
    """A sparse gradient's rows, those of equal indices added up, and rows of zeros in place of those.

    `coalesce()` would give the rows without the zeros: how many there are it would have to ask the device for.
    """
    rows = gradient._values()  # noqa: SLF001  values() asks for a coalesced tensor
    if gradient.is_coalesced() or len(rows) == 0:
        return rows
    flat = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    for indices, size in zip(gradient._indices(), gradient.shape, strict=False):  # noqa: SLF001  as above
        flat = flat * size + indices
    flat, order = flat.sort()
    is_next = torch.zeros_like(flat)
    is_next[1:] = flat[1:] != flat[:-1]
    return torch.zeros_like(rows).index_add_(0, is_next.cumsum(0), rows.index_select(0, order))
