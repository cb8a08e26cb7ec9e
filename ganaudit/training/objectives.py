"""Adversarial objectives: losses of raw responses, larger response for more real.

Every loss is a sum of means over all entries of the responses, so an objective that works entry by entry
(``entrywise``) also takes a discriminator's response maps. Half precision is raised to float32 first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, relu, softplus

__all__ = [
    "OBJECTIVES",
    "Hinge",
    "LeastSquares",
    "NonSaturating",
    "Objective",
    "RelativisticPairing",
    "Saturating",
    "Softmax",
    "Wasserstein",
]


class Objective(Protocol):
    """The game's two losses. It has no state; every loss is a scalar that its player minimises."""

    needs_real: ClassVar[bool]
    """Whether the generator's loss reads the responses to real samples."""
    entrywise: ClassVar[bool]
    """Whether responses of any shape (B, ...) are taken entry by entry, response maps among them."""
    boundary: ClassVar[float | None]
    """The score above which a sample is judged real; None where the losses do not fix one."""

    def discriminator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the discriminator's loss."""
        ...

    def generator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the generator's loss."""
        ...

    def outputs(self, classes: int) -> int:
        """Return how many logits the discriminator must give for data of so many classes (0 = without labels)."""
        ...

    def score(self, logits: Tensor) -> Tensor:
        """Return one score (B,) per sample of logits (B,) or (B, outputs), larger for more real."""
        ...


@dataclass(frozen=True)
class _OneLogit:
    """What the objectives of one logit have in common."""

    needs_real: ClassVar[bool] = False
    entrywise: ClassVar[bool] = True
    boundary: ClassVar[float | None] = 0.0

    def outputs(self, classes: int) -> int:
        """Return 1, whatever the number of classes."""
        return 1

    def score(self, logits: Tensor) -> Tensor:
        """Return the logit (B,) itself; ValueError when there are several."""
        if logits.dim() == 1:
            return logits
        if logits.dim() != 2 or logits.shape[1] != 1:
            raise ValueError(f"logits: found shape {tuple(logits.shape)}; allowed: (samples,) or (samples, 1)")
        return logits[:, 0]


@dataclass(frozen=True)
class NonSaturating(_OneLogit):
    """Binary cross-entropy with sigmoid; the generator makes its samples likely real.

    Discriminator: E softplus(-real) + E softplus(fake); log 4 at equal responses of 0. Generator: E softplus(-fake),
    whose gradient does not vanish where the discriminator wins.
    Source: Goodfellow et al., Generative Adversarial Nets, 2014, arXiv:1406.2661, section 3.
    """

    def discriminator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return E softplus(-real) + E softplus(fake)."""
        return softplus(-_wide(real)).mean() + softplus(_wide(fake)).mean()

    def generator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return E softplus(-fake) = -E log sigmoid(fake)."""
        return softplus(-_wide(fake)).mean()


