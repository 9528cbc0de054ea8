"""Metric names from the paths of modules and parameters.

`blocks.3.attention` is layer 3, so its entropy is `attention_entropy/layer_3` regardless of how the model names its
layers. If a number is ambiguous (an encoder's and a decoder's layer 0), both keep their full paths.
"""

from __future__ import annotations

import re
from collections import Counter
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torch.nn.parallel import DataParallel, DistributedDataParallel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import nn

ROOT = "model"
"""Label of the watched module itself, whose path is empty."""

# Path components that torch's wrappers insert; they do not occur in the user's model.
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module)\.")
_LAYER = re.compile(r"(?:^|\.)(?:layer_)?(\d+)(?=\.|$)")


def clean_path(path: str) -> str:
    """Return the path in the user's model, without the components that torch.compile, checkpointing and FSDP1 add."""
    return _WRAPPERS.sub("", path + ".")[:-1]


def unwrapped(model: nn.Module) -> nn.Module:
    """Unwrap DistributedDataParallel and DataParallel, which prefix every name with `module.`."""
    while isinstance(model, (DistributedDataParallel, DataParallel)):
        model = model.module
    return model


def layer_number(path: str) -> int | None:
    """Return the layer number of a path: its first component of the form `3` or `layer_3`. None if it has none."""
    found = _LAYER.search(path)
    return int(found.group(1)) if found else None


def labels(paths: Iterable[str]) -> dict[str, str]:
    """Map each path to its label: `layer_{i}` if that is unique among the paths, the path itself otherwise."""
    paths = list(paths)
    numbers = {path: layer_number(path) for path in paths}
    counts = Counter(numbers.values())
    return {
        path: (path or ROOT) if number is None or counts[number] > 1 else f"layer_{number}"
        for path, number in numbers.items()
    }


def matches(path: str, patterns: str | Sequence[str]) -> bool:
    """Return whether a path matches any of the shell-style patterns. `*` also matches dots."""
    if isinstance(patterns, str):
        patterns = (patterns,)
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def selected(path: str, include: str | Sequence[str] | None, exclude: str | Sequence[str] | None) -> bool:
    """Return whether a path matches `include` (None matches every path) and does not match `exclude`."""
    if include is not None and not matches(path, include):
        return False
    return exclude is None or not matches(path, exclude)
