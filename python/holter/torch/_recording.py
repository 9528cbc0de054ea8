"""The parts of one watch, and the order in which they run.

Each part records one thing (gradients, attention, parameters, …). This file decides which parts run during forward
passes, at clipping, at an optimizer's step, and at the end of a step, which stages and commits all values. A part that
raises is disabled; no error reaches the training.
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
from holter.torch._clipping import clip_calls, notify_others
from holter.torch._columns import Columns
from holter.torch._faults import Faults
from holter.torch._gradients import AFTER_CLIPPING, SKIPPED, TOTAL, Gradients
from holter.torch._names import clean_path, unwrapped
from holter.torch._notes import Notes
from holter.torch._optimizers import Optimizers
from holter.torch._parameters import Parameters
from holter.torch._prefix import claim, release, with_prefix
from holter.torch._probes import Probe, ProbeHooks
from holter.torch._rank import Rank, Ranks
from holter.torch._scalars import Scalars
from holter.torch._staging import Staging
from holter.torch._tracing import is_abstract, is_capturing, script_calls
from holter.torch._values import Ratio, StepValues

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn
    from torch.optim import Optimizer

    from holter import Logger
    from holter.torch._attention_call import AttentionCall
    from holter.torch._parameters import Parameter


@dataclass(frozen=True)
class WatchOptions:
    """The arguments of `watch`, validated and normalized."""

    gradients: bool
    attention: Attention | None
    probes: tuple[Probe | Ratio, ...]
    parameters: Mapping[str, Parameter]
    rank: tuple[Rank, ...]
    every: int
    include: str | Sequence[str] | None
    exclude: str | Sequence[str] | None
    prefix: str
    calls: str


class Recording:
    """The parts of one watch.

    Attributes:
        faults: The parts that have failed.
        notes: Caveats about the recorded numbers.
        scalars: The scalars that the training loop logs.
        staging: Carries values from their devices to the logger.
        is_closed: Whether the watch has ended.
    """

    def __init__(
        self, model: nn.Module, logger: Logger, optimizers: tuple[Optimizer, ...], options: WatchOptions
    ) -> None:
        self.faults = Faults()
        self.notes = Notes()
        self.staging = Staging(self.faults)
        self.is_closed = False
        self._options = options
        self._step = 0
        self._has_had_gradients = False
        self._is_flagged = False
        self._cadence = Cadence(options.every)
        # Run in reverse order by `close`, also if a later part cannot be set up.
        self._undo: list[Callable[[], None]] = [self.staging.close]
        model = unwrapped(model)
        paths = {clean_path(path): module for path, module in model.named_modules()}
        self.scalars = Scalars(logger)
        unprefixed, logger = logger, with_prefix(logger, options.prefix)
        self._skipped = Columns(logger, [SKIPPED])
        self._clipped = Columns(logger, [AFTER_CLIPPING])
        ratios = [probe for probe in options.probes if isinstance(probe, Ratio)]
        self._values = StepValues(logger, ratios, options.calls)
        try:
            self._gradients = Gradients(model, logger, options.include, options.exclude)
            self._parameters = Parameters(model, logger, options.parameters)
            self._ranks = Ranks(model, logger, options.rank)
            self._attach_to_forward(paths)
            self._undo.append(lambda: release(self))
            claim(unprefixed, self, [options.prefix + name for name in self._names()])
            self._attach_to_step(paths, optimizers)
            self.step = 0
        except BaseException:
            self.close()
            raise

    @property
    def num_calls(self) -> dict[str, int]:
        """How many times each layer or probe ran in the last recorded step."""
        return self._values.num_calls

    @property
    def step(self) -> int:
        """The number of the current step."""
        return self._step

    @step.setter
    def step(self, step: int) -> None:
        self._step = step
        self._probes.begin_step(step, is_active=self._cadence.due(step))
        if self._attention is not None:
            self._attention.begin_step(step)

    def renumber_step(self, step: int) -> None:
        """Change the number of the current step. Its forward pass has run, so the probes are not reset."""
        self._step = step

    @property
    def follows_optimizers(self) -> bool:
        """Whether optimizers end the steps, rather than `Watch.commit`."""
        return self._optimizers is not None

    def clip(self, parameters: list[Tensor] | None, max_norm: float) -> Tensor:
        """Clip gradients and measure their norms in the same pass; return the total norm before clipping."""
        is_due = self._is_due()
        notify_others(self, self._gradients.parameters if parameters is None else parameters)
        with torch.no_grad():
            if is_due:
                self.faults.attempt("parameters", self._parameters.read)
            keep = self._options.gradients and is_due
            total = self.faults.run("clipping", self._gradients.clip, parameters, max_norm, keep=keep)
        if total is None:
            total = torch.nn.utils.clip_grad_norm_(
                self._gradients.parameters if parameters is None else parameters, max_norm
            )
        return total

    def close(self) -> None:
        """Record what is still in flight and remove every hook. Safe to call more than once."""
        if self.is_closed:
            return
        self.is_closed = True
        for undo in reversed(self._undo):
            try:
                undo()
            except Exception as error:  # noqa: BLE001, PERF203  the other hooks must be removed as well
                self.faults.report("closing the watch", error)
        self._undo.clear()

    # Callbacks of the optimizers.

    def on_gradients(self, parameters: list[Tensor] | None, scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Measure the completed gradients of these parameters (None for all)."""
        if self.is_closed:
            return
        if is_capturing():
            self.notes.warn_graph_capture()
        if is_abstract():
            return
        with torch.no_grad():
            if self._cadence.due(self.step):
                if self._options.gradients:
                    if not self._is_flagged and self.notes.warn_replaced_clipping():
                        self._flag_clipping()
                    self.faults.attempt("gradient norms", self._gradients.measure, parameters, scale, found_inf)
                self.faults.attempt("parameters", self._parameters.read, scale, found_inf)
            self.faults.run("parameter changes", self._parameters.read_changes, self.staging, self.step)
            self.faults.run("ranks", self._ranks.measure, self.staging, self.step)

    def on_skipped_step(self) -> None:
        """Discard gradients that have overflowed and mark the step as skipped."""
        if self.is_closed or is_abstract():
            return
        self._gradients.skip()
        if self._cadence.due(self.step):
            self.faults.attempt("parameters", self._parameters.drop_gradients)
        self.faults.attempt("skipped steps", self._skipped.record, self.step, np.ones(1))

    def on_step_end(self) -> None:
        """Stage and commit the current step."""
        if self.is_closed or is_abstract():
            return
        self.faults.attempt("staging", self._stage)
        self.step += 1

    # Callback of the clipping functions.

    def on_clip(self, parameters: list[Tensor], max_norm: float | None) -> Tensor | None:
        """Measure gradients before torch clips them, or clip them with the measured norms."""
        if not self._is_due():
            return None
        self.faults.attempt("parameters", self._parameters.read)
        if not self._options.gradients:
            return None
        total: Tensor | None = None
        if max_norm is not None:
            total = self.faults.run("clipping", self._gradients.clip_as_torch, parameters, max_norm)
        if total is None:
            self.faults.attempt("gradient norms", self._gradients.measure, parameters)
        return total

    # Callbacks of `emit` and `attention` in the modules' forward passes.

    def on_emit(self, module: nn.Module, metric: str, value: Any) -> None:
        """Record a tensor that a module emits."""
        self._probes.emit(module, metric, value)

    def on_emit_traced(self, module: nn.Module, metric: str, value: Any) -> None:
        """Record a tensor that a module emits in code that torch.compile traces."""
        self._probes.emit_traced(module, metric, value)

    def on_attention(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """Record an attention call that a module reports."""
        if self._attention is not None:
            self._attention.on_module_call(module, call)

    def on_attention_traced(self, module: nn.Module, call: AttentionCall | None) -> None:
        """Record an attention call that a module reports in code that torch.compile traces."""
        if self._attention is not None:
            self._attention.targets.attend(call, module)

    def _names(self) -> list[str]:
        """Return the names that this watch may record, except those of `emit` and of ratios."""
        names = [*self._probes.names, *self._parameters.names, *self._ranks.names]
        if self._options.gradients:
            names.append(TOTAL)
        if self._attention is not None:
            names += self._attention.names
        return names

    def _attach_to_forward(self, paths: Mapping[str, nn.Module]) -> None:
        """Set up the parts that observe forward passes."""
        options = self._options
        self._probes = ProbeHooks(
            paths,
            [probe for probe in options.probes if isinstance(probe, Probe)],
            values=self._values,
            faults=self.faults,
            due=lambda: torch.is_grad_enabled() and self._is_due(),
            emitters=_explicit.modules_calling(_explicit.emit, paths.values()),
        )
        self._undo.append(self._probes.close)
        self._attention: AttentionProbe | None = None
        if options.attention is not None:
            self._attention = AttentionProbe(
                paths,
                settings=options.attention,
                values=self._values,
                faults=self.faults,
                notes=self.notes,
                step=lambda: self.step,
                include=options.include,
                exclude=options.exclude,
                reporters=_explicit.modules_calling(_explicit.attention, paths.values()),
            )
            self._undo.append(self._attention.close)

    def _attach_to_step(self, paths: Mapping[str, nn.Module], optimizers: tuple[Optimizer, ...]) -> None:
        """Register for the callbacks of modules, clipping functions and optimizers."""
        _explicit.add_listener(paths.values(), self)
        self._undo.append(lambda: _explicit.remove_listener(paths.values(), self))
        for patch in (*clip_calls, *script_calls):
            patch.add(self)
            self._undo.append(functools.partial(patch.remove, self))
        if self._options.gradients and self.notes.warn_unobserved_clipping():
            self._flag_clipping()
        self._optimizers = Optimizers(optimizers, self) if optimizers else None
        if self._optimizers is not None:
            self._undo.append(self._optimizers.close)

    def _flag_clipping(self) -> None:
        """Record once that norms may be those after clipping."""
        self._is_flagged = True
        self._clipped.record(self._step, np.ones(1))

    def _stage(self) -> None:
        is_first_with_gradients = not self._has_had_gradients and self._gradients.has_norms
        self._has_had_gradients = self._has_had_gradients or is_first_with_gradients
        on_not_traced = self._warn_not_traced if is_first_with_gradients else None
        self.faults.attempt("recording of the forward pass", self._values.stage, self.staging, on_not_traced)
        self.faults.attempt("recording of gradient norms", self._gradients.stage, self.staging)
        self.faults.attempt("recording of parameters", self._parameters.stage, self.staging)
        self.faults.attempt("recording of scalars", self.scalars.stage, self.staging)
        self.staging.commit(self._step)
        self._cadence.done(self._step)
        if self._attention is not None:
            if replaced := self._attention.replaced_functions():
                self.notes.warn_replaced_attention(replaced)
            self._attention.end_step(self._step)

    def _is_due(self) -> bool:
        """Return whether the current step is recorded, and the code computes values that may be kept."""
        return not self.is_closed and self._cadence.due(self._step) and not is_abstract()

    def _warn_not_traced(self, kind: str) -> None:
        if not self.faults.disabled and not self.notes.texts:  # the reason may have been reported already
            self.notes.warn_not_traced(kind)
