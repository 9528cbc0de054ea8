"""Recording: what one watch looks at, brought together step by step.

Each part knows one thing (gradients, attention, parameters, …). Here is decided which of them is asked at which moment:
forward passes, clipping, an optimizer's step, and the end of a step, which stages and commits everything. A part that
fails is switched off; nothing of this raises into the training.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holter.torch import _explicit
from holter.torch._attention import Attention, AttentionProbe
from holter.torch._cadence import Cadence
from holter.torch._clipping import clip_calls, tell_others
from holter.torch._columns import Columns
from holter.torch._compiled import is_capturing, is_out_of_reach
from holter.torch._faults import Faults
from holter.torch._gradients import AFTER_CLIPPING, SKIPPED, Gradients
from holter.torch._names import clean_path, unwrapped
from holter.torch._notes import Notes
from holter.torch._optimizers import Optimizers
from holter.torch._parameters import Parameters
from holter.torch._probes import Probe, ProbeHooks
from holter.torch._rank import Rank, Ranks
from holter.torch._scalars import Scalars
from holter.torch._staging import Staging
from holter.torch._values import Ratio, StepValues

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from holter import Logger
    from holter.torch._attention_math import AttentionCall
    from holter.torch._parameters import Parameter


@dataclass(frozen=True)
class Wanted:
    """What to look at; the arguments of `watch`."""

    gradients: bool
    attention: Attention | None
    probes: tuple[Probe | Ratio, ...]
    parameters: Mapping[str, Parameter]
    rank: tuple[Rank, ...]
    every: int
    include: str | Sequence[str] | None
    exclude: str | Sequence[str] | None


class Recording:
    """The parts of one watch.

    Attributes:
        faults: the parts that have failed.
        notes: what has been said.
        staging: where values are on their way.
        is_closed: whether it has ended.
    """

    def __init__(self, model: nn.Module, logger: Logger, optimizers: tuple[Optimizer, ...], wanted: Wanted) -> None:
        self.faults = Faults()
        self.notes = Notes()
        self.staging = Staging(self.faults)
        self.is_closed = False
        self._wanted = wanted
        self._step = 0
        self._has_looked = False
        self._cadence = Cadence(wanted.every)
        # Undone in the reverse order at the end, or when a later part cannot be set up.
        self._undo: list[Callable[[], None]] = [self.staging.close]
        model = unwrapped(model)
        paths = {clean_path(path): module for path, module in model.named_modules()}
        self._skipped = Columns(logger, [SKIPPED])
        self._clipped = Columns(logger, [AFTER_CLIPPING])
        self.scalars = Scalars(logger)
        self._values = StepValues(logger, [probe for probe in wanted.probes if isinstance(probe, Ratio)])
        try:
            self._gradients = Gradients(model, logger, wanted.include, wanted.exclude)
            self._parameters = Parameters(model, logger, wanted.parameters)
            self._ranks = Ranks(model, logger, wanted.rank)
            self._set_up_forward(paths)
            self._follow(paths, optimizers)
            self.step = 0
        except BaseException:
            self.close()
            raise

    @property
    def step(self) -> int:
        """The number of the step under way."""
        return self._step

    @step.setter
    def step(self, step: int) -> None:
        self._step = step
        self._probes.begin(step, is_active=self._cadence.due(step))
        if self._attention is not None:
            self._attention.step_begins(step)

    def rename_step(self, step: int) -> None:
        """Give the step under way another number; its forward pass has run, so what that was told of it stays."""
        self._step = step

    @property
    def follows_optimizers(self) -> bool:
        """Whether optimizers end the steps."""
        return self._optimizers is not None

    def clip(self, parameters: list[Tensor] | None, max_norm: float) -> Tensor:
        """Scale gradients down to a total norm, which is returned, and take their norms on the way."""
        is_due = self._looks()
        tell_others(self, self._gradients.parameters if parameters is None else parameters)
        with torch.no_grad():
            if is_due:
                self.faults.run("parameters", self._parameters.read)
            keeps = self._wanted.gradients and is_due
            total = self.faults.run("clipping", self._gradients.clip, parameters, max_norm, keep=keeps)
        if total is None:
            total = torch.nn.utils.clip_grad_norm_(
                self._gradients.parameters if parameters is None else parameters, max_norm
            )
        return total

    def close(self) -> None:
        """Hand over what is under way, take every hook off. May be called again."""
        if self.is_closed:
            return
        self.is_closed = True
        for undo in reversed(self._undo):
            try:
                undo()
            except Exception as error:  # noqa: BLE001, PERF203  the other hooks must come off in any case
                self.faults.report("closing the watch", error)
        self._undo.clear()

    # What the optimizers tell.

    def gather(self, parameters: list[Tensor] | None, scale: Tensor | None, found_inf: Tensor | None) -> None:
        """The gradients of these parameters (None: all) are complete."""
        if self.is_closed:
            return
        if is_capturing():
            self.notes.say_captured()
            return
        with torch.no_grad():
            if self._cadence.due(self.step):
                if self._wanted.gradients:
                    self.faults.run("gradient norms", self._gradients.measure, parameters, scale, found_inf)
                self.faults.run("parameters", self._parameters.read, scale, found_inf)
            self.faults.run("parameter changes", self._parameters.read_changes, self.staging, self.step)
            self.faults.run("ranks", self._ranks.take, self.staging, self.step)

    def skipped(self) -> None:
        """The scaled gradients had overflowed, and the optimizer was not run."""
        if self.is_closed:
            return
        self._gradients.skip()
        if self._cadence.due(self.step):
            self.faults.run("parameters", self._parameters.overflowed)
        self.faults.run("skipped steps", self._skipped.record, self.step, np.ones(1))

    def step_ended(self) -> None:
        """Stage and commit the step under way."""
        if self.is_closed or is_capturing():
            return
        self.faults.run("staging", self._stage)
        self.step += 1

    # What clipping tells.

    def clipping(self, parameters: list[Tensor], max_norm: float | None) -> Tensor | None:
        """Gradients are about to be clipped by torch's own function: take their norms before that."""
        if not self._looks():
            return None
        self.faults.run("parameters", self._parameters.read)
        if not self._wanted.gradients:
            return None
        total: Tensor | None = None
        if max_norm is not None:
            total = self.faults.run("clipping", self._gradients.clip_as_torch, parameters, max_norm)
        if total is None:
            self.faults.run("gradient norms", self._gradients.measure, parameters)
        return total

    # What modules tell in their forward passes.

    def emitted(self, module: nn.Module, metric: str, value: Any) -> None:
        """A module named a tensor."""
        self._probes.emit(module, metric, value)

    def emitted_compiled(self, module: nn.Module, metric: str, value: Any) -> None:
        """The same in code that torch.compile traces."""
        self._probes.emit_compiled(module, metric, value)

    def attended(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """A module told of its attention."""
        if self._attention is not None:
            self._attention.explicit(module, call)

    def attended_compiled(self, module: nn.Module, call: AttentionCall | None) -> None:
        """The same in code that torch.compile traces."""
        if self._attention is not None:
            self._attention.pulse.attend(call, module)

    def _set_up_forward(self, paths: Mapping[str, nn.Module]) -> None:
        """What looks at forward passes."""
        wanted = self._wanted
        self._probes = ProbeHooks(
            paths,
            [probe for probe in wanted.probes if isinstance(probe, Probe)],
            values=self._values,
            faults=self.faults,
            due=lambda: torch.is_grad_enabled() and self._looks() and not is_out_of_reach(),
            emitters=_explicit.tellers(paths.values(), _explicit.emit),
        )
        self._undo.append(self._probes.close)
        self._attention: AttentionProbe | None = None
        if wanted.attention is not None:
            self._attention = AttentionProbe(
                paths,
                settings=wanted.attention,
                values=self._values,
                faults=self.faults,
                step=lambda: self.step,
                include=wanted.include,
                exclude=wanted.exclude,
                tellers=_explicit.tellers(paths.values(), _explicit.attention),
            )
            self._undo.append(self._attention.close)

    def _follow(self, paths: Mapping[str, nn.Module], optimizers: tuple[Optimizer, ...]) -> None:
        """What happens outside the model's forward passes, and what modules tell of themselves."""
        _explicit.listen(paths.values(), self)
        self._undo.append(lambda: _explicit.unlisten(paths.values(), self))
        for patch in clip_calls:
            patch.add(self)
            self._undo.append(functools.partial(patch.remove, self))
        if self._wanted.gradients and self.notes.say_if_clipping_is_unseen():
            self._clipped.record(self._step, np.ones(1))
        self._optimizers = Optimizers(optimizers, self) if optimizers else None
        if self._optimizers is not None:
            self._undo.append(self._optimizers.close)

    def _stage(self) -> None:
        is_first_look = not self._has_looked and self._gradients.taken
        self._has_looked = self._has_looked or is_first_look
        report_blind = self._say_blind if is_first_look else None
        self.faults.run("recording of the forward pass", self._values.stage, self.staging, report_blind)
        self.faults.run("recording of the gradient norms", self._gradients.stage, self.staging)
        self.faults.run("recording of the parameters", self._parameters.stage, self.staging)
        self.faults.run("recording of numbers", self.scalars.stage, self.staging)
        self.staging.commit(self._step)
        self._cadence.done(self._step)
        if self._attention is not None:
            self._attention.step_done(self._step)

    def _looks(self) -> bool:
        """Whether this step is looked at, and what runs now may be."""
        return not self.is_closed and self._cadence.due(self._step) and not is_capturing()

    def _say_blind(self, kind: str) -> None:
        if not self.faults.disabled:  # a probe that has failed has said so already
            self.notes.say_blind(kind)
