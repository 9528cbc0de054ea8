"""Sharded tensors: norms of DTensors (FSDP2, tensor parallelism) with one reduction for all of them.

Each process sums the squares of its own shards; one all-reduce of one vector over the whole mesh adds them up. A tensor
that is replicated along a dimension of the mesh counts there as often as that dimension is long, so its share is
divided by that. Every process of the mesh takes part, at the optimizer's step, where they are in step anyway; the group
is our own, so that this can never come between the model's own exchanges.
"""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_DTensor: Any = None
if torch.distributed.is_available():
    from torch.distributed.tensor import DTensor as _DTensor

_groups: weakref.WeakKeyDictionary[Any, tuple[Any, Any]] = weakref.WeakKeyDictionary()
"""Of each mesh: the world's group when ours was made, and ours."""


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is one process's part of a distributed one."""
    return _DTensor is not None and isinstance(tensor, _DTensor)


def is_unreduced(tensor: Tensor) -> bool:
    """Whether the processes' parts of a tensor have still to be added up."""
    return is_sharded(tensor) and any(placement.is_partial() for placement in _placements(tensor))


def whole(tensor: Tensor) -> Tensor:
    """The whole of a tensor, on every process; for small tensors only."""
    result: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return result


def local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor. What is changed in it is changed in the tensor."""
    result: Tensor = tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return result


def mesh_of(tensor: Tensor) -> Any:
    """The mesh of processes that a tensor is spread over; None for a plain tensor."""
    return tensor.device_mesh if is_sharded(tensor) else None  # type: ignore[attr-defined]


def sharded_norms(tensors: Sequence[Any], local_norms: Tensor) -> Tensor:
    """The norms of whole tensors from the norms of this process's parts of them.

    Args:
        tensors: DTensors of one mesh, none with a partial placement.
        local_norms: the 2-norms of their local parts, 1-D.
    """
    mesh = tensors[0].device_mesh
    shares = [
        1.0 / math.prod(mesh.size(dim) for dim, placement in enumerate(_placements(tensor)) if placement.is_replicate())
        for tensor in tensors
    ]
    squares = local_norms.square()
    if any(share != 1.0 for share in shares):
        torch._foreach_mul_(list(squares.unbind()), shares)
    torch.distributed.all_reduce(squares, group=_group_of(mesh))
    return squares.sqrt()


def _group_of(mesh: Any) -> Any:
    """Our own group of all processes of a mesh; all of them make it together, when it is first needed.

    It is kept until the program ends its process groups: to end it with the watch, all processes would have to wait for
    each other there.
    """
    world = torch.distributed.group.WORLD
    known = _groups.get(mesh)
    if known is None or known[0] is not world:
        ranks = sorted(mesh.mesh.flatten().tolist())  # on the host
        known = (world, torch.distributed.new_group(ranks, use_local_synchronization=True))
        _groups[mesh] = known
    return known[1]


def _placements(tensor: Any) -> tuple[Any, ...]:
    placements: tuple[Any, ...] = tensor.placements
    return placements
