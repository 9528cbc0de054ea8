"""Names: from a module's or parameter's path to the name that its metric carries.

`blocks.3.attention` is layer 3, so its entropy is `attention_entropy/layer_3`, whatever the model calls its layers.
Where a number alone would name two things (an encoder's and a decoder's layer 0), both keep their whole path.
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
"""The label of the watched module itself, whose path is empty."""

# What torch's own wrappers put into a path; the user's model has no such names.
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module)\.")
_LAYER = re.compile(r"(?:^|\.)(?:layer_)?(\d+)(?=\.|$)")


def clean_path(path: str) -> str:
    """The path as the user's model has it, without the names that torch.compile, checkpointing and FSDP1 add."""
    return _WRAPPERS.sub("", path + ".")[:-1]


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's model inside DistributedDataParallel or DataParallel, which put `module.` before every name."""
    while isinstance(model, (DistributedDataParallel, DataParallel)):
        model = model.module
    return model


def layer_number(path: str) -> int | None:
    """The number of the layer that a path lies in; None without one.

    Its first component that is a number, or `layer_` and a number.
    """
    found = _LAYER.search(path)
    return int(found.group(1)) if found else None


def labels(paths: Iterable[str]) -> dict[str, str]:
    """Each path's label: `layer_{i}` where that names one of the paths only, the path itself otherwise."""
    paths = list(paths)
    numbers = {path: layer_number(path) for path in paths}
    how_often = Counter(numbers.values())
    return {
        path: (path or ROOT) if number is None or how_often[number] > 1 else f"layer_{number}"
        for path, number in numbers.items()
    }


def matches(path: str, patterns: str | Sequence[str]) -> bool:
    """Whether a path matches one of the shell-style patterns. `*` matches dots as well: `*.M_init` finds every one."""
    if isinstance(patterns, str):
        patterns = (patterns,)
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def selected(path: str, include: str | Sequence[str] | None, exclude: str | Sequence[str] | None) -> bool:
    """Whether a path is wanted: it matches `include` (None: everything does) and does not match `exclude`."""
    if include is not None and not matches(path, include):
        return False
    return exclude is None or not matches(path, exclude)
