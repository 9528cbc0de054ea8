"""`watch` attaches every probe to a model; `Watch` is the handle that detaches them.

Watching does not change the training: it draws no random numbers, alters no tensor and never waits for a device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from holter.torch._attention import Attention, resolve_attention
from holter.torch._optimizers import resolve_optimizers
from holter.torch._rank import Rank, resolve_ranks
from holter.torch._recording import Recording, WatchOptions

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
    prefix: str = "",
    calls: str = "first",
) -> Watch:
    """Record a model's vital signs at every step of its training.

    With an optimizer, the training loop needs no other change: a step ends when the optimizer has stepped. Without an
    optimizer, call `commit(step)` after each backward pass, before the gradients are cleared.

    Args:
        model: The model being trained. Start the watch before code compiled with `torch.compile` runs the first time.
        logger: Receives every recorded point.
        optimizer: The optimizer to follow, or a sequence of optimizers.
        gradients: Record `grad_norm/<parameter>` for every parameter, and `grad_norm_total`: 2-norms before clipping.
        attention: "sampled" (32 queries of each call, every 10 steps), "exact" (every query, every 10 steps), an
            `Attention` with other settings, or None. Records `attention_entropy/…` (nats), `attention_sparsity/…` (a
            share from 0 to 1) and `attention_max_logit/…`.
        probes: `Probe`s of any module, and `Ratio`s of their metrics.
        parameters: Parameters to record, by a shell-style pattern of their names.
        rank: Matrices whose effective rank to record, every so many steps.
        every: Record gradients, probes and parameters every this many steps.
        include: Patterns of the parameters and modules to record; None for all. Does not apply to `probes`,
            `parameters` and `rank`, which have their own patterns.
        exclude: Patterns of the parameters and modules not to record.
        prefix: Put before every name but those of `log`; several watches on one logger need different prefixes.
        calls: Which call of a module counts if there are several in a step: "first", "last", "mean" (of the values) or
            "each", recorded as `{name}/call_{i}`. In code that torch.compile compiles, only "first" records values.

    Returns:
        A handle, which is also a context manager. Closing it ends the watch.

    Raises:
        ValueError: If an argument is invalid, a pattern matches nothing, or another open watch records the same names.
        TypeError: If `optimizer` is not a `torch.optim.Optimizer` or a sequence of them.
    """
    options = WatchOptions(
        gradients=gradients,
        attention=resolve_attention(attention),
        probes=tuple(probes),
        parameters=parameters or {},
        rank=resolve_ranks(rank),
        every=every,
        include=include,
        exclude=exclude,
        prefix=prefix,
        calls=calls,
    )
    return Watch(Recording(model, logger, resolve_optimizers(optimizer), options))


class Watch:
    """An active watch, returned by `watch`."""

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
        """The current step, counted from 0. Set it to continue from another step, for example after a resume."""
        return self._recording.step

    @step.setter
    def step(self, step: int) -> None:
        self._recording.step = _require_int(step)

    @property
    def notes(self) -> tuple[str, ...]:
        """Caveats about the recorded numbers. Each was also logged once as a warning."""
        return (*self._recording.notes.texts, *self._recording.faults.failures.values())

    @property
    def disabled(self) -> dict[str, str]:
        """The probes that raised and were disabled, with the text of each error."""
        return dict(self._recording.faults.disabled)

    @property
    def calls(self) -> dict[str, int]:
        """How many times each layer or probe ran in the last recorded step, by the name of its first series."""
        return dict(self._recording.num_calls)

    @property
    def dropped(self) -> int:
        """Number of steps and rank matrices dropped because earlier values had not yet left the device."""
        return self._recording.staging.dropped

    def log(self, name: str, value: Tensor | float, *, transform: str | None = None) -> None:
        """Record a scalar of the current step, such as the loss, without waiting for the device.

        Call it before the optimizer steps, which ends the current step. Several values under the same name, one per
        micro-batch for example, are averaged. A loss with `transform="exp"` gives the perplexity.

        Args:
            name: The metric's name.
            value: Any number that `Logger.log` accepts, or a tensor with one element on any device. Do not change the
                tensor in place before the step ends.
            transform: Applied to the mean value, off the training thread: "exp", "sigmoid", "tanh", "softplus" or
                None.

        Raises:
            TypeError: If `value` is neither a real number nor a tensor of real numbers.
            ValueError: If `value` has more or fewer elements than one, `transform` is unknown, or `name` is not a
                valid metric name.
        """
        if not self._recording.is_closed:
            self._recording.scalars.put(name, value, transform)

    def commit(self, step: int | None = None) -> None:
        """End the current step and record everything observed since the previous step ended.

        Required if no optimizer is followed: call it after the backward pass and before the gradients are cleared.
        With an optimizer, it only records what was observed since the optimizer's last step.

        Args:
            step: The step's number; None for the next number.

        Raises:
            TypeError: If `step` is not an int.
        """
        if step is not None:
            self._recording.renumber_step(_require_int(step))
        if not self._recording.follows_optimizers:
            self._recording.on_gradients(None, None, None)
        self._recording.on_step_end()

    def clip_grad_norm_(
        self, max_norm: float, parameters: Iterable[Tensor] | None = None, *, error_if_nonfinite: bool = False
    ) -> Tensor:
        """Clip gradients like `torch.nn.utils.clip_grad_norm_`, and record their norms in the same pass.

        The recorded norms are those before clipping. With a GradScaler, call `scaler.unscale_(optimizer)` first, as
        for any clipping.

        Args:
            max_norm: The maximum total 2-norm.
            parameters: The parameters whose gradients to clip together; None for all of the model's.
            error_if_nonfinite: Raise if the total norm is NaN or infinite. This waits for the device.

        Returns:
            The total norm before clipping, a 0-d tensor on the first gradient's device.

        Raises:
            RuntimeError: If `error_if_nonfinite` is set and the total norm is NaN or infinite.
        """
        total = self._recording.clip(None if parameters is None else list(parameters), float(max_norm))
        if error_if_nonfinite and not torch.isfinite(total):
            raise RuntimeError(
                f"cannot clip gradients whose total norm is {float(total)}; look for NaN or Inf in the recorded "
                "gradient norms, or pass error_if_nonfinite=False"
            )
        return total

    def close(self) -> None:
        """End the watch: record what is still in flight and remove every hook. Safe to call more than once."""
        self._recording.close()


def _require_int(step: int) -> int:
    if isinstance(step, bool) or not isinstance(step, int):
        raise TypeError(f"step must be an int, not {type(step).__name__}")
    return step
