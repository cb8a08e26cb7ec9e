"""The error of a number by groups of samples: from it two audits tell which of their errors they share."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field, FiniteFloat, field_validator

from ganaudit.document.details import Record

__all__ = ["ErrorParts", "Pairing", "pairing"]

_MOST = 200
_DIGITS = 6


class ErrorParts(Record):
    """What equal-numbered groups of samples add to the error of a number, in its unit.

    The sum of squares over all parts estimates the variance of the number to first order; the sum of products with the
    parts of another audit estimates the covariance, as far as both drew the same samples into the same groups.
    """

    scheme: str
    """How samples were put into groups; parts of unlike schemes have nothing to do with each other."""
    parts: dict[str, list[FiniteFloat]] = Field(min_length=1)
    """By what was drawn: ``real``, ``fake``, or ``both`` where one number stands for groups of each side."""

    @field_validator("parts")
    @classmethod
    def _are_few(cls, parts: dict[str, list[float]]) -> dict[str, list[float]]:
        unknown = sorted(set(parts) - {"real", "fake", "both"})
        if unknown or sum(map(len, parts.values())) > _MOST:
            found = f"{sum(map(len, parts.values()))} numbers of {', '.join(sorted(parts))}"
            raise ValueError(f"parts: found {found}; allowed: at most {_MOST} numbers of real, fake and both")
        return parts

    @classmethod
    def of(cls, scheme: str, parts: Mapping[str, Sequence[float]]) -> ErrorParts:
        """Return the parts, each number rounded to six significant digits, about those of float32."""
        return cls(scheme=scheme, parts={k: [float(f"{x:.{_DIGITS}g}") for x in xs] for k, xs in parts.items()})


@dataclass(frozen=True, slots=True)
class Pairing:
    """How the errors of two numbers go together."""

    correlation: float
    """In [-1, 1]."""
    variance: float
    """Of the difference of the two numbers, in their squared unit."""


def pairing(one: ErrorParts, other: ErrorParts, shared: Collection[str]) -> Pairing | None:
    """Return how two numbers' errors go together, given which parts both audits drew alike.

    With x, y the parts of both: correlation sum over shared parts of <x, y> / (|x| |y|), the norms over all parts;
    variance |x - y|^2 over shared parts plus |x|^2 + |y|^2 over the others, which count as independent. None where
    nothing is shared, an error is 0, or the parts cannot be set against each other: unlike schemes or lengths.
    """
    if one.scheme != other.scheme or set(one.parts) != set(other.parts):
        return None
    pairs = [(one.parts[name], other.parts[name]) for name in sorted(shared) if name in one.parts]
    if not pairs or any(len(x) != len(y) for x, y in pairs):
        return None
    norms = [math.hypot(*(x for part in held.parts.values() for x in part)) for held in (one, other)]
    if not all(norms):
        return None
    # Divided first: tiny errors of tiny units must not underflow together.
    found = math.fsum(x / norms[0] * (y / norms[1]) for xs, ys in pairs for x, y in zip(xs, ys, strict=True))
    differences = [x - y for xs, ys in pairs for x, y in zip(xs, ys, strict=True)]
    apart = [x for held in (one, other) for name, part in held.parts.items() if name not in shared for x in part]
    return Pairing(max(-1.0, min(1.0, found)), math.fsum(d * d for d in [*differences, *apart]))
