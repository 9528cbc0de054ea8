"""What probes see from inside code that torch.compile has compiled: tensors that the compiled code itself writes.

Compiled code runs no Python of ours, so each thing to be seen has a small tensor of its own, made before anything is
compiled, whose address never changes (CUDA graphs need that). Each place in it is a pair: a value, and the tick it was
written at. A place whose tick is not the step's was not written in this step, and is absent. A pair that has the tick
already is not written again: the first micro-batch counts, and a recomputation under checkpointing does not.

Which layer an attention call belongs to is known from the same hooks as in eager code; but a list of the modules that
are being run would be a side effect, which a checkpointed region must not have. So a call leaves its numbers in the
device's mailbox, and the module that is being left takes them from there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from holter.torch._attention_math import AttentionCall, exact, offset_of, sampled

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from torch import Tensor, nn

    from holter.torch._faults import Faults

_LARGEST_TICK = 1 << 20
"""Ticks are kept as float32, which has every integer up to 2^24."""

_numbers = itertools.count()
_pulses: dict[int, Pulse] = {}

# torch has no types for its libraries of operators.
_library: Any = torch.library.Library("holter", "DEF")  # type: ignore[no-untyped-call]
_library.define(
    "attend(Tensor query, Tensor key, Tensor? mask, bool is_causal, float? scale, float? softcap, int? window, "
    "int rows, float threshold, int pulse, Tensor now, Tensor(a!) target) -> ()"
)
_library.define("emit(Tensor value, str name, int pulse, Tensor now, Tensor(a!) target) -> ()")


@dataclass(eq=False)
class Site:
    """One tensor that compiled code writes.

    Attributes:
        names: what its places are called. There may be fewer of them than places, and more with time.
        target: float32 `[places, 2]`, value and tick.
        keys: under which eager code puts the same values.
    """

    names: Iterable[str]
    target: Tensor
    keys: tuple[tuple[str, ...], ...]

    def is_seen(self, values: Container[tuple[str, ...]]) -> bool:
        """Whether eager code has put values under all of these names."""
        return bool(self.keys) and all(key in values for key in self.keys)


@dataclass(eq=False)
class Pulse:
    """One kind of probes of one watch, as compiled code sees it.

    Attributes:
        faults: where failures inside the custom operators go.
        number: tells pulses apart; also the custom operators' handle.
        attribute: under which a module holds its target. It is the same for all modules, so that a block that is
            compiled once for all layers is not compiled anew for each.
        is_active: whether this step is looked at. Compiled code has one variant of its graphs for each.
        now: by device, float64 `[2]`: tick and offset of the step under way.
        mailbox: by device, a target for attention calls.
        fallback: the device of modules without parameters.
        sites: every target.
    """

    faults: Faults
    is_active: bool = False
    now: dict[torch.device, Tensor] = field(default_factory=dict)
    mailbox: dict[torch.device, Tensor] = field(default_factory=dict)
    fallback: torch.device = field(default_factory=lambda: torch.device("cpu"))
    sites: list[Site] = field(default_factory=list)
    tick: int = 1

    def __post_init__(self) -> None:
        self.number = next(_numbers)
        self.attribute = f"_holter_{self.number}"
        self._modules: list[nn.Module] = []
        _pulses[self.number] = self

    def add(self, module: nn.Module, names: Iterable[str], places: int, *keys: tuple[str, ...]) -> None:
        """Give a module its target, of so many places, on its parameters' device."""
        device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), self.fallback)
        if device.type == "meta":
            return
        if device not in self.now:
            self.now[device] = _static(torch.zeros(2, dtype=_precise(device), device=device))
            self.mailbox[device] = _static(torch.zeros(places, 2, device=device))
            self._show(device, 0)
        target = _static(torch.zeros(places, 2, device=device))
        module.__dict__[self.attribute] = target
        self._modules.append(module)
        self.sites.append(Site(names, target, keys))

    @property
    def awaited(self) -> list[Site]:
        """The sites that may have been written."""
        return self.sites

    def begin(self, step: int, *, is_active: bool) -> None:
        """A step begins."""
        self.is_active = is_active
        if is_active and self.sites:
            self.tick = self.tick % _LARGEST_TICK + 1
            for device in self.now:
                self._show(device, step)

    def close(self) -> None:
        """Take the targets off the modules. Code compiled with them is compiled anew when it is next run."""
        self.is_active = False
        for module in self._modules:
            module.__dict__.pop(self.attribute, None)
        self._modules.clear()
        self.sites.clear()
        _pulses.pop(self.number, None)

    def target_of(self, module: nn.Module) -> Tensor | None:
        """A module's target; None while this step is not looked at, or for a module without one."""
        if not (self.is_active and module.training and torch.is_grad_enabled()):
            return None
        target: Tensor | None = getattr(module, self.attribute, None)
        return target

    def _show(self, device: torch.device, step: int) -> None:
        # Filling takes its value as an argument: no copy from the host, which the device would have to wait for.
        now = self.now[device]
        now[0].fill_(self.tick)
        now[1].fill_(offset_of(step))


