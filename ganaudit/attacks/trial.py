"""The caller of an attack: it clips to budget and range, tests again, rounds to stored levels, and tests once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ganaudit.attacks.critic import Critic
from ganaudit.attacks.threat import Attack, Threat
from ganaudit.numerics.memory import in_parts

__all__ = [
    "Counter",
    "Outcome",
    "attempt",
    "checked",
    "concluded",
    "quantised",
    "scored",
    "strongest",
]

_BEYOND = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What attacks did to B samples; a sample already called wrongly counts as fooled with norm 0."""

    fooled: Tensor
    """Which samples are called wrongly, tested on the clipped sample, (B,) bool."""
    fooled_quantised: Tensor
    """Which of these are called wrongly also after the sample was rounded to the levels it is stored in, (B,) bool.

    Rounding moves a value by half a level and may leave the ball: what it alone turns was not done by the attack."""
    norms: Tensor
    """Norm of each change, (B,) float64, in the unit of the values; infinite where a minimal norm was not found."""
    scores_before: Tensor
    scores_after: Tensor
    """Raw scores, (B,) float64."""
    samples: Tensor
    """The changed samples, (B, ...), within budget and range."""
    forward: int
    """Samples sent through the critic; ``backward``: gradients of samples taken."""
    backward: int
    notes: tuple[str, ...] = ()

    @property
    def robust_accuracy(self) -> float:
        """Share of samples still called rightly, 0 to 1."""
        return 1.0 - float(self.fooled.double().mean())


class Counter:
    """A critic's score that counts the samples it is asked for, forwards and backwards."""

    def __init__(self, critic: Critic) -> None:
        self._score = critic.score
        self.forward = 0
        self.backward = 0
        self.critic = replace(critic, score=self._counted)

    def _counted(self, x: Tensor) -> Tensor:
        found = self._score(x)
        self.forward += len(x)
        if found.grad_fn is not None:
            found.grad_fn.register_prehook(partial(self._seen, len(x)))
        return found

    def _seen(self, count: int, _: object) -> None:
        self.backward += count


def attempt(
    critic: Critic,
    attack: Attack,
    x: Tensor,
    threat: Threat,
    rng: np.random.Generator,
    *,
    batch: int = 256,
) -> Outcome:
    """Return what ``attack`` does to the samples ``x`` (B, ...) under ``threat``.

    What the attack returns is projected on the ball, clipped to the range and tested again, then rounded to the levels
    of a file (256 for images, 65536 for waveforms) and tested once more. Samples already called wrongly are not
    attacked. The random numbers of a sample depend on ``rng`` and on that sample. A batch that does not fit into
    memory is halved, which the notes say, as they say what the attack itself did otherwise than asked.

    Raises ValueError for no samples, for values that are no numbers or outside the range, and for a batch below 1.
    """
    x = checked(x, threat, batch)
    told: dict[str, None] = {}
    counter = Counter(replace(critic, told=lambda words: told.update({words: None})))
    before, fitted = scored(counter.critic, x, batch)
    seed = int(rng.integers(2**63))
    samples = x.clone()
    todo = torch.nonzero(~critic.fooled_of(before, threat.side))[:, 0]

    def change(start: int, stop: int) -> None:
        rows = todo[start:stop]
        made = attack(counter.critic, x[rows], threat, np.random.default_rng(seed))
        samples[rows] = threat.allowed(x[rows], made.detach().to(x))

    fitted = in_parts(len(todo), fitted, change)
    notes = (*told, *([] if fitted == batch else [f"batch halved from {batch} to {fitted}: out of memory"]))
    return concluded(counter, x, samples, threat, before, batch=fitted, notes=notes)


