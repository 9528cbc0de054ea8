"""TensorBoard: a `SummaryWriter` with torch's signatures that records a Holter run.

    from holter.integrations.tensorboard import SummaryWriter  # instead of torch.utils.tensorboard

It needs neither torch nor tensorboard. Holter records only numbers: anything else is skipped with one warning for each
kind, and is never an error.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holter.integrations._lazy_logger import LazyLogger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["SummaryWriter"]

_QUANTILES = {"min": 0.0, "p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}


def _skipped(kind: str) -> Callable[..., None]:
    """Make a method for data that Holter does not record."""

    def add(self: SummaryWriter, *args: Any, **kwargs: Any) -> None:
        name = args[0] if args else kwargs.get("tag", kwargs.get("main_tag", ""))
        self._run.warn_skipped(kind, example=name if isinstance(name, str) else type(name).__name__)

    add.__doc__ = f"Skip {kind}, with one warning."
    return add


class SummaryWriter:
    """Records into `log_dir`, the run's directory. If it contains a completed run, a new run starts next to it.

    Values are stored as float64. Without a `global_step`, each tag counts its own steps from 0; torch uses 0 for all.
    After `close`, the next call resumes the run.

    Args:
        log_dir: The run's directory; by default `runs/<date and time>_<host><comment>`.
        comment: Appended to the default `log_dir`.
        purge_step: Ignored with a warning, because a step that is logged again replaces the value.
        max_queue: Ignored, because recorded points survive the process.
        flush_secs: Ignored, for the same reason.
        filename_suffix: Ignored.
        settings: Other arguments of `holter.Logger`, such as `config` or `tags`.
    """

    def __init__(  # noqa: PLR0917  torch's signature
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        **settings: Any,
    ) -> None:
        del max_queue, flush_secs, filename_suffix
        if not log_dir:
            now = dt.datetime.now().astimezone().strftime("%b%d_%H-%M-%S")
            log_dir = Path("runs", f"{now}_{socket.gethostname()}{comment}")
        self._run = LazyLogger(log_dir, **settings)
        self._next_steps: dict[str, int] = {}
        self._hyperparameters: dict[str, Any] = {}
        if purge_step is not None:
            self._run.warn_skipped("purge_step (logging a step again replaces its value)", example=str(purge_step))

    @property
    def log_dir(self) -> str:
        """The run's directory."""
        return os.fspath(self._run.path)

    def get_logdir(self) -> str:
        """Return the run's directory."""
        return self.log_dir

    def add_scalar(  # noqa: PLR0917  torch's signature
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,  # noqa: FBT001, FBT002
        double_precision: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Record a number, or an array or tensor with one element."""
        del new_style, double_precision
        self._record(tag, {tag: scalar_value}, global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Record several numbers as `main_tag/tag`."""
        values = {f"{main_tag}/{tag}": value for tag, value in tag_scalar_dict.items()}
        self._record(main_tag, values, global_step, walltime)

    def add_histogram(  # noqa: PLR0917  torch's signature
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Record quantiles of the finite values, and the number of non-finite ones.

        The series are `tag/min`, `tag/p05`, `tag/p25`, `tag/p50`, `tag/p75`, `tag/p95`, `tag/max` and `tag/nonfinite`.

        Raises:
            ValueError: If `values` is empty.
        """
        del bins, max_bins
        array = _array(values)
        if array.size == 0:
            raise ValueError(f"values of {tag!r} must have at least one element, got none")
        finite = array[np.isfinite(array)]
        found: dict[str, Any] = {f"{tag}/nonfinite": array.size - finite.size}
        if finite.size:
            quantiles = np.quantile(finite, list(_QUANTILES.values()))
            found.update({f"{tag}/{name}": value for name, value in zip(_QUANTILES, quantiles, strict=True)})
        self._record(tag, found, global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Store hyperparameters in the run's configuration, and record the metrics.

        A run has one configuration; torch creates a separate run for each call.
        """
        del hparam_domain_discrete, run_name
        if not isinstance(hparam_dict, dict) or not isinstance(metric_dict, dict):
            raise TypeError("hparam_dict and metric_dict must be dictionaries")
        known = self._hyperparameters
        replaced = [name for name, value in hparam_dict.items() if name in known and known[name] != value]
        if replaced:
            self._run.warn_skipped("replaced hyperparameters (a run has one configuration)", example=replaced[0])
        known.update(hparam_dict)
        self._run.configure(hparam_dict)
        for name, value in metric_dict.items():
            self.add_scalar(name, value, global_step)

    add_text = _skipped("texts")
    add_tensor = _skipped("tensors")
    add_histogram_raw = _skipped("histograms of counts")
    add_image = add_images = add_image_with_boxes = _skipped("images")
    add_figure = _skipped("figures")
    add_video = _skipped("videos")
    add_audio = _skipped("audio")
    add_graph = add_onnx_graph = _skipped("graphs")
    add_embedding = _skipped("embeddings")
    add_pr_curve = add_pr_curve_raw = _skipped("precision-recall curves")
    add_custom_scalars = add_custom_scalars_multilinechart = add_custom_scalars_marginchart = _skipped("layouts")
    add_mesh = _skipped("meshes")

    def flush(self) -> None:
        """Wait until everything added so far survives power loss. It survives process death without a flush."""
        if self._run.is_open:
            self._run.flush()

    def close(self) -> None:
        """Close the run."""
        self._run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run.close(has_failed=error is not None)

    def _record(self, tag: str, values: Mapping[str, Any], step: int | None, walltime: float | None) -> None:
        if walltime is not None:
            self._run.warn_skipped("walltime (a point has the time at which it was logged)", example=tag)
        if step is None:
            step = self._next_steps.get(tag, 0)
            self._next_steps[tag] = step + 1
        self._run.record(step, values)


def _array(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Convert an array, or a tensor of any type and device, to a flat float64 array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64).ravel()
