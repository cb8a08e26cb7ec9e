"""The losses of both networks as named terms, each already times its coefficient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganaudit.training.augmentation import Pipeline, Signs, counted
from ganaudit.training.config import TrainConfig
from ganaudit.training.objectives import OBJECTIVES, Objective
from ganaudit.training.regularisers import (
    Anchors,
    Number,
    consistency_penalty,
    gradient_norms,
    interpolates,
    lecam_penalty,
    one_centred_penalty,
    path_length_penalty,
    path_lengths,
    perturbed,
    zero_centred_penalty,
)

__all__ = ["Batch", "Losses", "Terms"]

Terms = dict[str, Tensor]
Heads = Sequence[Tensor]
_MAPS = OBJECTIVES["non-saturating"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step, or one part of it, sees; everything on the device."""

    real: Tensor
    labels: Tensor | None
    latents: Tensor
    fake_labels: Tensor | None
    draws: dict[str, Tensor]
    """Uniforms by purpose: ``discriminator``, ``generator``, ``consistency`` for augmentation, (2B, U), those of reals
    first; ``mix`` (B,) and ``perturb`` (B, ...) for penalties; ``path``, normal noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """The losses of a configuration."""

    config: TrainConfig
    pipeline: Pipeline | None
    deviation: Tensor
    """Standard deviation of all values of the data, the measure of DRAGAN's noise."""
    registers: dict[str, Tensor]
    """Those of the state."""

    @property
    def objective(self) -> Objective:
        """Return the adversarial objective."""
        return OBJECTIVES[self.config.objective]

    def generated(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return what a generator makes of the latents of a batch, float32."""
        with self._autocast(batch.latents):
            made: Tensor = network(batch.latents, batch.fake_labels)
        return made.to(batch.latents.dtype)

    def discriminator(
        self, network: nn.Module, batch: Batch, fake: Tensor, left: Number, merged: bool
    ) -> tuple[Terms, Terms]:
        """Return the terms of the discriminator's loss, and what they show.

        ``left`` is the share of the coefficients that is left; ``merged`` says whether gradient penalties are part of
        this step.
        """
        plan = self.config.regularisers
        both = self._seen(torch.cat([batch.real, fake]), batch.draws.get("discriminator")).detach()
        leaf, (real_heads, fake_heads) = self._judged(network, both, batch, self._zero if merged else ())
        real, other = self.objective.score(real_heads[0]), self.objective.score(fake_heads[0])
        terms = {"adversarial": self._adversarial("discriminator", real_heads, fake_heads, batch.labels)}
        if merged:
            terms |= self._zero_centred(real, other, leaf, left)
            terms |= self._one_centred(network, batch, fake, left)
        shown = {"real": real.detach().mean(), "fake": other.detach().mean(), "sign": self._sign(real)}
        if plan.consistency > 0:
            terms["consistency"] = self._consistency(network, both.detach(), (real_heads, fake_heads), batch, left)
        if plan.lecam > 0:
            anchors = Anchors(self.registers["lecam_real"], self.registers["lecam_fake"])
            terms["lecam"], moved = lecam_penalty(real, other, anchors, plan.lecam * left)
            shown |= {"lecam_real": moved.real, "lecam_fake": moved.fake}
        return terms, shown

    def penalties(self, network: nn.Module, batch: Batch, fake: Tensor, left: Number) -> Terms:
        """Return the gradient penalties of the discriminator alone, for a step of their own."""
        terms: Terms = {}
        if self._zero:
            both = self._seen(torch.cat([batch.real, fake]), batch.draws.get("discriminator")).detach()
            leaf, heads = self._judged(network, both, batch, self._zero)
            real, other = (self.objective.score(h[0]) for h in heads)
            terms = self._zero_centred(real, other, leaf, left)
        return terms | self._one_centred(network, batch, fake, left)

    def generator(self, network: nn.Module, batch: Batch, fake: Tensor) -> Terms:
        """Return the terms of the generator's loss; ``network`` is the discriminator."""
        count, draws = len(batch.real), batch.draws.get("generator")
        seen = self._seen(fake, None if draws is None else draws[count:])
        fake_heads = self._responses(network, seen, batch.fake_labels)
        real_heads = fake_heads
        if self.objective.needs_real:
            with torch.no_grad():
                other = self._seen(batch.real, None if draws is None else draws[:count])
                real_heads = self._responses(network, other, batch.labels)
        return {"adversarial": self._adversarial("generator", real_heads, fake_heads, batch.fake_labels)}

    def path_length(self, network: nn.Module, batch: Batch, left: Number) -> tuple[Terms, Tensor]:
        """Return the path length penalty of the generator, and the next running mean of lengths."""
        latents = batch.latents.detach().requires_grad_(True)
        with self._autocast(latents):
            images = network(latents, batch.fake_labels)
        lengths = path_lengths(images.to(latents.dtype), latents, batch.draws["path"])
        coefficient = self.config.regularisers.path_length * left
        penalty, mean = path_length_penalty(lengths, self.registers["path_mean"], coefficient)
        return {"path_length": penalty}, mean

    def _autocast(self, x: Tensor) -> torch.autocast:
        """Return what lets networks compute in bfloat16 where that is asked for; weights stay in float32."""
        # A recording must hold the weights' own casts: none that an earlier step left in autocast's store.
        return torch.autocast(
            x.device.type,
            torch.bfloat16,
            enabled=self.config.precision == "bf16",
            cache_enabled=self.config.backend == "eager",
        )

    def _responses(self, network: nn.Module, x: Tensor, labels: Tensor | None) -> Heads:
        with self._autocast(x):
            found: Heads = network.responses(x, labels)  # type: ignore[operator]
        return [head.to(x.dtype) for head in found]

    def _sign(self, real: Tensor) -> Tensor:
        return counted(Signs.none(real.device), real, self.objective.boundary or 0.0).mean()

    def _seen(self, x: Tensor, uniforms: Tensor | None, always: bool = False) -> Tensor:
        """Return samples as the discriminator sees them."""
        if self.pipeline is None or uniforms is None:
            return x
        return self.pipeline.apply(x, uniforms, 1.0 if always else self.registers["probability"])

    def _pair(self, network: nn.Module, both: Tensor, batch: Batch) -> tuple[Heads, Heads]:
        """Return the responses to reals and to generated samples."""
        count = len(batch.real)
        if not getattr(network, "per_sample", True):
            # Batch statistics are those of reals or of generated samples, not of a mixture.
            real = self._responses(network, both[:count], batch.labels)
            return real, self._responses(network, both[count:], batch.fake_labels)
        labels = None
        if batch.labels is not None and batch.fake_labels is not None:
            labels = torch.cat([batch.labels, batch.fake_labels])
        heads = self._responses(network, both, labels)  # one pass over both halves costs less than two
        return [h[:count] for h in heads], [h[count:] for h in heads]

    def _adversarial(self, side: str, real: Heads, fake: Heads, labels: Tensor | None) -> Tensor:
        of: Callable[..., Tensor] = getattr(self.objective, side)
        loss = of(real[0], fake[0], labels)
        if len(real) > 1:
            # Maps of responses have no classes: they tell real from generated, whatever the scores do.
            maps = self.objective if self.objective.entrywise else _MAPS
            of_maps: Callable[..., Tensor] = getattr(maps, side)
            parts = [of_maps(r, f, None) for r, f in zip(real[1:], fake[1:], strict=True)]
            loss = loss + torch.stack(parts).mean()
        return loss

    def _consistency(
        self, network: nn.Module, both: Tensor, heads: tuple[Heads, Heads], batch: Batch, left: Number
    ) -> Tensor:
        moved = self._pair(network, self._seen(both, batch.draws["consistency"], always=True), batch)
        coefficient = self.config.regularisers.consistency * left
        parts = [consistency_penalty(h[0], m[0], coefficient) for h, m in zip(heads, moved, strict=True)]
        return parts[0] + parts[1]

    def _judged(
        self, network: nn.Module, both: Tensor, batch: Batch, asked: tuple[str, ...]
    ) -> tuple[Tensor, tuple[Heads, Heads]]:
        """Return the samples at which the penalties ``asked`` are taken, and the responses to both halves."""
        if len(asked) != 1:
            both.requires_grad_(bool(asked))
            return both, self._pair(network, both, batch)
        # A penalty on one half: a pass for each, so that no second derivatives are taken of the other.
        real, fake = both[: len(batch.real)], both[len(batch.real) :]
        leaf = (real if asked == ("r1",) else fake).requires_grad_(True)
        heads = self._responses(network, real, batch.labels), self._responses(network, fake, batch.fake_labels)
        return leaf, heads

    @property
    def _zero(self) -> tuple[str, ...]:
        """Return which of the zero-centred penalties there are."""
        return tuple(name for name in ("r1", "r2") if getattr(self.config.regularisers, name) > 0)

    def _zero_centred(self, real: Tensor, fake: Tensor, leaf: Tensor, left: Number) -> Terms:
        asked = self._zero
        if not asked:
            return {}
        scores = torch.cat([real, fake]) if len(asked) == 2 else real if asked == ("r1",) else fake
        parts = torch.chunk(gradient_norms(scores, leaf), len(asked))
        plan = self.config.regularisers
        return {
            name: zero_centred_penalty(part, getattr(plan, name) * left)
            for name, part in zip(asked, parts, strict=True)
        }

    def _one_centred(self, network: nn.Module, batch: Batch, fake: Tensor, left: Number) -> Terms:
        plan, terms = self.config.regularisers, {}
        if plan.wgan_gp > 0:
            at = interpolates(batch.real, fake, batch.draws["mix"])
            terms["wgan_gp"] = self._at(network, at, batch.labels, plan.wgan_gp * left)
        if plan.dragan > 0:
            at = perturbed(batch.real, batch.draws["mix"], batch.draws["perturb"], self.deviation)
            terms["dragan"] = self._at(network, at, batch.labels, plan.dragan * left)
        return terms

    def _at(self, network: nn.Module, at: Tensor, labels: Tensor | None, coefficient: Number) -> Tensor:
        scores = self.objective.score(self._responses(network, at, labels)[0])
        return one_centred_penalty(gradient_norms(scores, at), coefficient)
