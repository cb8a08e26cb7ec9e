"""Floating-point operations and bytes of a piece of work, seen where its operations reach the device.

Operations are seen one by one below autograd, so those of a backward pass, and of the backward pass through a gradient
that a penalty takes, are counted as they are done.
"""

from __future__ import annotations

import re
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

__all__ = ["Tally", "saved_bytes", "tallied"]

_ATEN = torch.ops.aten

# Formulas that torch's registry lacks: attention on a CPU, and products with a vector.
_AS: Mapping[Any, Any] = {
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _ATEN._scaled_dot_product_efficient_attention,
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: (
        _ATEN._scaled_dot_product_efficient_attention_backward
    ),
}
_OWN: Mapping[Any, Callable[..., int]] = {
    _ATEN.mv: lambda matrix, _: 2 * matrix.numel(),
    _ATEN.addmv: lambda _, matrix, *more, **named: 2 * matrix.numel(),
    _ATEN.dot: lambda vector, _: 2 * vector.numel(),
    _ATEN.vdot: lambda vector, _: 2 * vector.numel(),
}

# What does more than a few operations for each number it writes, where no formula is known: named, never passed over.
_HEAVY = re.compile(
    r"rnn|lstm|gru|fft|linalg|svd|(?<!w)eig|cholesky|solve|inverse|cdist|attention|grid_sampler|mm|mv|conv(?!ert)|linear"
)
_PLAIN_NAMESPACES = ("aten", "prim", "prims", "_c10d_functional")


@dataclass(frozen=True, slots=True)
class Tally:
    """What a piece of work did."""

    flops: int
    """Of matrix products, convolutions and attention; a multiplication and an addition are two."""
    written: int
    """Numbers written by operations without a formula: a few operations each, in no count."""
    uncounted: Mapping[str, int] = field(default_factory=dict)
    """Operations that do more than that and have no formula, by name, with how often they were called."""
    peak_bytes: int = 0
    """Most bytes at once of tensors that the work made; what an operation takes inside itself is not seen."""
    calls: int = 0
    """Operations seen; 0 where the work was done outside torch."""


def tallied(work: Callable[[], object]) -> Tally:
    """Return what ``work()`` did on any device, gradients included; its result is let go.

    Formulas are those of ``torch.utils.flop_counter``: 2 N Cout Ho Wo (Cin/groups) k^2 of a convolution, 2 n m k of a
    product of matrices, with those of their derivatives; here also attention on a CPU and products with a vector.
    Operations made of others are taken apart. What ``work`` raises is passed on.
    """
    seen = _Seen()
    with seen:
        work()
    return Tally(seen.flops, seen.written, dict(sorted(seen.uncounted.items())), seen.peak, seen.calls)


def saved_bytes(work: Callable[[], object], without: Iterable[Tensor] = ()) -> int:
    """Return the bytes that ``work()``, a forward pass, keeps for its backward pass, each tensor counted once.

    Tensors that share memory with one of ``without``, such as weights, are left out. The result of ``work`` must hold
    its graph, or what was kept is let go on the way and its place may be counted for another.
    """
    left_out = {tensor.untyped_storage().data_ptr() for tensor in without}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        made = work()
    del made
    return sum(size for place, size in kept.items() if place not in left_out)


class _Seen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what goes by."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.written = self.calls = self.peak = self._held = 0
        self.uncounted: Counter[str] = Counter()
        self._storages: dict[int, tuple[weakref.ref[Any], int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        packet = func._overloadpacket
        formula = _OWN.get(packet) or flop_registry.get(_AS.get(packet, packet))
        if formula is None:
            with self:
                apart = func.decompose(*args, **named)
            if apart is not NotImplemented:
                return apart
        for tensor in _tensors((*args, *named.values())):
            self._note(tensor, 0)  # it was there before, or is known
        made = func(*args, **named)
        self.calls += 1
        for tensor in _tensors((made,)):
            self._note(tensor, tensor.untyped_storage().nbytes())
        if packet in _OWN:
            self.flops += _OWN[packet](*args, **named)
        elif formula is not None:
            self.flops += formula(*args, **named, out_val=made)
        elif not func.is_view:
            self._passed_over(func, made)
        return made

    def _passed_over(self, func: Any, made: Any) -> None:
        self.written += sum(tensor.numel() for tensor in _tensors((made,)))
        name = func._schema.name.removeprefix("aten::")
        if _HEAVY.search(name) or func.namespace not in _PLAIN_NAMESPACES:
            self.uncounted[name] += 1

    def _note(self, tensor: Tensor, size: int) -> None:
        storage = tensor.untyped_storage()
        place = id(storage)
        if place not in self._storages:
            # A storage keeps its Python object for as long as anything, the graph of a backward pass too, holds it.
            self._storages[place] = weakref.ref(storage, lambda _: self._let_go(place)), size
            self._held += size
            self.peak = max(self.peak, self._held)

    def _let_go(self, place: int) -> None:
        self._held -= self._storages.pop(place)[1]


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
