"""Several operations one after another, each on its own random part of the samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from ganaudit.document.errors import ConfigError
from ganaudit.numerics.randomness import uniforms as counter_uniforms
from ganaudit.training.augmentation.operations import OPERATIONS, Kind, Operation

__all__ = ["Pipeline"]

_BELOW_ONE = 1.0 - 2.0**-24
_Options = Mapping[str, Mapping[str, int | float]]


class Pipeline:
    """Operations of ``OPERATIONS`` by name, always in that table's order, whatever the order of ``names``.

    ``options`` gives an operation's options by its name; what is left out has its default. Every operation acts on a
    sample with the probability that ``apply`` is given, independently of the others. Raises ConfigError, all problems
    at once: unknown, repeated or unfitting operations, unknown options, values out of range.
    """

    def __init__(self, names: Iterable[str], options: _Options | None = None, *, kind: Kind = "image") -> None:
        names, options = list(names), options or {}
        if problems := [*_name_problems(names, kind), *_option_problems(names, options)]:
            raise ConfigError(problems)
        self.kind: Kind = kind
        self._steps: list[tuple[Operation, dict[str, int | float]]] = [
            (
                operation,
                {key: option.default for key, option in operation.options.items()} | dict(options.get(name, {})),
            )
            for name, operation in OPERATIONS.items()
            if name in names
        ]

    @property
    def draws(self) -> int:
        """Return how many uniform draws a sample needs: for each operation one for whether it acts and its law's."""
        return sum(1 + operation.draws for operation, _ in self._steps)

    @property
    def laws(self) -> tuple[str, ...]:
        """Return what each operation does to the samples that it acts on, in words, in order."""
        return tuple(f"{operation.name}: {operation.law.format(**options)}" for operation, options in self._steps)

    def draw(self, seed: int, stream: int, start: int, count: int) -> Tensor:
        """Return uniform draws (count, draws) float32 of rows ``start`` on; row i depends on (seed, stream, i) alone.

        Raises ValueError as ``numerics.randomness.uniforms`` does.
        """
        if not self._steps:
            return torch.empty(count, 0)
        return torch.from_numpy(counter_uniforms(seed, stream, start, count, self.draws)).float()

    def apply(self, x: Tensor, uniforms: Tensor, probability: Tensor | float = 1.0) -> Tensor:
        """Return the samples augmented; those on which no operation acts are returned bit for bit.

        ``uniforms`` (B, draws) on the device of ``x``, in float32 or float64. ``probability`` in 0..1 may be a scalar
        tensor on the device: nothing is read back and all shapes are fixed. Twice differentiable in ``x``, whose
        layout is kept; computed in its dtype, outside autocast. Raises ValueError for other shapes and for a
        number that is no probability.
        """
        self._check(x, uniforms, probability)
        if not self._steps or (isinstance(probability, float | int) and probability == 0):
            return x
        # In float32 the largest draws round to 1, which no law has and on which nothing would act at probability 1.
        uniforms = uniforms.clamp_max(_BELOW_ONE)
        y, column = x, 0
        with torch.autocast(x.device.type, enabled=False):
            for operation, options in self._steps:
                u = uniforms[:, column : column + 1 + operation.draws]
                acts = (u[:, 0] < probability).view(-1, *[1] * (x.dim() - 1))
                y = torch.where(acts, operation.function(y, u[:, 1:], **options), y)
                column += 1 + operation.draws
        return y.contiguous(memory_format=_layout(x))

    def _check(self, x: Tensor, uniforms: Tensor, probability: Tensor | float) -> None:
        axes = "(samples, channels, height, width)" if self.kind == "image" else "(samples, channels, time)"
        if x.dim() != axes.count(",") + 1:
            raise ValueError(f"x: found shape {tuple(x.shape)}; allowed: {axes}")
        if uniforms.shape != (len(x), self.draws):
            raise ValueError(f"uniforms: found shape {tuple(uniforms.shape)}; allowed: {(len(x), self.draws)}")
        if isinstance(probability, Tensor):
            if probability.dim():
                raise ValueError(f"probability: found shape {tuple(probability.shape)}; allowed: a scalar")
        elif not 0.0 <= probability <= 1.0:
            raise ValueError(f"probability: found {probability}; allowed: 0 to 1")


def _layout(x: Tensor) -> torch.memory_format:
    last = x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _name_problems(names: Sequence[str], kind: Kind) -> list[str]:
    allowed = ", ".join(name for name, operation in OPERATIONS.items() if operation.kind == kind)
    problems = [
        f"augmentation: found {name!r}; allowed for {kind}: {allowed}"
        for name in dict.fromkeys(names)
        if name not in OPERATIONS or OPERATIONS[name].kind != kind
    ]
    repeated = sorted({name for name in names if names.count(name) > 1})
    return problems + [f"augmentation: found {name!r} more than once; allowed: once" for name in repeated]


def _option_problems(names: Sequence[str], options: _Options) -> list[str]:
    problems = []
    for name, given in options.items():
        if name not in names:
            problems.append(f"augmentation.{name}: options of an operation that is not used; used: {list(names)}")
        elif name in OPERATIONS:
            known = OPERATIONS[name].options
            for key, value in given.items():
                found = known[key].problem(value) if key in known else f"unknown option; allowed: {sorted(known)}"
                problems += [f"augmentation.{name}.{key}: {found}"] if found else []
    return problems
