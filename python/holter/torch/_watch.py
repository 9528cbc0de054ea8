"""watch: every probe on one model, and the handle that ends them.

The training is not changed by being watched: no random state is touched, no tensor altered, nothing waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from holter.torch._attention import Attention, settings_of
from holter.torch._optimizers import optimizers_of
from holter.torch._rank import Rank, ranks_of
from holter.torch._recording import Recording, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from torch import Tensor, nn
    from torch.optim import Optimizer
    from typing_extensions import Self

    from holter import Logger
    from holter.torch._parameters import Parameter
    from holter.torch._probes import Probe
    from holter.torch._values import Ratio


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
    wanted = Wanted(
        gradients=gradients,
        attention=settings_of(attention),
        probes=tuple(probes),
        parameters=parameters or {},
        rank=ranks_of(rank),
        every=every,
        include=include,
        exclude=exclude,
    )
    return Watch(Recording(model, logger, optimizers_of(optimizer), wanted))


class Watch:
    """A running watch; what `watch` returns."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

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
        return self._recording.step

    @step.setter
    def step(self, step: int) -> None:
        self._recording.step = _checked(step)

    @property
    def notes(self) -> tuple[str, ...]:
        """What one has to know about this watch's numbers; each was also logged as a warning."""
        return tuple(self._recording.notes.texts)

    @property
    def disabled(self) -> dict[str, str]:
        """The probes that raised and were switched off, with the error of each."""
        return dict(self._recording.faults.disabled)

    @property
    def dropped(self) -> int:
        """How many steps' values were dropped because too many were still on their way from the device."""
        return self._recording.staging.dropped

    def log(self, name: str, value: Tensor | float, *, transform: str | None = None) -> None:
        """Record a number of the step under way, its loss for example, without waiting for the device.

        Call it before the optimizer's step, which ends the step. Several values under one name, as of micro-batches,
        are averaged. With `transform="exp"` a loss gives the perplexity.

        Args:
            name: the metric's name.
            value: a tensor of one number, on any device. It must not be changed in place until the step's end.
            transform: what is done to the (mean) value, off the training thread: "exp", "sigmoid", "tanh", "softplus",
                or None.

        Raises:
            TypeError: value is not a number.
            ValueError: value is more than one number, the transform is unknown, or the name makes no metric.
        """
        if not self._recording.is_closed:
            self._recording.scalars.put(name, value, transform)

    def commit(self, step: int | None = None) -> None:
        """End a step: record everything that has been seen since the last one.

        Needed where no optimizer is followed, after the backward pass and before the gradients are cleared. With an
        optimizer it only records what has come since its last step.

        Args:
            step: the step's number; None for the next one.
        """
        if step is not None:
            self._recording.rename_step(_checked(step))
        if not self._recording.follows_optimizers:
            self._recording.gather(None, None, None)
        self._recording.step_ended()

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
        total = self._recording.clip(None if parameters is None else list(parameters), float(max_norm))
        if error_if_nonfinite and not torch.isfinite(total):
            raise RuntimeError(f"the total norm of the gradients is {float(total)}, so they cannot be clipped")
        return total

    def close(self) -> None:
        """End the watch: hand over what is under way, take every hook off. May be called again."""
        self._recording.close()


def _checked(step: int) -> int:
    if isinstance(step, bool) or not isinstance(step, int):
        raise TypeError(f"step must be an int, not {type(step).__name__}")
    return step
