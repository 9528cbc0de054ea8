"""watch: every probe on one model, and the handle that ends them.

The training is not changed by being watched: no random state is touched, no tensor altered, nothing waited for.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from . import _explicit
from ._attention import Attention, AttentionProbe, settings_of
from ._cadence import Cadence
from ._clipping import clip_calls
from ._columns import Columns
from ._faults import Faults
from ._gradients import AFTER_CLIPPING, SKIPPED, Gradients
from ._names import clean_path, unwrapped
from ._notes import Notes
from ._optimizers import Optimizers, optimizers_of
from ._parameters import Parameters
from ._probes import Probe, ProbeHooks
from ._rank import Rank, Ranks, ranks_of
from ._staging import Staging
from ._values import Ratio, StepValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType

    from torch import Tensor, nn
    from torch.optim import Optimizer
    from typing_extensions import Self

    from holter import Logger

    from ._attention_math import AttentionCall
    from ._parameters import Parameter


def watch(
    model: nn.Module,
    logger: Logger,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    *,
    gradients: bool = True,
    attention: str | Attention | None = "sampled",
    probes: Iterable[Probe | Ratio] = (),
    parameters: Mapping[str, Parameter] | None = None,
    rank: Rank | Sequence[Rank] | None = None,
    every: int = 1,
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
) -> Watch:
    """Record a model's vital signs at every step of its training.

    With an optimizer the training loop needs no further line: a step ends when the optimizer has stepped. Without one,
    call `commit(step)` after each backward pass, before the gradients are cleared.

    Args:
        model: the model, as it is trained; before `torch.compile` has run it for the first time.
        logger: where everything is recorded.
        optimizer: the optimizer to follow, or several.
        gradients: record `grad_norm/<parameter>` for every parameter and `grad_norm_total`.
        attention: "sampled" (32 queries of each call every 10 steps), "exact" (every query), an `Attention` with other
            settings, or None. Records `attention_entropy/…`, `attention_sparsity/…` and `attention_max_logit/…`.
        probes: what else to look at in the modules: `Probe`s, and `Ratio`s of their metrics.
        parameters: parameters to follow, by a pattern of their names.
        rank: matrices whose effective rank is taken now and then.
        every: every how many steps gradients, probes and parameters are looked at.
        include: patterns of the parameters and modules to record; None for all. Not for what is named by a pattern of
            its own (`probes`, `parameters`, `rank`).
        exclude: patterns of the parameters and modules not to record.

    Returns:
        A handle, which is also a context manager; closing it ends the watch.

    Raises:
        ValueError: an argument has a value that makes no sense, or a pattern matches nothing.
        TypeError: an argument is of the wrong type.
    """
    return Watch(
        model,
        logger,
        optimizers_of(optimizer),
        gradients=gradients,
        attention=settings_of(attention),
        probes=tuple(probes),
        parameters=parameters or {},
        rank=ranks_of(rank),
        every=every,
        include=include,
        exclude=exclude,
    )


class Watch:
    """A running watch; what `watch` returns."""

    def __init__(
        self,
        model: nn.Module,
        logger: Logger,
        optimizers: tuple[Optimizer, ...],
        *,
        gradients: bool,
        attention: Attention | None,
        probes: tuple[Probe | Ratio, ...],
        parameters: Mapping[str, Parameter],
        rank: tuple[Rank, ...],
        every: int,
        include: str | Sequence[str] | None,
        exclude: str | Sequence[str] | None,
    ) -> None:
        self._step = 0
        self._closed = False
        self._has_looked = False
        self._notes = Notes()
        self._cadence = Cadence(every)
        self._faults = Faults()
        self._staging = Staging(self._faults)
        # Undone in the reverse order when the watch ends, or when a later part of it cannot be set up.
        self._undo: list[Callable[[], None]] = [self._staging.close]
        model = unwrapped(model)
        paths = {clean_path(path): module for path, module in model.named_modules()}
        self._skipped = Columns(logger, [SKIPPED])
        self._clipped = Columns(logger, [AFTER_CLIPPING])
        self._values = StepValues(logger, [probe for probe in probes if isinstance(probe, Ratio)])
        try:
            self._gradients = Gradients(model, logger, include, exclude)
            self._with_gradients = gradients
            self._parameters = Parameters(model, logger, parameters)
            self._ranks = Ranks(model, logger, rank)
            self._probes = ProbeHooks(
                paths,
                [probe for probe in probes if isinstance(probe, Probe)],
                values=self._values,
                faults=self._faults,
                due=self._due,
                emitters=_explicit.tellers(paths.values(), _explicit.emit),
            )
            self._undo.append(self._probes.close)
            self._attention: AttentionProbe | None = None
            if attention is not None:
                self._attention = AttentionProbe(
                    paths,
                    settings=attention,
                    values=self._values,
                    faults=self._faults,
                    step=lambda: self.step,
                    include=include,
                    exclude=exclude,
                    tellers=_explicit.tellers(paths.values(), _explicit.attention),
                )
                self._undo.append(self._attention.close)
            self._follow(paths, optimizers)
            self.step = 0
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def step(self) -> int:
        """The number of the step under way, from 0; set it where the training's own differ, as after a resume."""
        return self._step

    @step.setter
    def step(self, step: int) -> None:
        self._step = step
        self._probes.begin(step, is_active=self._cadence.due(step))
        if self._attention is not None:
            self._attention.step_begins(step)

    @property
    def notes(self) -> tuple[str, ...]:
        """What one has to know about this watch's numbers; each was also logged as a warning."""
        return tuple(self._notes.texts)

    @property
    def disabled(self) -> dict[str, str]:
        """The probes that raised and were switched off, with the error of each."""
        return dict(self._faults.disabled)

    @property
    def dropped(self) -> int:
        """How many steps' values were dropped because too many were still on their way from the device."""
        return self._staging.dropped

    def commit(self, step: int | None = None) -> None:
        """End a step: record everything that has been seen since the last one.

        Needed where no optimizer is followed, after the backward pass and before the gradients are cleared. With an
        optimizer it only records what has come since its last step.

        Args:
            step: the step's number; None for the next one.
        """
        if step is not None:
            if isinstance(step, bool) or not isinstance(step, int):
                raise TypeError(f"step must be an int, not {type(step).__name__}")
            self._step = step  # the forward pass has run already: what it was told of the step stays
        if self._optimizers is None:
            self.gather(None, None, None)
        self.step_ended()

    def clip_grad_norm_(
        self, max_norm: float, parameters: Iterable[Tensor] | None = None, *, error_if_nonfinite: bool = False
    ) -> Tensor:
        """`torch.nn.utils.clip_grad_norm_` for the watched model, which takes the recorded norms in the same pass.

        What is recorded are the norms before clipping. With a GradScaler call `scaler.unscale_(optimizer)` first, as
        one has to for any clipping.

        Args:
            max_norm: the largest total norm.
            parameters: whose gradients to clip together; None for all of the model's.
            error_if_nonfinite: raise where the total is NaN or infinite. This waits for the device.

        Returns:
            The total norm before clipping, a 0-d tensor.

        Raises:
            RuntimeError: with `error_if_nonfinite`.
        """
        is_due = not self._closed and self._cadence.due(self.step)
        with torch.no_grad():
            if is_due:
                self._faults.run("parameters", self._parameters.read)
            total = self._gradients.clip(
                None if parameters is None else list(parameters), float(max_norm), keep=self._with_gradients and is_due
            )
        if error_if_nonfinite and not torch.isfinite(total):
            raise RuntimeError(f"the total norm of the gradients is {float(total)}, so they cannot be clipped")
        return total

    def close(self) -> None:
        """End the watch: hand over what is under way, take every hook off. May be called again."""
        if self._closed:
            return
        self._closed = True
        for undo in reversed(self._undo):
            try:
                undo()
            except Exception as error:  # noqa: BLE001, PERF203  the other hooks must come off in any case
                self._faults.report("closing the watch", error)
        self._undo.clear()

    def gather(self, parameters: list[Tensor] | None, scale: Tensor | None, found_inf: Tensor | None) -> None:
        """The gradients of these parameters (None: all) are complete. Called by the optimizers' hooks."""
        if self._closed:
            return
        with torch.no_grad():
            if self._cadence.due(self.step):
                if self._with_gradients:
                    self._faults.run("gradient norms", self._gradients.measure, parameters, scale, found_inf)
                self._faults.run("parameters", self._parameters.read, scale, found_inf)
            self._faults.run("parameter changes", self._parameters.read_changes, self._staging, self.step)
            self._faults.run("ranks", self._ranks.take, self._staging, self.step)

    def clipping(self, parameters: list[Tensor], max_norm: float | None) -> Tensor | None:
        """Gradients are about to be clipped by torch's own function: take their norms before that."""
        if self._closed or not self._cadence.due(self.step):
            return None
        self._faults.run("parameters", self._parameters.read)
        if not self._with_gradients:
            return None
        total: Tensor | None = None
        if max_norm is not None:
            total = self._faults.run("clipping", self._gradients.clip_as_torch, parameters, max_norm)
        if total is None:
            self._faults.run("gradient norms", self._gradients.measure, parameters)
        return total

    def skipped(self) -> None:
        """The scaled gradients had overflowed, and the optimizer was not run. Called by the optimizers' hooks."""
        if self._closed:
            return
        self._gradients.discard()
        if self._cadence.due(self.step):
            self._faults.run("parameters", self._parameters.overflowed)
        self._faults.run("skipped steps", self._skipped.record, self.step, np.ones(1))

    def step_ended(self) -> None:
        """Stage and commit the step under way. Called by the optimizers' hooks."""
        if self._closed:
            return
        self._faults.run("staging", self._stage)
        self.step += 1

    def emitted(self, module: nn.Module, metric: str, value: Any) -> None:
        """A watched module named a tensor in its forward pass."""
        self._probes.emit(module, metric, value)

    def emitted_compiled(self, module: nn.Module, metric: str, value: Any) -> None:
        """A watched module named a tensor in code that torch.compile traces."""
        self._probes.emit_compiled(module, metric, value)

    def attended_compiled(self, module: nn.Module, call: AttentionCall | None) -> None:
        """A watched module told of its attention in code that torch.compile traces."""
        if self._attention is not None:
            self._attention.pulse.attend(call, module)

    def attended(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """A watched module told of its attention in its forward pass."""
        if self._attention is not None:
            self._attention.explicit(module, call)

    def _stage(self) -> None:
        is_first_look = not self._has_looked and self._gradients.taken
        self._has_looked = self._has_looked or is_first_look
        self._values.stage(self._staging, self._say_blind if is_first_look else None)
        self._gradients.stage(self._staging)
        self._parameters.stage(self._staging)
        self._staging.commit(self._step)
        self._cadence.done(self._step)
        if self._attention is not None:
            self._attention.step_done(self._step)

    def _follow(self, paths: Mapping[str, nn.Module], optimizers: tuple[Optimizer, ...]) -> None:
        _explicit.listen(paths.values(), self)
        self._undo.append(lambda: _explicit.unlisten(paths.values(), self))
        for patch in clip_calls:
            patch.add(self)
            self._undo.append(functools.partial(patch.remove, self))
        if self._with_gradients and self._notes.say_if_clipping_is_unseen():
            self._clipped.record(self._step, np.ones(1))
        self._optimizers = Optimizers(optimizers, self) if optimizers else None
        if self._optimizers is not None:
            self._undo.append(self._optimizers.close)

    def _say_blind(self, kind: str) -> None:
        if not self._faults.disabled:  # a probe that has failed has said so already
            self._notes.say_blind(kind)

    def _due(self) -> bool:
        return torch.is_grad_enabled() and self._cadence.due(self.step)
