"""accelerate: a tracker for `Accelerator(log_with=…)`.

    accelerator = Accelerator(log_with=HolterTracker("run-1"))
    accelerator.init_trackers("project", config={"lr": 3e-4})

The model is watched by one more line, on the main process:
`holter.torch.watch(model, accelerator.get_tracker("holter", unwrap=True), optimizer.optimizer)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.tracking import GeneralTracker, on_main_process

from holter.integrations._lazy_logger import LazyLogger, flat

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import holter

__all__ = ["HolterTracker"]


class HolterTracker(GeneralTracker):
    """Records into `logging_dir/run_name`, on the main process.

    The configuration that `init_trackers` gets is the run's. Numbers in nested dicts are recorded under their joined
    names; what is no number is left out and named once. Without a step, values go under the next one.

    Args:
        run_name: the run's name, and its directory's; a run that is there is gone on with.
        logging_dir: where runs go.
        settings: further arguments of `holter.Logger`, such as `tags`.
    """

    name = "holter"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, run_name: str, logging_dir: str | os.PathLike[str] = "runs", **settings: Any) -> None:
        super().__init__()
        self.run_name = run_name
        self._run = LazyLogger(Path(logging_dir, run_name), **{"name": run_name, **settings})
        self._is_begun = False

    @property
    def tracker(self) -> holter.Logger:
        """The run's logger; opens the run, so that its configuration should be known by then."""
        return self._run.open()

    @on_main_process
    def start(self) -> None:
        """Nothing is opened yet: the configuration comes next."""
        self._is_begun = True

    @on_main_process
    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Keep hyper-parameters in the run's configuration."""
        self._is_begun = True  # accelerate had no `start` before 1.8
        self._run.configure(values)

    @on_main_process
    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Record numbers."""
        del kwargs  # meant for one tracker or another
        self._run.record(step, flat(values))

    @on_main_process
    def log_images(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Not recorded; said once."""
        del step, kwargs
        self._run.leave_out("images", example=next(iter(values), ""))

    @on_main_process
    def log_table(self, table_name: str, *args: Any, **kwargs: Any) -> None:
        """Not recorded; said once."""
        del args, kwargs
        self._run.leave_out("tables", example=table_name)

    @on_main_process
    def finish(self) -> None:
        """Close the run; one that nothing was logged to keeps its configuration."""
        if self._is_begun:
            self._is_begun = False
            self._run.open()
        self._run.close()
