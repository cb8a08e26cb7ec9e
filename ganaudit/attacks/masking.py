"""Checks that say whether robustness was measured or hidden: a critic can look robust because attacks on it fail.

After the checklist of Carlini et al. (2019) and the indicators of failure of Pintor et al. (2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from ganaudit.attacks.balls import norms, steepest
from ganaudit.attacks.blackbox import RandomNoise, RandomSearch
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.gradient import Apgd, Fgsm, Pgd
from ganaudit.attacks.minimal import covering
from ganaudit.attacks.panel import POINT, REPEATS, VARIES, Panel, Row, share_row
from ganaudit.attacks.threat import Attack, Budget, Threat, least_radius
from ganaudit.attacks.trial import Counter, Outcome, attempt, checked, quantised, scored
from ganaudit.numerics.memory import in_parts

__all__ = ["masking_panel", "planted_panel"]

_DEAD = 0.01
_ANYWHERE = 64
_RESCALED = ((1e3, 50.0), (1e-3, -50.0))


class _Bench:
    """The attacks the rows share: each runs once on the same samples, with the same random numbers."""

    def __init__(self, critic: Critic, x: Tensor, threat: Threat, seed: int, batch: int) -> None:
        self._counter = Counter(critic)
        self.critic = self._counter.critic
        self.x, self.threat, self.batch = x, threat, batch
        self._seed = seed
        self._known: dict[tuple[Attack, float], Outcome] = {}
        self.notes: dict[str, None] = {}

    @property
    def passes(self) -> tuple[int, int]:
        return self._counter.forward, self._counter.backward

    def share_row(self, name: str, value: float, words: str, *, voids: bool) -> Row:
        n = len(self.x)
        return share_row(name, value, n, max(POINT, 1 / n) + 1e-12, words, voids=voids)

    def run(self, attack: Attack, radius: float | None = None) -> Outcome:
        size = self.threat.budget.radius if radius is None else radius
        if (attack, size) not in self._known:
            threat = replace(self.threat, budget=replace(self.threat.budget, radius=size))
            self._known[attack, size] = self.under(attack, self.critic, threat)
        return self._known[attack, size]

    def under(self, attack: Attack, critic: Critic, threat: Threat) -> Outcome:
        found = attempt(critic, attack, self.x, threat, np.random.default_rng(self._seed), batch=self.batch)
        self.notes.update(dict.fromkeys(found.notes))
        return found


def masking_panel(
    critic: Critic,
    x: Tensor,
    threat: Threat,
    rng: np.random.Generator,
    *,
    steps: int = 20,
    queries: int = 100,
    batch: int = 256,
    network: nn.Module | None = None,
    other: Tensor | None = None,
) -> Panel:
    """Return the checks of ``critic`` on the samples ``x`` (B, ...) under ``threat``.

    ``x``: a few dozen samples do; the side's own. ``network``: the critic's module, looked through for submodules in
    training mode; the row is left out without one. ``other``: samples of the other side, of every class, which
    tell whether the threshold can be crossed at all where no attack did; without them it is taken to be so.
    ``steps``: of the projected gradient attack; ``queries``: of the random search it must not fall behind. Costs about
    10·``steps`` gradients and ``queries`` + 11·``steps`` scores per sample. Rows that need gradients are not made where
    the critic has none; none is made after a failure of ``REPEATS`` or ``VARIES``.

    Raises ValueError as ``attempt``, for a radius of 0, and for one so small that samples cannot hold the change.
    """
    if not threat.budget.radius > 0:
        raise ValueError(f"radius: found {threat.budget.radius}; allowed: above 0")
    least = least_radius(threat.budget.norm, x, threat.low, threat.high)
    if threat.budget.radius < least:
        raise ValueError(
            f"radius: found {threat.budget.radius:g}, lost in rounding to {str(x.dtype).removeprefix('torch.')}; "
            f"allowed: {least:.3g} or more"
        )
    bench = _Bench(critic, checked(x, threat, batch), threat, int(rng.integers(2**63)), batch)
    rows = [_repeatable(bench)]
    if network is not None:
        rows.append(_evaluation_mode(network))
    if rows[0].passed:
        rows += [flat] if (flat := _constant(bench, other)) else _rows(bench, Pgd(steps), queries, other)
    forward, backward = bench.passes
    return Panel(tuple(rows), forward, backward, tuple(bench.notes))


def _rows(bench: _Bench, pgd: Pgd, queries: int, other: Tensor | None) -> list[Row]:
    if not bench.critic.differentiable:
        words = "the critic has no gradients; only black-box attacks say anything"
        return [Row("gradients", None, None, None, words, voids=False)]
    white: list[Callable[[], Row]] = [
        lambda: _dead_gradients(bench),
        lambda: _margins_move(bench, pgd),
        lambda: _order(bench, pgd),
        lambda: _not_behind_search(bench, pgd, queries),
        lambda: _monotone(bench, pgd),
        lambda: _full_range(bench, pgd, other),
        lambda: _converged(bench, pgd),
        lambda: _same_at_any_scale(bench, pgd),
        lambda: _twin(bench, pgd),
        lambda: _stored(bench, pgd),
    ]
    return [row() for row in white]


def planted_panel(
    x: Tensor, threat: Threat, rng: np.random.Generator, *, steps: int = 20, queries: int = 100, batch: int = 256
) -> Panel:
    """Return the panel of a linear critic planted on the samples ``x``: what the checks say where gradients are right.

    ``x``, ``threat``, ``steps``, ``queries``, ``batch`` and errors as of ``masking_panel``.
    """
    critic, _ = _planted(checked(x, threat, batch), threat)
    return masking_panel(critic, x, threat, rng, steps=steps, queries=queries, batch=batch)


def _success(outcome: Outcome) -> float:
    return float(outcome.fooled.double().mean())


def _at_most(name: str, value: float, limit: float, words: str, *, voids: bool) -> Row:
    return Row(name, value <= limit, value, limit, words, voids)


def _repeatable(bench: _Bench) -> Row:
    first, batch = scored(bench.critic, bench.x, bench.batch)
    second, _ = scored(bench.critic, bench.x, batch)
    # What is no number twice is no chance; other checks tell of it.
    first, second = (scores.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0) for scores in (first, second))
    # A GPU's sums may differ in the last bits from run to run; chance in a layer moves scores by far more.
    worst = float((first - second).abs().max())
    limit = 1e-4 * float(first.std(correction=0)) + 1e-6 * float(first.abs().max())
    words = "largest difference between the scores of the same samples asked for twice"
    return _at_most(REPEATS, worst, limit, words, voids=True)


def _constant(bench: _Bench, other: Tensor | None) -> Row | None:
    """Return the failed check that scores differ, or None where they do.

    Asked of the samples, of those of the other side, of noise over the whole range and of its corners: a critic that
    is flat where the samples lie, and nowhere else, hides a gradient and is none.
    """
    x, threat = bench.x, bench.threat
    noise = torch.from_numpy(np.random.default_rng(0).random((_ANYWHERE, *x.shape[1:]))).to(x)
    far = threat.low + (threat.high - threat.low) * torch.cat([noise, noise.round()])
    parts = [x, far, *([] if other is None else [other.to(x)])]
    found = torch.cat([scored(bench.critic, part, bench.batch)[0] for part in parts])
    if not bool((found == found[0]).all()):
        return None
    words = (
        f"whether scores are one: all {len(found)} samples asked, of both sides and of noise over the whole range, "
        f"score {float(found[0]):.6g}; nothing moved it"
    )
    return Row(VARIES, False, 1.0, None, words, voids=True)


def _evaluation_mode(network: nn.Module) -> Row:
    training = [name or "the network" for name, module in network.named_modules() if module.training]
    words = f"in training mode: {', '.join(training[:4])}" if training else "no submodule is in training mode"
    return _at_most("evaluation mode", float(len(training)), 0.0, words, voids=False)


def _dead_gradients(bench: _Bench) -> Row:
    dead = torch.empty(len(bench.x), dtype=torch.bool, device=bench.x.device)

    def look(start: int, stop: int) -> None:
        with torch.enable_grad():
            moved = bench.x[start:stop].clone().requires_grad_(True)
            scores = bench.critic.scores(moved)
            found = torch.autograd.grad(scores.sum(), moved, allow_unused=True)[0] if scores.requires_grad else None
        flat = torch.zeros_like(moved).flatten(1) if found is None else found.flatten(1)
        dead[start:stop] = (flat == 0).all(1) | ~torch.isfinite(flat).all(1)

    in_parts(len(bench.x), bench.batch, look)
    words = "share of samples whose gradient is zero everywhere or no finite number somewhere"
    return share_row("gradients", float(dead.double().mean()), len(dead), _DEAD, words, voids=True)


def _margins_move(bench: _Bench, pgd: Pgd) -> Row:
    outcome, side = bench.run(pgd), bench.threat.side
    before = bench.critic.margin_of(outcome.scores_before, side)
    after = bench.critic.margin_of(outcome.scores_after, side)
    still = ~bench.critic.fooled_of(outcome.scores_before, side) & ~(after < before)
    words = "share of samples whose margin no step of the attack lowered"
    return share_row("margins move", float(still.double().mean()), len(still), _DEAD, words, voids=True)


def _order(bench: _Bench, pgd: Pgd) -> Row:
    one, noise, many = (_success(bench.run(attack)) for attack in (Fgsm(), RandomNoise(), pgd))
    behind = max(one - many, noise - max(one, many), 0.0)
    words = (
        f"success of many steps {many:.3f}, one step {one:.3f}, noise {noise:.3f}: how far the stronger falls behind"
    )
    return bench.share_row("many steps, one step, noise", behind, words, voids=True)


def _not_behind_search(bench: _Bench, pgd: Pgd, queries: int) -> Row:
    white, black = _success(bench.run(pgd)), _success(bench.run(RandomSearch(queries)))
    words = f"success with gradients {white:.3f}, by random search {black:.3f}: how far gradients fall behind"
    return bench.share_row("gradients beat random search", max(black - white, 0.0), words, voids=True)


def _monotone(bench: _Bench, pgd: Pgd) -> Row:
    radius = bench.threat.budget.radius
    shares = [_success(bench.run(pgd, radius * factor)) for factor in (0.5, 1.0, 2.0)]
    drop = max(0.0, shares[0] - shares[1], shares[1] - shares[2])
    told = ", ".join(f"{share:.3f}" for share in shares)
    words = f"success at half, one and two radii: {told}; largest fall"
    return bench.share_row("success grows with the budget", drop, words, voids=False)


def _full_range(bench: _Bench, pgd: Pgd, other: Tensor | None) -> Row:
    threat = bench.threat
    name = "the whole range fools"
    full = replace(threat, budget=Budget("linf", covering("linf", bench.x, threat.high - threat.low)))
    fooled = bench.under(pgd, bench.critic, full).fooled
    if not bool(fooled.all()):
        fooled = fooled | bench.under(Apgd(pgd.steps), bench.critic, full).fooled
    # One point beyond the threshold is enough: within the whole range every sample may become it.
    if other is not None and not bool(fooled.any()) and not _crossable(bench, other):
        words = (
            "neither an attack nor a sample of the other side got beyond the threshold, so that nothing says it can be "
            "crossed"
        )
        return Row(name, None, None, None, words, voids=True)
    words = "share of samples not fooled when every value may go anywhere in the range"
    return share_row(name, float((~fooled).double().mean()), len(fooled), 0.0, words, voids=True)


def _crossable(bench: _Bench, other: Tensor) -> bool:
    scores, _ = scored(bench.critic, other, bench.batch)
    return bool(bench.critic.fooled_of(scores, bench.threat.side).any())


def _converged(bench: _Bench, pgd: Pgd) -> Row:
    more = _success(bench.run(Pgd(2 * pgd.steps, restarts=2)))
    change = max(0.0, more - _success(bench.run(pgd)))
    words = "what twice the steps and a random restart add to the success"
    return bench.share_row("more steps change nothing", change, words, voids=False)


def _same_at_any_scale(bench: _Bench, pgd: Pgd) -> Row:
    plain, moved = bench.run(pgd).fooled, 0
    for factor, offset in _RESCALED:
        score, threshold = _rescaled(bench.critic.scores, factor, offset), bench.critic.threshold * factor + offset
        other = bench.under(pgd, replace(bench.critic, score=score, threshold=threshold), bench.threat)
        moved = max(moved, int((other.fooled != plain).sum()))
    words = "share of decisions that change when scores are times 1000 plus 50, or over 1000 minus 50"
    return bench.share_row("unit and zero of the score", moved / len(plain), words, voids=True)


def _rescaled(score: Callable[[Tensor], Tensor], factor: float, offset: float) -> Callable[[Tensor], Tensor]:
    return lambda x: score(x) * factor + offset


def _twin(bench: _Bench, pgd: Pgd) -> Row:
    """Plant a linear critic of known robust accuracy on the same samples: the attack must reach it to the sample."""
    x, threat = bench.x, bench.threat
    twin, reached = _planted(x, threat)
    exact = twin.fooled_of(reached, threat.side)
    wrong = int((bench.under(pgd, twin, threat).fooled != exact).sum())
    words = "share of samples decided otherwise than the closed form on a linear critic with the same samples"
    return share_row("linear twin", wrong / len(x), len(x), 0.0, words, voids=True)


def _planted(x: Tensor, threat: Threat) -> tuple[Critic, Tensor]:
    """Return a linear critic that about half of the samples can cross within the budget, and how far each gets."""
    weights = torch.from_numpy(np.random.default_rng(0).standard_normal(x[0].numel())).to(x.device)
    sign = 1.0 if threat.side == "fake" else -1.0
    wanted = (sign * weights).to(x.dtype).view_as(x[:1]).expand_as(x)
    reached = _linear(weights)(_furthest(x, wanted, threat))
    # Half way between two samples in the middle: none lies so near the threshold that rounding decides.
    middle = reached.sort().values
    at = len(middle) // 2
    threshold = float((middle[at - 1] + middle[at]) / 2) if len(middle) > 1 else float(middle[0]) - sign * 1e-3
    return Critic(_linear(weights), threshold, threat.low, threat.high), reached


def _linear(weights: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: x.flatten(1).double() @ weights


def _furthest(x: Tensor, wanted: Tensor, threat: Threat) -> Tensor:
    radius, norm = threat.budget.radius, threat.budget.norm
    length = radius * 1e6 if norm == "l2" else radius
    return threat.within(x, x + steepest(wanted, norm, length, threat.low - x, threat.high - x))


def _stored(bench: _Bench, pgd: Pgd) -> Row:
    outcome, threat = bench.run(pgd), bench.threat
    kept = quantised(outcome.samples, threat.low, threat.high)
    size = float(norms(kept.double() - bench.x.double(), threat.budget.norm).max())
    level = (threat.high - threat.low) / (65536 if bench.x.ndim == 3 else 255)
    # Rounding moves each value by half a level at most; at the top of 16 bits, which ends one step short, by one.
    room = covering(threat.budget.norm, bench.x, level if bench.x.ndim == 3 else level / 2)
    inside = bool(((kept >= threat.low) & (kept <= threat.high)).all())
    survive = int(outcome.fooled_quantised.sum())
    words = (
        f"largest norm of a change after rounding to stored levels; {survive} of {int(outcome.fooled.sum())} fooled "
        f"samples still fool{'' if inside else '; some values leave the range'}"
    )
    limit = (threat.budget.radius + room) * (1 + 1e-6)
    return Row("within the budget as stored", inside and size <= limit, size, limit, words, voids=False)
