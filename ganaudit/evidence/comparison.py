"""Two sides of the evidence, compared by the Fréchet distance as far as their samples or statistics allow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ganaudit.document.model import Null
from ganaudit.document.spec import NotAssessable
from ganaudit.evidence.view import View
from ganaudit.numerics.frechet import Divisor, frechet_distance
from ganaudit.numerics.frechet_extrapolation import samples_needed
from ganaudit.numerics.frechet_inference import FrechetEstimate, Side, estimated_frechet_distance
from ganaudit.numerics.intervals import normal
from ganaudit.numerics.moments import Moments

__all__ = ["UNKNOWN", "Comparison", "fitted"]

UNKNOWN = (
    "the statistics do not say how many samples they come from, so neither bias nor chance on their side is known; "
    "give the number by an array n beside mu and sigma in the .npz"
)
"""Why published statistics without their number of samples give fd alone."""
_NAMED = {"real": "real", "fake": "generated"}
_CONSTANT = 1e-24  # of the squared mean: a smaller variance is rounding


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One side of reals against one that should look like them."""

    features: int
    n_real: int | None
    n_fake: int
    is_published: bool
    """Whether of the reals only a mean and a covariance are at hand."""
    distance: float
    """The plug-in distance, with the divisor that was asked for."""
    real_moments: Moments | None
    """None where there are too few samples to be worth their moments."""
    fake_moments: Moments | None
    estimate: FrechetEstimate | None
    """None where there are too few samples, or published statistics do not tell how many theirs are."""

    @classmethod
    def of(cls, view: View, real: str, fake: str, divisor: Divisor, rng: np.random.Generator) -> Comparison:
        """Return the comparison of two sides of the evidence, and of nulls without reading every sample."""
        one, other = fitted(view, real), fitted(view, fake)
        n_real, n_fake = (len(side) if isinstance(side, Tensor) else side.n for side in (one, other))
        assert n_fake is not None
        if n_real is not None and n_real < 2:
            raise NotAssessable(f"needs at least 2 real samples; there are {n_real}")
        is_published = view.missing(f"features/{real}") is not None
        estimate = None
        if isinstance(one, Moments) and isinstance(other, Moments) and n_real is not None:
            estimate = _estimate(view, real, fake, rng, is_published)
        plain = divisor == "n - 1" and estimate is not None
        divisors = ("n - 1" if is_published else divisor, divisor)
        return cls(
            features=len(one.mean) if isinstance(one, Moments) else one.shape[1],
            n_real=n_real,
            n_fake=n_fake,
            is_published=is_published,
            distance=estimate.plug_in if plain and estimate else frechet_distance(one, other, divisors),
            real_moments=one if isinstance(one, Moments) else None,
            fake_moments=other if isinstance(other, Moments) else None,
            estimate=estimate,
        )

    @property
    def sizes(self) -> dict[str, int]:
        """The samples of each side, as far as they are known."""
        return {"fake": self.n_fake} if self.n_real is None else {"real": self.n_real, "fake": self.n_fake}

    def unbiased(self, sizes: int) -> tuple[float, float] | None:
        """Return the distance without its bias, by 2 sizes or by a line through 3 or more, and its standard error."""
        if self.estimate is None:
            return None
        found = self.estimate if sizes == 2 else self.estimate.line
        if found is None:
            return None
        return found.value if isinstance(found, FrechetEstimate) else found.intercept, found.standard_error

    def why_not(self, sizes: int) -> str:
        """Return how many samples ``unbiased`` needs, and how many there are."""
        needed = samples_needed(self.features, sizes)
        found = " and ".join(f"{n} {_NAMED[side]}" for side, n in self.sizes.items())
        return f"needs {needed} samples of each side for {self.features} features; found {found}"

    @property
    def constant(self) -> str | None:
        """Why nothing tells how the distance scatters, where a side is one sample over and over."""
        for moments, name in ((self.real_moments, "real"), (self.fake_moments, "generated")):
            if moments is not None and moments.covariance.trace() <= _CONSTANT * moments.mean.square().sum():
                return f"all {name} samples are equal in their features: how the distance scatters cannot be seen"
        return None

    def as_null(self, rule: str) -> Null:
        """Return the distance between reals as the null of fd, with its spread where there are samples enough."""
        found = self.estimate
        if found is None or self.constant is not None:
            return Null(
                value=self.distance,
                n=self.n_fake,
                rule=f"{rule}; its spread is not known: {self.constant or self.why_not(2)}",
            )
        # Of the plug-in distance about its own expectation: fd carries the same bias.
        spread = normal(self.distance, found.plug_in_error, 0.95)
        return Null(value=self.distance, low=max(0.0, spread.low), high=spread.high, n=self.n_fake, rule=rule)


def fitted(view: View, side: str) -> Tensor | Moments:
    """Return the moments of a side, or its features where these are no more than their dimensions."""
    if view.missing(f"features/{side}") is None:
        features = view[f"features/{side}"]
        if len(features) <= features.shape[1]:
            return features
    return view.moments(side).total


def _estimate(view: View, real: str, fake: str, rng: np.random.Generator, is_published: bool) -> FrechetEstimate | None:
    moments = view.moments(fake)
    core, groups = moments.core.n, len(moments.groups)
    if groups < 2:
        return None
    assert core is not None

    def sampled(side: str) -> Side:
        found = Side.of(view[f"features/{side}"], view.moments(side), rng)
        return Side(found.moments, found.rows, lambda: view.blocks(f"features/{side}"))

    one = Side.drawn(view.moments(real).total, core, groups, rng) if is_published else sampled(real)
    return estimated_frechet_distance(one, sampled(fake), view.world, same_law=real.startswith("null"))
