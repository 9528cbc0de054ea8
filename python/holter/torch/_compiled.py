"""Probe values from code that torch.compile compiles: the compiled code writes them into small tensors.

Compiled code runs none of our Python, so each module has a target: a tensor created before anything is compiled, whose
address never changes (CUDA graphs require that). Each row of a target is a value and the tick at which it was written.
A tick numbers the recorded steps: a row with another tick was not written in this step, so its value is absent. A row
that already has the step's tick is not written again: of accumulated micro-batches the first counts, and a
recomputation under checkpointing does not.

The layer of an attention call is determined by the same hooks as in eager code. But keeping a list of the running
modules would be a side effect, which a checkpointed region must not have. So a call writes its numbers into the
device's mailbox, and the hook that runs when the module returns moves them to the module's target.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch

from holter.torch._attention_call import AttentionCall
from holter.torch._attention_math import exact, sampled, stratum_offset
from holter.torch._tracing import TARGET_PREFIX, is_exporting

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from torch import Tensor, nn

    from holter.torch._faults import Faults

_MAX_TICK = 1 << 20
"""Ticks restart after this value. They are stored as float32, which represents every integer up to 2^24."""

_ids = itertools.count()
_targets: dict[int, Targets] = {}
"""All open `Targets` by number: the operators' arguments cannot hold Python objects."""

# torch has no types for its libraries of operators.
_library: Any = torch.library.Library("holter", "DEF")  # type: ignore[no-untyped-call]
_library.define(
    "attend(Tensor query, Tensor key, Tensor? mask, bool is_causal, float? scale, float? softcap, int? window, "
    "int rows, float threshold, int owner, Tensor now, Tensor(a!) target) -> ()"
)
_library.define("emit(Tensor value, str name, int owner, Tensor now, Tensor(a!) target) -> ()")


@dataclass(eq=False)
class Target:
    """The tensor into which compiled code writes a module's values.

    Attributes:
        names: The metric names of the rows. There may be fewer names than rows, and more names over time.
        tensor: float32 `[rows, 2]`: value and tick.
        keys: The keys under which eager code puts the same values.
    """

    names: Iterable[str]
    tensor: Tensor
    keys: tuple[tuple[str, ...], ...]

    def has_eager_values(self, values: Container[tuple[str, ...]]) -> bool:
        """Return whether eager code has put values under all keys."""
        return bool(self.keys) and all(key in values for key in self.keys)


