"""Norms of DTensors (FSDP2, tensor parallelism), with a single reduction for all of them.

Each process sums the squares of its own shards; one all-reduce of one vector over the whole mesh adds them up. A tensor
that is replicated along a mesh dimension would count once per process of that dimension, so its sum is divided by the
dimension's size. Every process of the mesh takes part at the optimizer's step, where the processes are synchronized
anyway. The all-reduce has a process group of its own, so that it cannot interleave with the model's collectives.
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
"""Maps each mesh to the world group at the time its own group was created, and to that group."""


def is_sharded(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor."""
    return _DTensor is not None and isinstance(tensor, _DTensor)


def is_unreduced(tensor: Tensor) -> bool:
    """Return whether a tensor has a partial placement: the sum over the processes has not been computed yet."""
    return is_sharded(tensor) and any(placement.is_partial() for placement in _placements(tensor))


def full_tensor(tensor: Tensor) -> Tensor:
    """Gather the full tensor on every process. For small tensors only."""
    result: Tensor = tensor.full_tensor() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return result


def local_tensor(tensor: Tensor) -> Tensor:
    """Return this process's shard of a tensor, which shares its memory."""
    result: Tensor = tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return result


def device_mesh(tensor: Tensor) -> Any:
    """Return the device mesh of a DTensor; None for a plain tensor."""
    return tensor.device_mesh if is_sharded(tensor) else None  # type: ignore[attr-defined]


def sharded_norms(tensors: Sequence[Any], local_norms: Tensor) -> Tensor:
    """Return the 2-norms of full tensors, given the norms of this process's shards.

    Args:
        tensors: DTensors of one mesh, without partial placements.
        local_norms: The 2-norms of their local shards, 1-D.

    Returns:
        A 1-D tensor with one norm for each tensor, the same on every process.
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
    """Return the process group for a mesh; all its processes create it together on first use.

    It lives until the program destroys its process groups: destroying it with the watch would make all processes wait
    for each other there.
    """
    world = torch.distributed.group.WORLD
    cached = _groups.get(mesh)
    if cached is None or cached[0] is not world:
        ranks = sorted(mesh.mesh.flatten().tolist())  # on the host
        cached = (world, torch.distributed.new_group(ranks, use_local_synchronization=True))
        _groups[mesh] = cached
    return cached[1]


def _placements(tensor: Any) -> tuple[Any, ...]:
    placements: tuple[Any, ...] = tensor.placements
    return placements
