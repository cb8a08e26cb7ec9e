"""What two numbers of two audits were both drawn from, and the interval of their difference."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from ganaudit.document.details import Record
from ganaudit.document.error_parts import Pairing, pairing
from ganaudit.document.model import AuditDocument, Measurement

__all__ = ["Draws", "Shared", "difference_bounds", "draws_of", "pair_of", "same_latents", "shared"]

_LEAST = 1e-3
"""Of the width without pairing, what is kept of it: features of two machines differ by rounding, which is no chance."""


class Draws(Record):
    """What an audit drew its samples from."""

    reals: str
    """Digest of the split of real samples."""
    latents: str | None = None
    """The latent space; null where there is no generator or no latent."""
    has_generator: bool = True
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What two numbers were both drawn from."""

    parts: frozenset[str]
    """Of ``real``, ``fake`` and ``both``."""
    words: str
    """In words; empty where nothing is shared."""


def draws_of(document: AuditDocument) -> Draws:
    """Return what an audit drew its samples from."""
    reference, seed = document.reference, document.plan.get("seed")
    split = reference.splits.get(reference.against)
    return Draws(
        reals=split.digest if split is not None else f"{reference.digest} {reference.against}",
        latents=document.subject.latent,
        has_generator=document.subject.has_generator,
        seed=seed if isinstance(seed, int) else None,
    )


def shared(a: Draws, b: Draws, ours: Measurement, theirs: Measurement) -> Shared:
    """Return which samples two numbers of two audits were both drawn from.

    Real samples: the same split, all of it. Latents: sample i is made from (seed, i) alone, so equal seeds and equal
    latent spaces give both generators the same latents.
    """
    parts, words = set(), []
    sizes = [(one.sizes.get("real"), one.sizes.get("fake")) for one in (ours, theirs)]
    if sizes[0][0] is not None and sizes[0][0] == sizes[1][0] and a.reals == b.reals:
        parts.add("real")
        words.append(f"the same {sizes[0][0]} real samples")
    seed, _ = same_latents(a, b)
    if seed is not None and sizes[0][1] is not None and sizes[0][1] == sizes[1][1]:
        parts.add("fake")
        words.append(f"the same {sizes[0][1]} latents (seed {seed})")
    if {"real", "fake"} <= parts:
        parts.add("both")
    return Shared(frozenset(parts), " and ".join(words))


def pair_of(a: Draws, b: Draws, ours: Measurement, theirs: Measurement) -> Pairing | None:
    """Return how the errors of two numbers go together, or None where they count as independent."""
    if ours.error_parts is None or theirs.error_parts is None:
        return None
    return pairing(ours.error_parts, theirs.error_parts, shared(a, b, ours, theirs).parts)


def same_latents(a: Draws, b: Draws) -> tuple[int | None, str]:
    """Return the seed from which sample i of both audits has the same latent, and that in words; else None and why."""
    without = [name for name, d in (("A", a), ("B", b)) if not d.has_generator]
    if without:
        named = f"{' and '.join(without)} {'is' if len(without) == 1 else 'are'} samples only"
        return None, f"no latents to pair by: {named}"
    if a.latents is None or a.latents != b.latents:
        return None, f"other latents: A has {a.latents or 'none'}, B has {b.latents or 'none'}"
    if a.seed is None or a.seed != b.seed:
        return None, f"other latents: A has seed {a.seed}, B has seed {b.seed}; audit both with one --seed"
    return a.seed, f"same latents: seed {a.seed}"


def difference_bounds(ours: Measurement, theirs: Measurement, pair: Pairing | None) -> tuple[float, float]:
    """Return the interval of ``theirs`` less ``ours`` from the interval of each and how their errors go together.

    d = b - a; low d - (l_b^2 + u_a^2 - 2 rho l_b u_a)^(1/2), high d + (u_b^2 + l_a^2 - 2 rho u_b l_a)^(1/2), l and u
    the distances of a number from the ends of its interval: for symmetric intervals the widths add in squares less what
    the errors share; unequal ends, as of a share near 1, keep their sides. At the confidence of both intervals. rho is
    the correlation of the errors, 0 where ``pair`` is None. Influences count the second order twice, which makes rho
    too large where one number is at its null and the other is not; so no half is less than z times the root of the
    variance of the difference itself, which then errs to the wide side, or the half for rho = 0 where that is less. A
    thousandth of the latter is left in any case, so that what rounding moves is not told as a movement.
    Source: Newcombe 1998, method 10; Zou and Donner 2008 (variance estimates recovery).
    """
    (a, la, ua), (b, lb, ub) = _reach(ours), _reach(theirs)
    rho, least = 0.0, 0.0
    if pair is not None:
        assert ours.interval is not None
        rho = pair.correlation
        least = NormalDist().inv_cdf((1 + ours.interval.level) / 2) * math.sqrt(pair.variance)
    low, high = (
        max(
            math.sqrt(max(0.0, x * x + y * y - 2 * rho * x * y)),
            min(least, math.hypot(x, y)),
            _LEAST * math.hypot(x, y),
        )
        for x, y in ((lb, ua), (ub, la))
    )
    return b - a - low, b - a + high


def _reach(found: Measurement) -> tuple[float, float, float]:
    assert found.value is not None
    assert found.interval is not None
    # A value beyond its own interval, as a bootstrap may give, has no distance on that side.
    return found.value, max(0.0, found.value - found.interval.low), max(0.0, found.interval.high - found.value)