@dataclass(eq=False)
class Targets:
    """The targets of one kind of probe of one watch.

    Attributes:
        faults: Reports failures inside the custom operators.
        number: Identifies the object in the custom operators' arguments.
        attribute: The module attribute that holds its target. It is the same for all modules, so that torch compiles a
            block once for all layers and not once per layer.
        is_active: Whether the current step is recorded. Compiled code has a graph for each of the two cases.
        now: Per device, float64 `[2]`: the current step's tick and its offset for sampling queries.
        mailbox: Per device, a tensor for the numbers of an attention call.
        default_device: The device of modules without parameters and buffers.
        members: All targets.
        tick: The current step's tick.
    """

    faults: Faults
    is_active: bool = False
    now: dict[torch.device, Tensor] = field(default_factory=dict)
    mailbox: dict[torch.device, Tensor] = field(default_factory=dict)
    default_device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    members: list[Target] = field(default_factory=list)
    tick: int = 1

    def __post_init__(self) -> None:
        self.number = next(_ids)
        self.attribute = f"{TARGET_PREFIX}{self.number}"
        self._modules: list[nn.Module] = []
        _targets[self.number] = self

    def add(self, module: nn.Module, names: Iterable[str], rows: int, *keys: tuple[str, ...]) -> None:
        """Create a module's target, on the device of its parameters.

        Args:
            module: The module.
            names: As in `Target`.
            rows: Number of values.
            keys: As in `Target`.
        """
        device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), self.default_device)
        if device.type == "meta":
            return
        if device not in self.now:
            self.now[device] = _static(torch.zeros(2, dtype=_precise(device), device=device))
            self.mailbox[device] = _static(torch.zeros(rows, 2, device=device))
            self._set_now(device, 0)
        target = _static(torch.zeros(rows, 2, device=device))
        module.__dict__[self.attribute] = target
        self._modules.append(module)
        self.members.append(Target(names, target, keys))

    @property
    def writable(self) -> list[Target]:
        """The targets that compiled code may have written."""
        return self.members

    def begin_step(self, step: int, *, is_active: bool) -> None:
        """Begin a step: values written from now on belong to it."""
        self.is_active = is_active
        if is_active and self.members:
            self.tick = self.tick % _MAX_TICK + 1
            for device in self.now:
                self._set_now(device, step)

    def close(self) -> None:
        """Remove the targets from their modules. torch recompiles code that was compiled with them."""
        self.is_active = False
        for module in self._modules:
            module.__dict__.pop(self.attribute, None)
        self._modules.clear()
        self.members.clear()
        _targets.pop(self.number, None)

    def target_of(self, module: nn.Module) -> Tensor | None:
        """Return a module's target; None if the step is not recorded, or if the module has none."""
        if not (self.is_active and module.training and torch.is_grad_enabled()) or is_exporting():
            return None
        target: Tensor | None = getattr(module, self.attribute, None)
        return target

    def _set_now(self, device: torch.device, step: int) -> None:
        # `fill_` passes its value as a kernel argument: a copy from the host would synchronize.
        now = self.now[device]
        now[0].fill_(self.tick)
        now[1].fill_(stratum_offset(step))


@dataclass(eq=False)
class AttentionTargets(Targets):
    """The targets of attention: what the hooks and the patched functions do while torch traces them.

    Attributes:
        rows: Number of queries to sample from each call; 0 for all.
        threshold: Weights above it count towards sparsity.
    """

    rows: int = 32
    threshold: float = 0.1

    def enter(self, module: nn.Module) -> None:
        """Clear the mailbox when an attention module starts: its content belongs to another module."""
        target = self.target_of(module)
        if target is not None:
            with torch.no_grad():
                self.mailbox[target.device].zero_()

    def leave(self, module: nn.Module) -> None:
        """Move the mailbox to the target when an attention module returns: its content belongs to this module."""
        target = self.target_of(module)
        if target is not None:
            with torch.no_grad():
                mailbox = self.mailbox[target.device]
                write(target, mailbox[:, 0], mailbox[:, 1:])
                mailbox.zero_()

    def attend(self, call: AttentionCall | None, module: nn.Module | None = None) -> None:
        """Measure an attention call of this module; None for the module that is running."""
        if not self.is_active or is_exporting() or not torch.is_grad_enabled():
            return
        if call is None or call.adjust is not None:
            return  # an operator cannot take the user's function as an argument
        device = call.query.device
        target = None if module is None else self.target_of(module)
        if target is None:
            target = self.mailbox.get(device)
        if target is None or target.device != device:
            return
        with torch.no_grad():
            torch.ops.holter.attend(
                call.query.detach(),
                call.key.detach(),
                None if call.mask is None else call.mask.detach(),
                call.is_causal,
                call.scale,
                call.softcap,
                call.window,
                self.rows,
                self.threshold,
                self.number,
                self.now[device],
                target,
            )