@dataclass(frozen=True)
class Saturating(NonSaturating):
    """Binary cross-entropy with sigmoid as a zero-sum game: the generator makes its samples unlikely generated.

    Generator: -E softplus(fake) = E log(1 - sigmoid(fake)), unbounded below; its gradient vanishes where the
    discriminator wins. The discriminator's loss is that of ``NonSaturating``.
    Source: Goodfellow et al. 2014, arXiv:1406.2661, equation 1.
    """

    def generator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return -E softplus(fake)."""
        return -softplus(_wide(fake)).mean()


@dataclass(frozen=True)
class LeastSquares(_OneLogit):
    """Squared distance to the targets 1 (real) and 0 (generated), with the factor 1/2 on both losses.

    Discriminator: E (real - 1)^2 / 2 + E fake^2 / 2. Generator: E (fake - 1)^2 / 2. A score is judged real above 1/2.
    Source: Mao et al., Least Squares Generative Adversarial Networks, 2017, arXiv:1611.04076.
    """

    boundary: ClassVar[float | None] = 0.5

    def discriminator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return E (real - 1)^2 / 2 + E fake^2 / 2."""
        return 0.5 * (_wide(real) - 1.0).square().mean() + 0.5 * _wide(fake).square().mean()

    def generator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return E (fake - 1)^2 / 2."""
        return 0.5 * (_wide(fake) - 1.0).square().mean()


@dataclass(frozen=True)
class Hinge(_OneLogit):
    """Margins of 1 for the discriminator, the raw response for the generator.

    Discriminator: E max(0, 1 - real) + E max(0, 1 + fake). Generator: -E fake.
    Source: Lim and Ye, Geometric GAN, 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957.
    """

    def discriminator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return E max(0, 1 - real) + E max(0, 1 + fake)."""
        return relu(1.0 - _wide(real)).mean() + relu(1.0 + _wide(fake)).mean()

    def generator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return -E fake."""
        return -_wide(fake).mean()


@dataclass(frozen=True)
class Wasserstein(_OneLogit):
    """Difference of mean responses; a distance only while the discriminator is kept 1-Lipschitz by other means.

    Discriminator: E fake - E real. Generator: -E fake. A constant may be added to all responses at no cost, so there
    is no boundary between real and generated.
    Source: Arjovsky et al., Wasserstein GAN, 2017, arXiv:1701.07875, equations 2 and 3.
    """

    boundary: ClassVar[float | None] = None

    def discriminator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return E fake - E real."""
        return _wide(fake).mean() - _wide(real).mean()

    def generator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return -E fake."""
        return -_wide(fake).mean()


@dataclass(frozen=True)
class RelativisticPairing(_OneLogit):
    """Each real sample against the generated one of the same place in the batch; only differences of scores count.

    Discriminator: E softplus(fake - real). Generator: E softplus(real - fake). Both log 2 at equal responses. As only
    differences are fixed, there is no boundary between real and generated.
    Source: Jolicoeur-Martineau, The Relativistic Discriminator, 2018, arXiv:1807.00734; pairing as in Huang et al.,
    The GAN is dead; long live the GAN!, 2024, arXiv:2501.05441.
    """

    needs_real: ClassVar[bool] = True
    boundary: ClassVar[float | None] = None

    def discriminator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return E softplus(fake - real); ValueError when the two shapes differ."""
        return softplus(_wide(fake) - _wide(_paired(real, fake))).mean()

    def generator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return E softplus(real - fake); ValueError when the two shapes differ."""
        return softplus(_wide(_paired(real, fake)) - _wide(fake)).mean()


@dataclass(frozen=True)
class Softmax:
    """Classification into the K classes of the data and a last one, "generated"; logits (B, K + 1).

    Discriminator: E CE(real, label) + E CE(fake, K), with CE the cross-entropy of the softmax; where the reals have no
    labels, E -log(1 - p_K(real)) takes the first term's place. Generator: E CE(fake, label), with the labels that
    it was told; without labels, E -log(1 - p_K(fake)). With K = 1 the logit is the difference of the two, and the
    losses are those of ``NonSaturating``.
    Source: Salimans et al., Improved Techniques for Training GANs, 2016, arXiv:1606.03498; Odena, 2016,
    arXiv:1606.01583.
    """

    needs_real: ClassVar[bool] = False
    entrywise: ClassVar[bool] = False
    boundary: ClassVar[float | None] = 0.0

    def discriminator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the loss for logits (B, K + 1); ``labels`` (B,) int64 in 0..K - 1 are those of the reals."""
        found = _classified(real) if labels is None else cross_entropy(_logits(real), labels)
        return found + softplus(_log_odds(fake)).mean()

    def generator(self, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the loss for logits (B, K + 1); ``labels`` (B,) int64 are those that the generator was told."""
        return _classified(fake) if labels is None else cross_entropy(_logits(fake), labels)

    def outputs(self, classes: int) -> int:
        """Return K + 1; without labels there is one class, "real", and the two logits of a yes or no."""
        return max(classes, 1) + 1

    def score(self, logits: Tensor) -> Tensor:
        """Return logsumexp of the first K logits less the last, (B,): the log odds of "not generated"."""
        return _log_odds(logits)


OBJECTIVES: dict[str, Objective] = {
    "non-saturating": NonSaturating(),
    "saturating": Saturating(),
    "softmax": Softmax(),
    "least-squares": LeastSquares(),
    "hinge": Hinge(),
    "wasserstein": Wasserstein(),
    "relativistic-pairing": RelativisticPairing(),
}


def _wide(responses: Tensor) -> Tensor:
    """Return half-precision responses in float32 and all others as they are."""
    return responses.float() if responses.dtype in (torch.bfloat16, torch.float16) else responses


def _paired(real: Tensor, fake: Tensor) -> Tensor:
    if real.shape != fake.shape:  # (B, 1) against (B,) would broadcast to all pairs, in silence
        raise ValueError(f"real: found shape {tuple(real.shape)}; allowed: {tuple(fake.shape)}, as in fake")
    return real


def _logits(logits: Tensor) -> Tensor:
    if logits.dim() != 2 or logits.shape[1] < 2:
        raise ValueError(f"logits: found shape {tuple(logits.shape)}; allowed: (samples, classes + 1)")
    return _wide(logits)


def _log_odds(logits: Tensor) -> Tensor:
    """Return log((1 - p_last) / p_last) of the softmax, (B,)."""
    wide = _logits(logits)
    return torch.logsumexp(wide[:, :-1], 1) - wide[:, -1]


def _classified(logits: Tensor) -> Tensor:
    """Return E -log(1 - p_last)."""
    return softplus(-_log_odds(logits)).mean()
