"""transformers: a callback for the Trainer that records its metrics and watches the model.

    trainer = Trainer(model, args, train_dataset=…, callbacks=[HolterCallback()])

The Trainer's `report_to` accepts only the integrations that are built into transformers.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

import holter
from holter.integrations._lazy_logger import LazyLogger, next_directory
from holter.integrations._model_watch import ModelWatch

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from transformers import TrainerControl, TrainerState, TrainingArguments

__all__ = ["HolterCallback"]

_STATE = "holter"
"""The key in a checkpoint's `trainer_state.json` that identifies the run."""


class HolterCallback(TrainerCallback):
    """Records a Trainer's runs: the configuration, the metrics under their usual names, and the model's vital signs.

    - The configuration contains the model's configuration and the training arguments, as with `report_to`.
    - `loss` is `train/loss`, `eval_loss` is `eval/loss`, `test_loss` is `test/loss`, at the Trainer's `global_step`.
    - A training that is resumed from a checkpoint resumes the run stored in the checkpoint. Every other training, and
      each trial of a hyperparameter search, starts a new run.
    - The main process records. If parameters are sharded, every process records its own rank of the watched series.

    Args:
        path: The run's directory; in a search, the parent directory of the trials' runs. If it contains a completed
            run, a training that does not resume that run starts a new one next to it. By default a new directory for
            each training: `holter/run-1` and so on in the `output_dir`.
        watch: Whether to watch the model with `holter.torch.watch`; a mapping is passed as its arguments.
        settings: Other arguments of `holter.Logger`, such as `tags`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        watch: bool | Mapping[str, Any] = True,
        **settings: Any,
    ) -> None:
        self._path = Path(path) if path is not None else None
        self._settings = settings
        self._watch = None if watch is False else ModelWatch({} if watch is True else watch)
        self._run: LazyLogger | None = None
        self._is_training = False

    @property
    def logger(self) -> holter.Logger | None:
        """The logger of the current training; None on other processes, and outside a training."""
        return self._run.open() if self._run is not None and self._is_training else None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        optimizer: Any = None,
        **kwargs: Any,
    ) -> None:
        """Open the run and start watching."""
        del control, kwargs
        self._close(has_failed=True)  # the Trainer does not report that an exception ended the previous training
        self._is_training = True
        if state.is_world_process_zero:
            self._run = self._open_run(args, state, _config_of(args, state, model))
            state.stateful_callbacks[_STATE] = {"args": {}, "attributes": self._location(args)}
        if self._watch is not None:
            self._watch.start(model, _optimizers_in(optimizer), self._run)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the step at which the Trainer will log this update."""
        del args, control, kwargs
        if self._watch is not None:
            self._watch.set_step(state.global_step + 1)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Commit the step if the optimizer is not a torch optimizer."""
        del args, state, control, kwargs
        if self._watch is not None:
            self._watch.commit_step()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the metrics that the Trainer logs."""
        del control, kwargs
        self._record(args, state, logs or {})

    def on_predict(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        """Record the metrics of a prediction."""
        del control, kwargs
        self._record(args, state, metrics)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop watching and close the run."""
        del args, state, control, kwargs
        self._close(has_failed=False)

    def _record(self, args: TrainingArguments, state: TrainerState, logs: Mapping[str, Any]) -> None:
        if not state.is_world_process_zero:
            return
        if self._run is None:
            self._run = self._open_run(args, state, {})
        self._run.record(state.global_step, {_metric_name(name): value for name, value in logs.items()})
        if not self._is_training:  # a standalone evaluation has no callback at its end
            self._run.close()

    def _close(self, *, has_failed: bool) -> None:
        self._is_training = False
        if self._watch is not None:
            self._watch.stop(has_failed=has_failed)
        if self._run is not None:
            self._run.close(has_failed=has_failed)

    def _open_run(self, args: TrainingArguments, state: TrainerState, config: Mapping[str, Any]) -> LazyLogger:
        """Open the run to record into."""
        name = state.trial_name or args.run_name or Path(args.output_dir).absolute().name
        settings = {"name": name, **self._settings}
        path = None if state.is_hyper_param_search else self._path
        stored = _run_of_checkpoint(args, state)
        if stored is not None and (path is None or _is_numbered(stored, path)):
            path, settings = stored, {"resume": "allow", **settings}
        if path is not None:
            run = LazyLogger(path, config=config, **settings)
            run.open()
            return run
        while True:
            directory, _ = next_directory(self._path or Path(args.output_dir, "holter"), "run-", first=1)
            run = LazyLogger(directory, config=config, **{"resume": "never", **settings})
            try:
                run.open()
            except FileExistsError:
                continue  # another process has created it first
            return run

    def _location(self, args: TrainingArguments) -> dict[str, str]:
        """Identify the run for a checkpoint, in a form that stays valid if `output_dir` is moved."""
        if self._run is None:
            return {}
        path, root = self._run.path.absolute(), Path(args.output_dir).absolute()
        stored = path.relative_to(root) if path.is_relative_to(root) else path
        return {"path": str(stored), "id": _id_of(path) or ""}


def _run_of_checkpoint(args: TrainingArguments, state: TrainerState) -> Path | None:
    """Return the run stored in the checkpoint that is being resumed; None if there is none, or it no longer exists."""
    stored = state.stateful_callbacks.get(_STATE)
    location = stored.get("attributes") if isinstance(stored, dict) else None
    if not state.global_step or not isinstance(location, dict) or not isinstance(location.get("path"), str):
        return None
    path = Path(args.output_dir, location["path"])
    if location.get("id") and _id_of(path) != location["id"]:
        message = f"the checkpoint belongs to the run in {path}, which does not exist: starting a new run"
        warnings.warn(message, holter.HolterWarning, stacklevel=2)
        return None
    return path if location.get("id") else None


def _is_numbered(path: Path, first: Path) -> bool:
    """Whether the path is `first`, or one of the directories that `holter.Logger` creates next to it, as `first-2`."""
    path, first = path.absolute(), first.absolute()
    return path.parent == first.parent and re.fullmatch(rf"{re.escape(first.name)}(-\d+)?", path.name) is not None


def _id_of(path: Path) -> str | None:
    try:
        return holter.open_run(path).id
    except (OSError, ValueError, KeyError, holter.HolterError):
        return None


def _config_of(args: TrainingArguments, state: TrainerState, model: Any) -> dict[str, Any]:
    """Return the configuration that `report_to` stores, under the same keys; training arguments take precedence."""
    config: Any = getattr(model, "config", None)
    of_model = config.to_dict() if hasattr(config, "to_dict") else config if isinstance(config, dict) else {}
    found = {**of_model, **args.to_dict(), **(state.trial_params or {})}
    if getattr(model, "peft_config", None) is not None:
        found["peft_config"] = {name: vars(adapter) for name, adapter in model.peft_config.items()}
    if model is not None:
        found["model/num_parameters"] = sum(parameter.numel() for parameter in model.parameters())
    return found


def _metric_name(name: str) -> str:
    for prefix in ("eval", "test"):
        if name.startswith(f"{prefix}_"):
            return f"{prefix}/{name.removeprefix(f'{prefix}_')}"
    return f"train/{name}"


def _optimizers_in(optimizer: Any) -> list[torch.optim.Optimizer]:
    """Return the torch optimizer inside its wrappers; empty if it cannot be followed."""
    while not isinstance(optimizer, torch.optim.Optimizer) or not hasattr(optimizer, "_optimizer_step_pre_hooks"):
        optimizer = getattr(optimizer, "optimizer", None)
        if optimizer is None:
            return []
    return [optimizer]