class CallListener(Protocol):
    """Receives callbacks for attention calls.

    Attributes:
        targets: The targets for calls in code that torch.compile traces.
    """

    targets: AttentionTargets

    def on_call(self, call: Callable[[], AttentionCall | None]) -> None:
        """Handle an attention call of the module that is running; `call` builds its description."""

    def on_module_call(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """Handle an attention call of a given module; `call` builds its description."""


@dataclass(eq=False)
class ProbeTargets(Targets):
    """The targets of probes: what their hooks do while torch traces them."""

    def put(self, target: Tensor, row: int, value: Tensor) -> None:
        """Write one row of a module's target."""
        if value.device == target.device:
            write(target[row : row + 1], value.reshape(1), self.now[target.device][:1])


@dataclass(eq=False)
class EmitTargets(Targets):
    """The targets of `emit`.

    The number of metrics is not known in advance. If compiled code emits more than the targets have rows, the targets
    grow before the next step, and torch recompiles the code once.

    Attributes:
        metrics: The metrics that compiled code has emitted so far, in the order of their rows.
    """

    metrics: list[str] = field(default_factory=list)

    def begin_step(self, step: int, *, is_active: bool) -> None:
        """Begin a step, with a row for every metric emitted so far."""
        if self.members and len(self.metrics) > len(self.members[0].tensor):
            self._grow()
        super().begin_step(step, is_active=is_active)

    @property
    def writable(self) -> list[Target]:
        """All targets once compiled code has emitted a metric; none before."""
        return self.members if self.metrics else []

    def emit(self, target: Tensor, metric: str, value: Tensor | None) -> None:
        """Write an emitted number. Call it with gradients disabled."""
        if value is not None and value.device == target.device:
            torch.ops.holter.emit(value.float(), metric, self.number, self.now[target.device], target)

    def _grow(self) -> None:
        rows = 1 << (len(self.metrics) - 1).bit_length()
        for module, target in zip(self._modules, self.members, strict=True):
            target.tensor = _static(torch.zeros(rows, 2, device=target.tensor.device))
            module.__dict__[self.attribute] = target.tensor


def write(target: Tensor, values: Tensor, tick: Tensor) -> None:
    """Write values and their tick into a target's rows, except rows that already have this tick, and except tick 0."""
    ticks = tick.reshape(-1).to(torch.float32).expand_as(values)
    fresh = torch.stack((values.to(torch.float32), ticks), dim=1)
    target.copy_(torch.where((target[:, 1:] == fresh[:, 1:]) | (fresh[:, 1:] == 0.0), target, fresh))


def _attend(  # noqa: PLR0917  an operator's arguments are positional
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    is_causal: bool,  # noqa: FBT001  as above
    scale: float | None,
    softcap: float | None,
    window: int | None,
    rows: int,
    threshold: float,
    owner: int,
    now: Tensor,
    target: Tensor,
) -> None:
    """Implement the operator `holter::attend`, with the same computation as in eager code."""
    targets = _targets.get(owner)
    if targets is None:
        return
    call = AttentionCall(query, key, mask, is_causal, scale, softcap, window)

    def measure() -> None:
        numbers = sampled(call, rows, now[1], threshold) if rows else exact(call, threshold)
        write(target, numbers[: len(target)], now[:1])

    targets.faults.run("attention in compiled code", measure)


def _emit(value: Tensor, name: str, owner: int, now: Tensor, target: Tensor) -> None:
    """Implement the operator `holter::emit`."""
    targets = _targets.get(owner)
    if not isinstance(targets, EmitTargets):
        return
    if name not in targets.metrics:
        targets.metrics.append(name)
    row = targets.metrics.index(name)
    if row < len(target):
        write(target[row : row + 1], value.reshape(1), now[:1])


def _meta(*_arguments: object) -> None:
    """Implement the operators for tracing: they have no result."""


for _name, _function in (("attend", _attend), ("emit", _emit)):
    _library.impl(_name, _function, "CompositeExplicitAutograd")
    _library.impl(_name, _meta, "Meta")


def _static(tensor: Tensor) -> Tensor:
    torch._dynamo.mark_static_address(tensor, guard=False)  # noqa: SLF001  no public API; CUDA graphs need it
    torch._dynamo.mark_static(tensor)  # noqa: SLF001  its size never changes either
    return tensor


def _precise(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
