"""One step: discriminator, its regularisers, generator, its regulariser, and the average.

Progress is counted in real samples. Gradients are taken with respect to one network's own parameters at a time;
``requires_grad`` is never toggled, so no compiled or recorded program can be wrong about it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganaudit.evidence.ranks import Ranks
from ganaudit.training.augmentation import Pipeline, Signs, adjusted
from ganaudit.training.average import average_into, power_decay
from ganaudit.training.backend import Backend, Eager
from ganaudit.training.config import Schedule, TrainConfig
from ganaudit.training.data import TrainingData
from ganaudit.training.draws import between, image_rows, label_rows, latents, normal_noise
from ganaudit.training.exchange import mean_over
from ganaudit.training.losses import Batch, Losses, Terms
from ganaudit.training.regularisers import Number, lazy
from ganaudit.training.state import State, laid_out_as, trained_parameters

__all__ = ["SCHEDULES", "Loop", "Shown", "falling"]

_SEEN, _SEEN_AGAIN, _DATA, _MIX, _PERTURB, _PATH, _CONSISTENT = 3, 4, 5, 7, 10, 8, 9  # streams of draws
_CONTROL_EVERY = 4  # steps between two changes of the probability of augmentation


@dataclass(frozen=True, slots=True)
class Shown:
    """What a step showed; kept on the device until somebody asks, so that no step waits for it."""

    values: dict[str, Tensor]
    """``discriminator``, ``generator``: losses without regularisers; ``real``, ``fake``: mean scores; ``sign``."""
    shares: dict[str, Tensor]
    """Norm of each term's gradient, by network and term; only of steps that were asked to tell."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a step does beyond the two descents that every step does."""

    penalised: bool
    """Whether it descends on the gradient penalties as well; not where they are part of every step's loss."""
    stretched: bool
    """Whether it descends on the path length penalty."""


@dataclass(frozen=True, slots=True, eq=False)
class _Given:
    """What a step is given."""

    batches: list[Batch]
    left: Number
    """Share of the coefficients of regularisers that is left."""
    discriminator_rate: Number
    generator_rate: Number


def falling(progress: float, end: float) -> float:
    """Return the factor 1 at progress 0, ``end`` at progress 1, along half a cosine."""
    return end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


SCHEDULES: dict[Schedule, Callable[[float, float], float]] = {
    "cosine": falling,
    "linear": lambda progress, end: 1.0 + (end - 1.0) * min(1.0, progress),
    "constant": lambda progress, end: 1.0,
}
"""Share of the learning rate that is left at a progress of 0..1, given that of the end."""


