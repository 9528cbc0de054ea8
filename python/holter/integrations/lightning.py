"""Lightning: a logger for Trainer and Fabric, and a callback that watches the model.

    trainer = Trainer(logger=HolterLogger("runs", name="resnet"), callbacks=[HolterCallback()])

Works with `lightning.pytorch` and `pytorch_lightning`, whichever the program uses. The process of rank 0 records, as
with Lightning's own loggers.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holter.integrations._lazy_logger import LazyLogger, flatten, next_directory
from holter.integrations._model_watch import ModelWatch

# Two packages with the same code: subclass the classes of the package that the program has loaded.
if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    from lightning_fabric.loggers.logger import rank_zero_experiment
    from pytorch_lightning import Callback
    from pytorch_lightning.loggers import Logger
    from pytorch_lightning.utilities import rank_zero_only
else:
    try:
        from lightning.fabric.loggers.logger import rank_zero_experiment
        from lightning.pytorch import Callback
        from lightning.pytorch.loggers import Logger
        from lightning.pytorch.utilities import rank_zero_only
    except ModuleNotFoundError:
        from lightning_fabric.loggers.logger import rank_zero_experiment
        from pytorch_lightning import Callback
        from pytorch_lightning.loggers import Logger
        from pytorch_lightning.utilities import rank_zero_only

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

__all__ = ["HolterCallback", "HolterLogger"]

_SUCCESS = frozenset({"success", "finished"})


class HolterLogger(Logger):
    """Records into `save_dir/name/version`; a drop-in replacement for Lightning's CSVLogger.

    If the given version exists, its run is resumed. To resume a training from a checkpoint, pass the version of its
    run; recomputed steps replace the old points. The run is opened at the first metric, closed when the Trainer ends,
    and opened again, as another attempt, when more is logged. After an exception its status is `failed`.

    Args:
        save_dir: The parent directory of the experiments.
        name: The experiment; "" for none.
        version: The run within the experiment, a number or a name; by default the next number.
        prefix: Prepended to every metric's name, with a slash.
        settings: Other arguments of `holter.Logger`, such as `tags`.
    """

    def __init__(
        self,
        save_dir: str | os.PathLike[str] = "runs",
        name: str | None = "lightning_logs",
        version: int | str | None = None,
        prefix: str = "",
        **settings: Any,
    ) -> None:
        super().__init__()
        self._save_dir = os.fspath(save_dir)
        self._name = name or ""
        self._version = version
        self._must_be_new = False
        self._prefix = f"{prefix}{self.group_separator}" if prefix else ""
        self._settings = settings
        self._lazy: LazyLogger | None = None

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self._name

    @property
    def version(self) -> int | str:
        """The run within the experiment."""
        if self._version is None:
            _, self._version = next_directory(self.root_dir, "version_", first=0)
            self._must_be_new = True  # another process may choose the same number
        return self._version

    @property
    def save_dir(self) -> str:
        """The parent directory of the experiments."""
        return self._save_dir

    @property
    def root_dir(self) -> str:
        """The experiment's directory."""
        return os.path.join(self._save_dir, self._name)  # noqa: PTH118  must accept "", as CSVLogger does

    @property
    def log_dir(self) -> str:
        """The run's directory."""
        version = self.version
        return str(Path(self.root_dir, version if isinstance(version, str) else f"version_{version}"))

    @property
    @rank_zero_experiment
    def experiment(self) -> LazyLogger:
        """The run as a `holter.Logger`, opened on first use; a no-op object on other ranks."""
        if self._lazy is None:
            path = Path(self.log_dir)
            name = "/".join(part for part in (self._name, path.name) if part)
            resume = "never" if self._must_be_new else "allow"
            self._lazy = LazyLogger(path, **{"name": name, "resume": resume, **self._settings})
        return self._lazy

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics; without a step, at the next step."""
        self.experiment.record(step, {f"{self._prefix}{name}": value for name, value in flatten(metrics).items()})

    @rank_zero_only
    def log_hyperparams(
        self, params: Mapping[str, Any] | Namespace | None, metrics: Mapping[str, Any] | None = None, step: int = 0
    ) -> None:
        """Store hyperparameters in the run's configuration, and record the metrics if given."""
        if params is not None:
            self.experiment.configure(vars(params) if isinstance(params, Namespace) else params)
        if metrics:
            self.log_metrics(metrics, step)

    @rank_zero_only
    def log_graph(self, model: nn.Module, input_array: Tensor | None = None) -> None:
        """Skip without a warning, because the Trainer calls this for every training."""

    def save(self) -> None:
        """Do nothing: logged points already survive the process. The Trainer calls this after every metric."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the run if it is open; as failed unless the status is "success" or "finished"."""
        if self._lazy is not None:
            self._lazy.close(has_failed=status not in _SUCCESS)

    def __getstate__(self) -> dict[str, Any]:
        """Fix the version, so that all processes that unpickle this use the same run."""
        _ = self.version
        self._must_be_new = False
        return dict(self.__dict__)


class HolterCallback(Callback):
    """Watches the trained model with `holter.torch.watch`, and records into the Trainer's `HolterLogger`.

    Steps match those of the metrics logged in `training_step`. If parameters are sharded, every process records its own
    rank of the run.

    Args:
        options: Arguments of `holter.torch.watch`, such as `attention="exact"` or `probes=[…]`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._watch = ModelWatch(options)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start watching, now that the optimizers and the first step are available."""
        logger = next((logger for logger in trainer.loggers if isinstance(logger, HolterLogger)), None)
        if logger is not None:
            self._watch.start(pl_module, trainer.optimizers, logger.experiment if trainer.is_global_zero else None)
        elif not trainer.fast_dev_run:  # fast_dev_run removes the Trainer's loggers
            raise ValueError("HolterCallback needs a HolterLogger: pass logger=HolterLogger() to the Trainer")

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Set the step at which the batch's metrics are logged."""
        del pl_module, batch, batch_idx
        self._watch.set_step(trainer.fit_loop.epoch_loop._batches_that_stepped)  # noqa: SLF001  the x-axis of all loggers

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Stop watching before the Trainer moves the model off its device."""
        del trainer, pl_module
        self._watch.stop()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Stop watching, to remove the hooks from a model that may be used again."""
        del trainer, pl_module, exception
        self._watch.stop(has_failed=True)