def concluded(
    counter: Counter,
    x: Tensor,
    samples: Tensor,
    threat: Threat,
    before: Tensor,
    *,
    batch: int,
    notes: tuple[str, ...] = (),
) -> Outcome:
    """Return the outcome of ``samples``, already within budget and range, tested anew and after rounding to levels."""
    critic, side = counter.critic, threat.side
    after, batch = scored(critic, samples, batch)
    stored, batch = scored(critic, quantised(samples, threat.low, threat.high), batch)
    lost = int((~torch.isfinite(after)).sum())
    if lost:
        notes = (*notes, f"{lost} of {len(x)} scores after the attack are no finite numbers; they count as not fooled")
    fooled = critic.fooled_of(after, side) | critic.fooled_of(before, side)
    return Outcome(
        fooled=fooled,
        fooled_quantised=fooled & critic.fooled_of(stored, side),
        norms=threat.budget.norms(samples.double() - x.double()),
        scores_before=before,
        scores_after=after,
        samples=samples,
        forward=counter.forward,
        backward=counter.backward,
        notes=notes,
    )


def strongest(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the union of outcomes on the same samples: fooled where any attack fooled.

    Each sample is taken from the attack that fooled it with the smallest norm, else from the first. A sample counts
    as fooled after rounding where any attack's is. Raises ValueError for none.
    """
    if not outcomes:
        raise ValueError("outcomes: found none; allowed: one or more")
    fooled = torch.stack([outcome.fooled for outcome in outcomes])
    sizes = torch.stack([outcome.norms for outcome in outcomes])
    best = torch.where(fooled, sizes, torch.inf).argmin(0)
    rows = torch.arange(fooled.shape[1], device=fooled.device)
    return Outcome(
        fooled=fooled.any(0),
        fooled_quantised=torch.stack([outcome.fooled_quantised for outcome in outcomes]).any(0),
        norms=sizes[best, rows],
        scores_before=outcomes[0].scores_before,
        scores_after=torch.stack([outcome.scores_after for outcome in outcomes])[best, rows],
        samples=torch.stack([outcome.samples for outcome in outcomes])[best, rows],
        forward=sum(outcome.forward for outcome in outcomes),
        backward=sum(outcome.backward for outcome in outcomes),
        notes=tuple(dict.fromkeys(note for outcome in outcomes for note in outcome.notes)),
    )


def quantised(x: Tensor, low: float, high: float) -> Tensor:
    """Return ``x`` as a file would give it back.

    Waveforms (B, C, T): 65536 levels from low, one step short of high, as 16-bit integers over 2^15. Everything else:
    256 levels from low to high, ends included. Rounded to the nearest level, half to even.
    """
    steps, most = (65536, 65535) if x.ndim == 3 else (255, 255)
    level = ((x.double() - low) / (high - low) * steps).round().clamp(0, most)
    return (level / steps * (high - low) + low).to(x.dtype)


def checked(x: Tensor, threat: Threat, batch: int) -> Tensor:
    """Return ``x`` off the tape and clipped to the range; raises ValueError as ``attempt`` says."""
    if batch < 1:
        raise ValueError(f"batch: found {batch}; allowed: 1 or more")
    if x.ndim < 2 or not len(x):
        raise ValueError(f"x: found shape {tuple(x.shape)}; allowed: (samples, ...), one sample or more")
    low, high = (float(end) for end in torch.aminmax(x.detach()))
    slack = _BEYOND * (threat.high - threat.low)
    if not (threat.low - slack <= low and high <= threat.high + slack):
        raise ValueError(f"x: found values from {low:g} to {high:g}; allowed: {threat.low:g} to {threat.high:g}")
    return x.detach().clamp(threat.low, threat.high)


def scored(critic: Critic, x: Tensor, batch: int) -> tuple[Tensor, int]:
    """Return the raw scores (N,) float64 of ``x``, without a gradient tape, and the batch that fitted."""
    found = torch.empty(len(x), dtype=torch.float64, device=x.device)

    def score(start: int, stop: int) -> None:
        with torch.no_grad():
            found[start:stop] = critic.scores(x[start:stop])

    batch = in_parts(len(x), batch, score)
    return found, batch
