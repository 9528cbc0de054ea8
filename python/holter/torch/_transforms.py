"""Transforms: what may be done to a number before it is recorded, off the training thread and so without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from holter.torch._columns import FloatArray


class Transform(NamedTuple):
    """One function, for numbers on the host and for tensors on their device."""

    of_numbers: Callable[[FloatArray], FloatArray]
    of_tensors: Callable[[Tensor], Tensor]


TRANSFORMS = {
    "sigmoid": Transform(lambda x: 1.0 / (1.0 + np.exp(-x)), torch.sigmoid),
    "tanh": Transform(np.tanh, torch.tanh),
    "exp": Transform(np.exp, torch.exp),
    "softplus": Transform(lambda x: np.logaddexp(0.0, x), torch.nn.functional.softplus),
}


def check(transform: str | None) -> None:
    """Refuse a transform that there is not.

    Raises:
        ValueError: its name is unknown.
    """
    if transform is not None and transform not in TRANSFORMS:
        raise ValueError(f"transform must be None or one of {', '.join(TRANSFORMS)}; not {transform!r}")
