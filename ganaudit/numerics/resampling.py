"""How generated samples would be chosen by the critic's score: what is left in it to gain from.

Scores are read as log p_real(x)/p_fake(x) in nats; a critic whose scores are not (see ``recalibration``) chooses a
different law.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import vector, whole

__all__ = [
    "area_left",
    "effective_share",
    "metropolis_acceptance",
    "metropolis_chain",
    "metropolis_rate",
    "rejection_acceptance",
    "shares_by_score",
]


def rejection_acceptance(scores: Tensor, gamma: float = 0.0, epsilon: float = 0.0) -> Tensor:
    """Return the probability of keeping each sample of scores (N,) in discriminator rejection sampling, (N,) float64.

    sigmoid(F - gamma), F = d - log(1 - exp(d - epsilon)), d the score less the greatest. With both 0 that is exp(d),
    the density ratio over its greatest value: what is kept then follows the law of the reals, if the greatest score
    of these samples is the greatest there is. A higher ``gamma`` keeps fewer, a lower one more at the cost of that.
    Raises ValueError when ``scores`` is not a vector of 1 or more finite scores, ``gamma`` is not finite or
    ``epsilon`` is below 0.
    Source: Azadi et al. 2019, arXiv:1810.06758.
    """
    values = vector(scores, "scores", least=1)
    if not np.isfinite(gamma):
        raise ValueError(f"gamma: found {gamma}; allowed: finite")
    if not 0 <= epsilon < np.inf:
        raise ValueError(f"epsilon: found {epsilon}; allowed: 0 or more, finite")
    d = values - values.max()
    # At the greatest score with epsilon 0 the logarithm is of 0, F is infinite and the sample is kept: as it should be.
    kept: Tensor = torch.sigmoid(d - torch.log(-torch.expm1(d - epsilon)) - gamma)
    return kept


def metropolis_acceptance(current: Tensor, proposed: Tensor) -> Tensor:
    """Return the probability of moving from each score ``current`` (N,) to ``proposed`` (N,), (N,) float64.

    min(1, exp(proposed - current)), the ratio of p_real/p_fake at the two: (1/D - 1)/(1/D' - 1) for D = sigmoid.
    Raises ValueError when either is not a vector of 1 or more finite scores or their lengths differ.
    Source: Turner et al. 2019, arXiv:1811.11357.
    """
    now, then = vector(current, "current", least=1), vector(proposed, "proposed", least=1)
    if len(now) != len(then):
        raise ValueError(f"proposed: found {len(then)} scores; allowed: {len(now)}, as in current")
    return (then - now).clamp(max=0).exp()


def metropolis_chain(scores: Tensor, length: int, rng: np.random.Generator) -> Tensor:
    """Return the samples that a Metropolis-Hastings chain over ``scores`` (N,) visits, (length,) int64 numbers.

    It starts at a sample drawn evenly; each step proposes another draw and moves as ``metropolis_acceptance`` says.
    In the long run each sample is visited in proportion to exp(score); the first steps still remember the start.
    Raises ValueError when ``scores`` is not a vector of 1 or more finite scores or ``length`` is below 1.
    """
    values = vector(scores, "scores", least=1).cpu().numpy()
    proposals = rng.integers(0, len(values), size=whole(length, "length", least=1))
    draws = np.log1p(-rng.random(length))
    visited = np.empty(length, dtype=np.int64)
    at = proposals[0]
    for step, (proposal, draw) in enumerate(zip(proposals, draws, strict=True)):
        at = proposal if draw < values[proposal] - values[at] else at
        visited[step] = at
    return torch.from_numpy(visited)


def shares_by_score(scores: Tensor) -> Tensor:
    """Return the share of each sample of scores (N,) among those chosen, (N,) float64, sum 1: exp(score) over its sum.

    It is the law that rejection sampling with ``gamma`` and ``epsilon`` 0 and the Metropolis-Hastings chain both draw
    from; that of the reals where scores are log p_real/p_fake.
    Raises ValueError when ``scores`` is not a vector of 1 or more finite scores.
    """
    shares: Tensor = torch.softmax(vector(scores, "scores", least=1), 0)
    return shares


def effective_share(scores: Tensor) -> float:
    """Return how many equally chosen samples those chosen are worth, over N; 1/N to 1, from scores (N,).

    1/(N sum w²), w the shares of ``shares_by_score``: 1 where all scores are equal. Biased upwards where the greatest
    ratio is rare.
    Raises ValueError when ``scores`` is not a vector of 1 or more finite scores.
    Source: Kong 1992 (effective sample size).
    """
    shares = shares_by_score(scores)
    return 1 / (len(shares) * float(shares.square().sum()))


def metropolis_rate(scores: Tensor) -> float:
    """Return the share of proposals that a Metropolis-Hastings chain over scores (N,) accepts in the long run, 0 to 1.

    sum over i and j of min(w_i, w_j)/N, w the shares of ``shares_by_score``: exact for these samples, proposals drawn
    evenly (a sample may be proposed to itself). One sort.
    Raises ValueError when ``scores`` is not a vector of 1 or more finite scores.
    Source: Turner et al. 2019, arXiv:1811.11357.
    """
    shares = shares_by_score(scores).sort().values
    n = len(shares)
    # The k-th smallest share is the smaller one in 2(n - k) + 1 of the pairs that no smaller share is in.
    pairs = 2 * torch.arange(n - 1, -1, -1, dtype=shares.dtype, device=shares.device) + 1
    return float((shares * pairs).sum()) / n


def area_left(real: Tensor, fake: Tensor) -> float:
    """Return P(real score > chosen fake score) + P(equal)/2 from scores (N,) and (M,), fakes chosen by their score.

    Fake j has the weight of ``shares_by_score``. 1/2 where the score no longer tells chosen fakes from reals, as when
    it is log p_real/p_fake; below where choosing overdoes it, above where it falls short.
    Raises ValueError when a side is not a vector of 1 or more finite scores.
    """
    reals, fakes = vector(real, "real", least=1), vector(fake, "fake", least=1).sort().values
    below = torch.cat([fakes.new_zeros(1), shares_by_score(fakes).cumsum(0)])
    under, up_to = (below[torch.searchsorted(fakes, reals.contiguous(), right=right)] for right in (False, True))
    return float((under + up_to).mean()) / 2