@dataclass(eq=False)
class AttentionPulse(Pulse):
    """The pulse of attention: what the hooks and the patched functions do while they are compiled.

    Attributes:
        rows: how many queries of each call are looked at; 0 for all.
        threshold: a weight counts as large above it.
    """

    rows: int = 32
    threshold: float = 0.1

    def enter(self, module: nn.Module) -> None:
        """A module that attends begins: what is in the mailbox is not its own."""
        target = self.target_of(module)
        if target is not None:
            with torch.no_grad():
                self.mailbox[target.device].zero_()

    def leave(self, module: nn.Module) -> None:
        """A module that attends ends: what is in the mailbox is its own."""
        target = self.target_of(module)
        if target is not None:
            with torch.no_grad():
                mailbox = self.mailbox[target.device]
                write(target, mailbox[:, 0], mailbox[:, 1:])
                mailbox.zero_()

    def attend(self, call: AttentionCall | None, module: nn.Module | None = None) -> None:
        """An attention call passes by, of this module or of the one that is being run."""
        if call is None or call.adjust is not None or not self.is_active or not torch.is_grad_enabled():
            return  # a function of the user's is no argument of an operator
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


@dataclass(eq=False)
class ProbePulse(Pulse):
    """The pulse of probes: what their hooks do while they are compiled."""

    def put(self, target: Tensor, place: int, value: Tensor) -> None:
        """Write one place of a module's target."""
        if value.device == target.device:
            write(target[place : place + 1], value.reshape(1), self.now[target.device][:1])


@dataclass(eq=False)
class EmitPulse(Pulse):
    """The pulse of what modules emit.

    How many metrics that will be is not known beforehand. Where compiled code has emitted more than there are places
    for, there are more from the next step on; it is compiled anew for that, once.

    Attributes:
        emitted: the metrics that compiled code has emitted so far, in the order of their places.
    """

    emitted: list[str] = field(default_factory=list)

    def begin(self, step: int, *, is_active: bool) -> None:
        """A step begins."""
        if self.sites and len(self.emitted) > len(self.sites[0].target):
            self._make_room()
        super().begin(step, is_active=is_active)

    @property
    def awaited(self) -> list[Site]:
        """The sites, if any compiled code has emitted anything yet."""
        return self.sites if self.emitted else []

    def emit(self, target: Tensor, metric: str, value: Tensor | None) -> None:
        """A module names one number; without gradients."""
        if value is not None and value.device == target.device:
            torch.ops.holter.emit(value.float(), metric, self.number, self.now[target.device], target)

    def _make_room(self) -> None:
        places = 1 << (len(self.emitted) - 1).bit_length()
        for module, site in zip(self._modules, self.sites, strict=True):
            site.target = _static(torch.zeros(places, 2, device=site.target.device))
            module.__dict__[self.attribute] = site.target


def write(target: Tensor, values: Tensor, tick: Tensor) -> None:
    """Put values and their tick into a target, except where that tick is there already, and except tick 0."""
    ticks = tick.reshape(-1).to(torch.float32).expand_as(values)
    fresh = torch.stack((values.to(torch.float32), ticks), dim=1)
    target.copy_(torch.where((target[:, 1:] == fresh[:, 1:]) | (fresh[:, 1:] == 0.0), target, fresh))


def _attend(  # noqa: PLR0917  an operator's arguments come by position
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    is_causal: bool,  # noqa: FBT001  as above
    scale: float | None,
    softcap: float | None,
    window: int | None,
    rows: int,
    threshold: float,
    pulse: int,
    now: Tensor,
    target: Tensor,
) -> None:
    """The operator `holter::attend`, as it runs: the same mathematics as in eager code."""
    owner = _pulses.get(pulse)
    if owner is None:
        return
    call = AttentionCall(query, key, mask, is_causal, scale, softcap, window)

    def measure() -> None:
        numbers = sampled(call, rows, now[1], threshold) if rows else exact(call, threshold)
        write(target, numbers[: len(target)], now[:1])

    owner.faults.run("attention in compiled code", measure)


def _emit(value: Tensor, name: str, pulse: int, now: Tensor, target: Tensor) -> None:
    """The operator `holter::emit`, as it runs."""
    owner = _pulses.get(pulse)
    if not isinstance(owner, EmitPulse):
        return
    if name not in owner.emitted:
        owner.emitted.append(name)
    place = owner.emitted.index(name)
    if place < len(target):
        write(target[place : place + 1], value.reshape(1), now[:1])


def _nothing(*_arguments: object) -> None:
    """What an operator without a result does while code is traced."""


for _name, _function in (("attend", _attend), ("emit", _emit)):
    _library.impl(_name, _function, "CompositeExplicitAutograd")
    _library.impl(_name, _nothing, "Meta")


def is_capturing() -> bool:
    """Whether the program itself is capturing a CUDA graph of its own.

    Python runs only once then and its tensors belong to the graph, so probes in eager code keep still.
    """
    cuda: Any = torch.cuda
    return bool(cuda.is_initialized() and cuda.is_current_stream_capturing())


def is_out_of_reach() -> bool:
    """Whether tensors of the forward pass that runs now must not be kept: in a capture, or inside torch.func."""
    return torch._C._functorch.peek_interpreter_stack() is not None or is_capturing()  # noqa: SLF001  there is no other


def _static(tensor: Tensor) -> Tensor:
    torch._dynamo.mark_static_address(tensor, guard=False)  # noqa: SLF001  the only way to tell CUDA graphs
    torch._dynamo.mark_static(tensor)  # noqa: SLF001  nor does its size ever change
    return tensor


def _precise(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64
