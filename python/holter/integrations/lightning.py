"""Lightning: a logger for the Trainer and for Fabric, and a callback that watches the model.

    trainer = Trainer(logger=HolterLogger("runs", name="resnet"), callbacks=[HolterCallback()])

For `lightning.pytorch` and for `pytorch_lightning`, whichever the program uses. The process of rank 0 records, as with
Lightning's own loggers.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holter.integrations._lazy_logger import LazyLogger, flat, free_directory
from holter.integrations._model_watch import ModelWatch

# The same code under two names. A program that has loaded one of them gets classes of that one.
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

_ENDED_WELL = frozenset({"success", "finished"})


class HolterLogger(Logger):
    """Records into `save_dir/name/version`, like Lightning's own CSVLogger, whose place it can take.

    A version that is given and there already is gone on with, so that a training resumed from a checkpoint goes on in
    its run by naming its version: what it computes again replaces what was there, step by step. The run is opened at
    the first metric, closed when Trainer has ended, and opened again, as a further attempt, when more is logged. An
    exception leaves it `failed` in `run.json`.

    Args:
        save_dir: where experiments go.
        name: the experiment; "" for none.
        version: the run of the experiment, a number or a name; by default the next number.
        prefix: put before every metric's name, with a slash.
        settings: further arguments of `holter.Logger`, such as `tags`.
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
        self._has_to_be_new = False
        self._prefix = f"{prefix}{self.group_separator}" if prefix else ""
        self._settings = settings
        self._lazy: LazyLogger | None = None

    @property
    def name(self) -> str:
        """The experiment."""
        return self._name

    @property
    def version(self) -> int | str:
        """The run of the experiment."""
        if self._version is None:
            _, self._version = free_directory(self.root_dir, "version_", first=0)
            self._has_to_be_new = True  # another program may take the same number meanwhile
        return self._version

    @property
    def save_dir(self) -> str:
        """Where experiments go."""
        return self._save_dir

    @property
    def root_dir(self) -> str:
        """The experiment's directory."""
        return os.path.join(self._save_dir, self._name)  # noqa: PTH118  a str, with "" for no part, as in CSVLogger

    @property
    def log_dir(self) -> str:
        """The run's directory."""
        version = self.version
        return str(Path(self.root_dir, version if isinstance(version, str) else f"version_{version}"))

    @property
    @rank_zero_experiment
    def experiment(self) -> LazyLogger:
        """The run as a `holter.Logger`, opened at its first use; on other ranks something that does nothing."""
        if self._lazy is None:
            path = Path(self.log_dir)
            name = "/".join(part for part in (self._name, path.name) if part)
            resume = {"resume": "never"} if self._has_to_be_new else {}
            self._lazy = LazyLogger(path, **{"name": name, **resume, **self._settings})
        return self._lazy

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record metrics; without a step under the next one."""
        self.experiment.record(step, {f"{self._prefix}{name}": value for name, value in flat(metrics).items()})

    @rank_zero_only
    def log_hyperparams(
        self, params: Mapping[str, Any] | Namespace | None, metrics: Mapping[str, Any] | None = None, step: int = 0
    ) -> None:
        """Keep hyper-parameters in the run's configuration; metrics that are given with them are recorded."""
        if params is not None:
            self.experiment.configure(vars(params) if isinstance(params, Namespace) else params)
        if metrics:
            self.log_metrics(metrics, step)

    @rank_zero_only
    def log_graph(self, model: nn.Module, input_array: Tensor | None = None) -> None:
        """Not recorded. Trainer calls this for every training, so it is not worth a warning."""

    def save(self) -> None:
        """Nothing is left to do: what was logged survives the process. Trainer calls this after every metric."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the run, if one was opened: as failed unless the status is "success" or "finished"."""
        if self._lazy is not None:
            self._lazy.close(has_failed=status not in _ENDED_WELL)

    def __getstate__(self) -> dict[str, Any]:
        """Settle the version, so that all processes that this is sent to go on with one run."""
        _ = self.version
        self._has_to_be_new = False
        return dict(self.__dict__)


class HolterCallback(Callback):
    """Watches the model that is trained, by `holter.torch.watch`, and records into the Trainer's `HolterLogger`.

    The steps are those of the metrics that are logged in `training_step`. Where parameters are sharded, every process
    records its part of the run.

    Args:
        options: arguments of `holter.torch.watch`, such as `attention="exact"` or `probes=[…]`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self._watch = ModelWatch(options)

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin to watch: the optimizers and the step to go on from are there now."""
        logger = next((logger for logger in trainer.loggers if isinstance(logger, HolterLogger)), None)
        if logger is not None:
            self._watch.begin(pl_module, trainer.optimizers, logger.experiment if trainer.is_global_zero else None)
        elif not trainer.fast_dev_run:  # which takes a Trainer's loggers away
            raise ValueError("HolterCallback records into the Trainer's HolterLogger: give it logger=HolterLogger()")

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Take over the step that the batch's metrics are logged under."""
        del pl_module, batch, batch_idx
        self._watch.step_begins(trainer.fit_loop.epoch_loop._batches_that_stepped)  # noqa: SLF001  all loggers' x-axis

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """End the watch before the Trainer takes the model off its device."""
        del trainer, pl_module
        self._watch.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End the watch, so that its hooks come off a model that may be used again."""
        del trainer, pl_module, exception
        self._watch.end(has_failed=True)
