"""transformers: a callback for the Trainer that records what it logs, and watches the model.

    trainer = Trainer(model, args, train_dataset=…, callbacks=[HolterCallback()])

The Trainer's own `report_to` takes no names but those that transformers knows.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

import holter
from holter.integrations._lazy_logger import LazyLogger, free_directory
from holter.integrations._model_watch import ModelWatch

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from transformers import TrainerControl, TrainerState, TrainingArguments

__all__ = ["HolterCallback"]

_STATE = "holter"
"""Under this key a checkpoint's `trainer_state.json` names the run."""


class HolterCallback(TrainerCallback):
    """Records a Trainer's runs: its configuration, its metrics by their usual names, the model's vital signs.

    - The configuration is that of the model and the training's arguments, as for `report_to`.
    - `loss` is `train/loss`, `eval_loss` is `eval/loss`, `test_loss` is `test/loss`, at the Trainer's `global_step`.
    - A training that is resumed from a checkpoint goes on in the run that the checkpoint names. Any other begins a new
      one, and so does each trial of a hyper-parameter search.
    - The main process records. Where parameters are sharded, every process records its part of what is watched.

    Args:
        path: the run's directory, gone on with if it is there (in a search: where the trials' runs go). By default a
            new one for each training, `holter/run-1` and so on in the Trainer's `output_dir`.
        watch: whether to watch the model by `holter.torch.watch`; a mapping is its arguments.
        settings: further arguments of `holter.Logger`, such as `tags`.
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
        """The run that is being recorded; None on other processes, and while no training goes on."""
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
        """Open the run and begin to watch."""
        del control, kwargs
        self._end(has_failed=True)  # Trainer does not tell of an exception that ended the training before
        self._is_training = True
        if state.is_world_process_zero:
            self._run = self._opened(args, state, _config_of(args, state, model))
            state.stateful_callbacks[_STATE] = {"args": {}, "attributes": self._place(args)}
        if self._watch is not None:
            self._watch.begin(model, _optimizers_in(optimizer), self._run)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take over the step that Trainer will log this update under."""
        del args, control, kwargs
        if self._watch is not None:
            self._watch.step_begins(state.global_step + 1)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Commit what was seen where the optimizer is not one of torch's."""
        del args, state, control, kwargs
        if self._watch is not None:
            self._watch.step_computed()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record what Trainer logs."""
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
        """End the watch and close the run."""
        del args, state, control, kwargs
        self._end(has_failed=False)

    def _record(self, args: TrainingArguments, state: TrainerState, logs: Mapping[str, Any]) -> None:
        if not state.is_world_process_zero:
            return
        if self._run is None:
            self._run = self._opened(args, state, {})
        self._run.record(state.global_step, {_usual_name(name): value for name, value in logs.items()})
        if not self._is_training:  # an evaluation by itself: nothing will tell when it is over
            self._run.close()

    def _end(self, *, has_failed: bool) -> None:
        self._is_training = False
        if self._watch is not None:
            self._watch.end(has_failed=has_failed)
        if self._run is not None:
            self._run.close(has_failed=has_failed)

    def _opened(self, args: TrainingArguments, state: TrainerState, config: Mapping[str, Any]) -> LazyLogger:
        """The run to record into, opened."""
        name = state.trial_name or args.run_name or Path(args.output_dir).absolute().name
        settings = {"name": name, **self._settings}
        path = self._path if self._path is not None and not state.is_hyper_param_search else _resumed(args, state)
        if path is not None:
            run = LazyLogger(path, config=config, **settings)
            run.open()
            return run
        while True:
            directory, _ = free_directory(self._path or Path(args.output_dir, "holter"), "run-", first=1)
            run = LazyLogger(directory, config=config, **{"resume": "never", **settings})
            try:
                run.open()
            except FileExistsError:
                continue  # another program has taken the number meanwhile
            return run

    def _place(self, args: TrainingArguments) -> dict[str, str]:
        """Which run this is, in a form that a checkpoint can keep and that moves with `output_dir`."""
        if self._run is None:
            return {}
        path, root = self._run.path.absolute(), Path(args.output_dir).absolute()
        place = path.relative_to(root) if path.is_relative_to(root) else path
        return {"path": str(place), "id": _id_of(path) or ""}


def _resumed(args: TrainingArguments, state: TrainerState) -> Path | None:
    """The run that the checkpoint names from which the training goes on; None without one, or if the run is gone."""
    named = state.stateful_callbacks.get(_STATE)
    place = named.get("attributes") if isinstance(named, dict) else None
    if not state.global_step or not isinstance(place, dict) or not isinstance(place.get("path"), str):
        return None
    path = Path(args.output_dir, place["path"])
    if place.get("id") and _id_of(path) != place["id"]:
        message = f"the checkpoint goes on from the run in {path}, which is not there: a new run is begun"
        warnings.warn(message, holter.HolterWarning, stacklevel=2)
        return None
    return path if place.get("id") else None


def _id_of(path: Path) -> str | None:
    try:
        return holter.open_run(path).id
    except (OSError, ValueError, KeyError, holter.HolterError):
        return None


def _config_of(args: TrainingArguments, state: TrainerState, model: Any) -> dict[str, Any]:
    """What `report_to` keeps of a training, under the same keys; the training's arguments win."""
    config: Any = getattr(model, "config", None)
    of_model = config.to_dict() if hasattr(config, "to_dict") else config if isinstance(config, dict) else {}
    found = {**of_model, **args.to_dict(), **(state.trial_params or {})}
    if getattr(model, "peft_config", None) is not None:
        found["peft_config"] = {name: vars(adapter) for name, adapter in model.peft_config.items()}
    if model is not None:
        found["model/num_parameters"] = sum(parameter.numel() for parameter in model.parameters())
    return found


def _usual_name(name: str) -> str:
    for prefix in ("eval", "test"):
        if name.startswith(f"{prefix}_"):
            return f"{prefix}/{name.removeprefix(f'{prefix}_')}"
    return f"train/{name}"


def _optimizers_in(optimizer: Any) -> list[torch.optim.Optimizer]:
    """The optimizer of torch's inside those that wrap it; nothing where it cannot be followed."""
    while not isinstance(optimizer, torch.optim.Optimizer) or not hasattr(optimizer, "_optimizer_step_pre_hooks"):
        optimizer = getattr(optimizer, "optimizer", None)
        if optimizer is None:
            return []
    return [optimizer]