class Loop:
    """The steps of one run, over one process's share of each batch."""

    def __init__(
        self,
        config: TrainConfig,
        state: State,
        data: TrainingData,
        pipeline: Pipeline | None,
        data_pipeline: Pipeline | None,
        ranks: Ranks,
        backend: Backend | None = None,
    ) -> None:
        self.config, self.state, self.data, self.ranks = config, state, data, ranks
        self.backend = backend or Eager()
        self.pipeline, self.data_pipeline = pipeline, data_pipeline
        self.losses = Losses(config, pipeline, data.deviation, state.registers)
        share = config.batch // ranks.size
        self._parts = config.accumulate
        self._rows = share // self._parts

    def step(self, number: int, tells: bool = False) -> Shown:
        """Do step ``number`` (from 0) and return what it showed; with ``tells`` also the share of each term."""
        kind = self._kind(number)
        given = self._given(number, kind)
        if tells:
            # A term at a time: another piece of work than the one that may be recorded.
            found = self._phases(kind, given, True)
        else:
            found = self.backend.run(kind, given, lambda there: self._phases(kind, there, False))
        average_into(self.state.average, self.state.generator, power_decay(number, self.config.average.power))
        if self.config.augmentation.adaptive and (number + 1) % _CONTROL_EVERY == 0:
            self._control()
        return Shown(found["values"], found["shares"])

    @property
    def period(self) -> int:
        """Return after how many steps the kinds of steps come again in the same order."""
        plan = self.config.regularisers
        lazily = plan.discriminator_every if plan.penalties else 1
        return math.lcm(lazily, plan.generator_every if plan.path_length > 0 else 1)

    def tells(self, number: int, images: int) -> bool:
        """Return whether step ``number`` is to tell of itself: one in about ``images`` samples.

        All terms have a part in every such step, those of penalties that come every few steps only as well.
        """
        period = self.period
        stride = -(-max(1, images // self.config.batch) // period) * period
        return (number + 1) % stride == 0 if period == 1 else number > 0 and number % stride == 0

    def _phases(self, kind: _Kind, given: _Given, tells: bool) -> dict[str, dict[str, Tensor]]:
        """Do all that a step does on the device and that follows from ``kind`` and ``given`` alone."""
        fakes = [self._generated(batch, keeps=self._parts == 1) for batch in given.batches]
        values, shares = self._discriminator_phase(kind, given, fakes, tells)
        more, more_shares = self._generator_phase(kind, given, fakes, tells)
        critic = getattr(self.state.generator, "critic", None)
        if critic is not None:
            # At the end, so that all samples of a step, in however many parts, are made with one critic.
            with torch.no_grad():
                network = self.state.discriminator
                own = [*critic.parameters(), *critic.buffers()]
                torch._foreach_copy_(own, [*network.parameters(), *network.buffers()])
        return {"values": values | more, "shares": shares | more_shares}

    def _discriminator_phase(
        self, kind: _Kind, given: _Given, fakes: list[Tensor], tells: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        plan, state, network = self.config.regularisers, self.state, self.state.discriminator
        merged = bool(plan.penalties) and plan.discriminator_every == 1
        descent = _Descent(network, tells, "discriminator")
        shown: list[dict[str, Tensor]] = []
        for batch, fake in zip(given.batches, fakes, strict=True):
            terms, seen = self.losses.discriminator(network, batch, fake.detach(), given.left, merged)
            descent.add(terms, self._parts)
            shown.append(seen | {"discriminator": terms["adversarial"].detach()})
        values = self._mean(shown)
        every = plan.discriminator_every if plan.penalties else 1
        self._descend(descent, state.discriminator_optimiser, given.discriminator_rate, every)
        self._remember(values)
        if kind.penalised:
            regular = _Descent(network, tells, "discriminator")
            for batch, fake in zip(given.batches, fakes, strict=True):
                terms = self.losses.penalties(network, batch, fake.detach(), given.left * every)
                regular.add(terms, self._parts)
            self._descend(regular, state.discriminator_optimiser, given.discriminator_rate, every)
            descent.norms.update(regular.norms)
        return values, descent.norms

    def _generator_phase(
        self, kind: _Kind, given: _Given, fakes: list[Tensor], tells: bool
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        plan, state = self.config.regularisers, self.state
        descent = _Descent(state.generator, tells, "generator")
        shown = []
        for batch, kept in zip(given.batches, fakes, strict=True):
            fake = kept if self._parts == 1 else self._generated(batch, keeps=True)
            terms = self.losses.generator(state.discriminator, batch, fake)
            descent.add(terms, self._parts)
            shown.append({"generator": terms["adversarial"].detach()})
        values = self._mean(shown)
        every = plan.generator_every if plan.path_length > 0 else 1
        self._descend(descent, state.generator_optimiser, given.generator_rate, every)
        if kind.stretched:
            regular, means = _Descent(state.generator, tells, "generator"), []
            for batch in given.batches:
                terms, mean = self.losses.path_length(state.generator, batch, given.left * every)
                regular.add(terms, self._parts)
                means.append({"path": mean})
            state.registers["path_mean"].copy_(self._mean(means)["path"])
            self._descend(regular, state.generator_optimiser, given.generator_rate, every)
            descent.norms.update(regular.norms)
        return values, descent.norms

    def _descend(self, descent: _Descent, optimiser: torch.optim.Adam, rate: Number, every: int = 1) -> None:
        """Do one optimiser step on the mean gradient over all processes.

        ``every`` corrects the pace of an optimiser that also descends on a penalty every so many steps: in all its
        steps, those of the penalty and those of the loss.
        """
        gradients = mean_over(self.ranks, descent.gradients)
        descent.tell(self.ranks)
        broken = torch.stack([(~g.isfinite()).sum() for g in gradients]).sum()
        self.state.registers["broken"] += broken
        for parameter, gradient in zip(descent.parameters, gradients, strict=True):
            parameter.grad = laid_out_as(gradient, parameter)
        plan = self.config.optimiser
        paced: Number = rate
        betas = (plan.beta1, plan.beta2)
        if every > 1:
            paced, betas = lazy(rate, betas, every)
        for group in optimiser.param_groups:
            group["lr"], group["betas"] = paced, betas
        optimiser.step()

    def _kind(self, number: int) -> _Kind:
        plan = self.config.regularisers
        lazily = bool(plan.penalties) and plan.discriminator_every > 1
        return _Kind(
            penalised=lazily and number % plan.discriminator_every == 0,
            stretched=plan.path_length > 0 and number % plan.generator_every == 0,
        )

    def _given(self, number: int, kind: _Kind) -> _Given:
        """Return all that a step is given from outside: what it draws, and what changes as the run goes on."""
        progress = number / self.config.steps
        numbers: list[Number] = [
            falling(progress, self.config.regularisers.end),
            self._rate(number, progress, False),
            self._rate(number, progress, True),
        ]
        if not self.backend.takes_numbers:
            numbers = list(torch.tensor(numbers).to(self.data.device, non_blocking=True).unbind())
        return _Given([self._batch(number, part, kind) for part in range(self._parts)], *numbers)

    def _rate(self, number: int, progress: float, is_generator: bool) -> float:
        plan = self.config.optimiser
        start = number * self.config.batch
        rise = min(1.0, (start + self.config.batch) / plan.warmup) if plan.warmup else 1.0
        rate = (plan.generator_rate or plan.rate) if is_generator else plan.rate
        return rate * SCHEDULES[plan.schedule](progress, plan.end) * rise

    def _mean(self, shown: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the mean over the parts and the processes of what each showed."""
        keys = sorted(shown[0])
        stacked = [torch.stack([part[key].float() for part in shown]).mean() for key in keys]
        return dict(zip(keys, mean_over(self.ranks, stacked), strict=True))

    def _remember(self, values: dict[str, Tensor]) -> None:
        registers = self.state.registers
        registers["sign_sum"] += values["sign"]
        registers["sign_count"] += 1
        for name in ("lecam_real", "lecam_fake"):
            if name in values:
                registers[name].copy_(values[name])

    def _control(self) -> None:
        """Move the probability of augmentation by what the signs of scores of reals show."""
        plan, registers = self.config.augmentation, self.state.registers
        sign = Signs(registers["sign_sum"], registers["sign_count"]).mean()
        images = _CONTROL_EVERY * self.config.batch
        registers["probability"].copy_(adjusted(registers["probability"], sign, plan.target, images, plan.speed))
        registers["sign_sum"].zero_()
        registers["sign_count"].zero_()

    def _generated(self, batch: Batch, keeps: bool) -> Tensor:
        with torch.set_grad_enabled(keeps):
            return self.losses.generated(self.state.generator, batch)

    def _batch(self, number: int, part: int, kind: _Kind) -> Batch:
        """Return this process's part of the batch of a step."""
        config, data = self.config, self.data
        share = config.batch // self.ranks.size
        start = number * config.batch + self.ranks.rank * share + part * self._rows
        count, seed, device = self._rows, config.seed, data.device
        rows = image_rows(len(data), start, count, seed)
        real = data.batch(rows)
        if self.data_pipeline is not None:
            drawn = between(seed, _DATA, start, count, self.data_pipeline.draws).to(device)
            real = self.data_pipeline.apply(real, drawn, 1.0)
        labels = fake_labels = None
        if data.labels is not None:
            labels = data.labels[rows].to(device)
            fake_labels = data.labels[label_rows(len(data), start, count, seed)].to(device)
        z = latents(start, count, config.latent, seed).to(device, non_blocking=True)
        return Batch(real, labels, z, fake_labels, self._draws(kind, start, count, real.shape))

    def _draws(self, kind: _Kind, start: int, count: int, shape: torch.Size) -> dict[str, Tensor]:
        config, plan = self.config, self.config.regularisers
        found: dict[str, Tensor] = {}
        if self.pipeline is not None:
            size = self.pipeline.draws
            streams = {"discriminator": _SEEN, "generator": _SEEN_AGAIN}
            streams |= {"consistency": _CONSISTENT} if plan.consistency > 0 else {}
            for name, stream in streams.items():
                # A position's draws for its real sample and for its generated one.
                both = between(config.seed, stream, start, count, 2 * size)
                found[name] = torch.cat([both[:, :size], both[:, size:]])
        if plan.wgan_gp > 0 or plan.dragan > 0:
            found["mix"] = between(config.seed, _MIX, start, count, 1)[:, 0]
        if plan.dragan > 0:
            found["perturb"] = between(config.seed, _PERTURB, start, count, math.prod(shape[1:])).reshape(shape)
        if kind.stretched:
            found["path"] = normal_noise(config.seed, _PATH, start, tuple(shape))
        return {name: drawn.to(self.data.device, non_blocking=True) for name, drawn in found.items()}


class _Descent:
    """The gradient of a loss that comes in parts and terms."""

    def __init__(self, network: nn.Module, tells: bool, name: str) -> None:
        self.parameters = trained_parameters(network)
        self.gradients: list[Tensor] = []
        self.norms: dict[str, Tensor] = {}
        self._tells, self._name = tells, name
        self._of_terms: dict[str, list[Tensor]] = {}

    def add(self, terms: Terms, parts: int) -> None:
        """Add the gradient of one of ``parts`` parts, in one call for all terms."""
        if self._tells:
            # Beside that call, not in place of it: what is learned does not depend on what is told.
            for name, term in terms.items():
                self._of_terms[name] = _sum(self._of_terms.get(name), self._gradients(term, True), parts)
        self.gradients = _sum(self.gradients, self._gradients(torch.stack(list(terms.values())).sum(), False), parts)

    def tell(self, ranks: Ranks) -> None:
        """Keep the norm of each term's gradient over all parts and processes."""
        for name, gradients in self._of_terms.items():
            norm = torch.stack(torch._foreach_norm(mean_over(ranks, gradients))).norm()
            self.norms[f"{self._name}/{name}"] = norm

    def _gradients(self, loss: Tensor, retain: bool) -> list[Tensor]:
        # A penalty leaves the last bias alone: it has no gradient there, which is 0.
        found = torch.autograd.grad(loss, self.parameters, retain_graph=retain, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, found, strict=True)]


def _sum(before: list[Tensor] | None, gradients: list[Tensor], parts: int) -> list[Tensor]:
    if parts > 1:
        torch._foreach_div_(gradients, float(parts))
    if before:
        torch._foreach_add_(before, gradients)
        return before
    return gradients
