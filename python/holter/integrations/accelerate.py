"""accelerate: a tracker for `Accelerator(log_with=…)`.

    accelerator = Accelerator(log_with=HolterTracker("run-1"))
    accelerator.init_trackers("project", config={"lr": 3e-4})

To watch the model, add one line on the main process:
`holter.torch.watch(model, accelerator.get_tracker("holter", unwrap=True), optimizer.optimizer)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.tracking import GeneralTracker, on_main_process

from holter.integrations._lazy_logger import LazyLogger, flatten

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import holter

__all__ = ["HolterTracker"]


class HolterTracker(GeneralTracker):
    """Records into `logging_dir/run_name`, on the main process.

    The configuration passed to `init_trackers` becomes the run's. Names in nested dicts are joined with slashes; values
    that are not numbers are skipped with one warning. Without a step, values are recorded at the next step.

    Args:
        run_name: The name of the run and of its directory. If that contains a completed run, a new run starts next to
            it; pass `resume="allow"` to resume it.
        logging_dir: The parent directory of the runs.
        settings: Other arguments of `holter.Logger`, such as `tags`.
    """

    name = "holter"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, run_name: str, logging_dir: str | os.PathLike[str] = "runs", **settings: Any) -> None:
        super().__init__()
        self.run_name = run_name
        self._run = LazyLogger(Path(logging_dir, run_name), **{"name": run_name, **settings})
        self._is_started = False

    @property
    def tracker(self) -> holter.Logger:
        """The run's logger. Reading this opens the run, so pass the configuration first."""
        return self._run.open()

    @on_main_process
    def start(self) -> None:
        """Do not open the run yet: the configuration comes next."""
        self._is_started = True

    @on_main_process
    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Store hyperparameters in the run's configuration."""
        self._is_started = True  # accelerate had no `start` before 1.8
        self._run.configure(values)

    @on_main_process
    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Record numbers."""
        del kwargs  # for other trackers
        self._run.record(step, flatten(values))

    @on_main_process
    def log_images(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Skip, with one warning."""
        del step, kwargs
        self._run.warn_skipped("images", example=next(iter(values), ""))

    @on_main_process
    def log_table(self, table_name: str, *args: Any, **kwargs: Any) -> None:
        """Skip, with one warning."""
        del args, kwargs
        self._run.warn_skipped("tables", example=table_name)

    @on_main_process
    def finish(self) -> None:
        """Close the run; an empty run is created to keep the configuration."""
        if self._is_started:
            self._is_started = False
            self._run.open()
        self._run.close()
