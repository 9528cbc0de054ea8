"""2-norms of tensors, in one fused pass and accumulated in float32 or better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a small tensor to another device, for arithmetic there.

    Only a copy to the host blocks: reading host memory before the copy has arrived would give garbage.
    """
    return tensor.to(device, non_blocking=device.type != "cpu")


def norms(tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Return the 2-norm of each tensor, accumulated in float32 or better.

    Args:
        tensors: Tensors of any shapes, on one device.
        dtype: The dtype of all of them.

    Returns:
        A 1-D tensor on their device, float64 for float64 and complex128 tensors and float32 for all others.
    """
    tensors = [_summed_rows(tensor) if tensor.layout == torch.sparse_coo else tensor for tensor in tensors]
    if dtype.is_complex:
        tensors = [torch.view_as_real(tensor) for tensor in tensors]
        dtype = tensors[0].dtype
    accumulate = torch.float64 if dtype == torch.float64 else torch.float32
    return torch.stack(torch._foreach_norm(tensors, 2.0, dtype=accumulate))  # noqa: SLF001  as torch's clipping


def _summed_rows(gradient: Tensor) -> Tensor:
    """Return a sparse gradient's rows with rows of equal indices summed, padded with zero rows to the same shape.

    `coalesce()` would return the rows without the padding, but it has to wait for the device to learn their number.
    """
    rows = gradient._values()  # noqa: SLF001  values() requires a coalesced tensor
    if gradient.is_coalesced() or len(rows) == 0:
        return rows
    flat = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    for indices, size in zip(gradient._indices(), gradient.shape, strict=False):  # noqa: SLF001  as above
        flat = flat * size + indices
    flat, order = flat.sort()
    is_next = torch.zeros_like(flat)
    is_next[1:] = flat[1:] != flat[:-1]
    return torch.zeros_like(rows).index_add_(0, is_next.cumsum(0), rows.index_select(0, order))
