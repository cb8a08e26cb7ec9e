"""A small square of a picture, or a short run of a waveform, replaced by whatever serves the attacker best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ganaudit.attacks.chance import Draws
from ganaudit.attacks.critic import Critic, ascent
from ganaudit.attacks.gradient import Best
from ganaudit.attacks.threat import Kind, Threat
from ganaudit.numerics.arguments import proportion, whole

__all__ = ["Patch", "PatchSearch", "Window", "window"]


@dataclass(frozen=True, slots=True)
class Window:
    """The patch's size on samples of one shape."""

    sizes: tuple[int, ...]
    """(side, side) in pixels, or (length,) in samples of time."""
    field: tuple[int, ...]
    """The sample's own size, without channels."""

    @property
    def places(self) -> int:
        """How many places the patch can have."""
        return math.prod(whole - size + 1 for whole, size in zip(self.field, self.sizes, strict=True))

    @property
    def share(self) -> float:
        """Share of the area or of the time that the patch covers, 0 to 1."""
        return math.prod(self.sizes) / math.prod(self.field)

    def mask(self, places: Tensor) -> Tensor:
        """Return where the patch lies, (B, 1, *field) bool, for each of the numbered ``places`` (B,)."""
        covered = torch.ones(len(places), 1, *[1] * len(self.field), dtype=torch.bool, device=places.device)
        rest = places
        for axis in reversed(range(len(self.field))):
            size, whole_size = self.sizes[axis], self.field[axis]
            starts = whole_size - size + 1
            start = (rest % starts).view(-1, *[1] * (len(self.field) + 1))
            rest = rest // starts
            shape = [1] * (len(self.field) + 2)
            shape[axis + 2] = whole_size
            line = torch.arange(whole_size, device=places.device).view(shape)
            covered = covered & (line >= start) & (line < start + size)
        return covered

    def sums(self, values: Tensor) -> Tensor:
        """Return the sum of ``values`` (B, *field) over the patch at every place, (B, places)."""
        pool = functional.avg_pool2d if len(self.field) == 2 else functional.avg_pool1d
        means: Tensor = pool(values[:, None], self.sizes, stride=1)
        return means.flatten(1) * math.prod(self.sizes)


def window(x: Tensor, share: float) -> Window:
    """Return the largest square (images) or run of time (waveforms) within ``share`` of a sample, at least 1 wide.

    On a small sample the least patch covers more than ``share``; ``Window.share`` says how much. ValueError for a
    share outside (0, 1) and for samples that are neither (B, C, H, W) nor (B, C, T).
    """
    proportion(share, "share")
    if x.ndim not in (3, 4):
        raise ValueError(
            f"x: found shape {tuple(x.shape)}; allowed: images (B, channels, height, width), "
            "waveforms (B, channels, time)"
        )
    field = tuple(x.shape[2:])
    # Room for the rounding of a share such as 0.01 of 100 x 100.
    area = share * math.prod(field) + 1e-9
    if x.ndim == 3:
        return Window((max(1, math.floor(area)),), field)
    side = min(max(1, math.isqrt(math.floor(area))), *field)
    return Window((side, side), field)


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch of any values within the range, its place and content chosen for each sample by gradients.

    The gradient at the sample gives for every place what its best content would gain on the critic's tangent; the
    ``places`` best ones and ``strays`` random ones are tried. From that content, ``steps`` signed steps of falling
    length (at first half the range) improve it; the point of lowest margin of all is kept (place after Rao et al.
    2020, on the raw margin). Exact for a linear critic. All channels are changed. The share of the area is the
    budget: the caller's ball has to be the whole range. Passes: 1 + (``places`` + ``strays``)·``steps`` backward.
    ValueError for a share outside (0, 1), no places or negative steps.
    """

    share: float = 0.01
    places: int = 4
    strays: int = 1
    steps: int = 20

    id: ClassVar[str] = "patch"
    kind: ClassVar[Kind] = "white-box"
    title: ClassVar[str] = "Small patch"
    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        proportion(self.share, "share")
        whole(self.places, "places", 1)
        whole(self.strays, "strays", 0)
        whole(self.steps, "steps", 0)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return for each sample the patched sample of lowest margin, or the sample itself."""
        field = window(x, self.share)
        best = Best(x)
        margins, gradient = ascent(critic, x, threat.side)
        best.offer(x, margins)
        places = self._places(x, gradient, field, threat, rng)
        for column in range(places.shape[1]):
            self._improve(critic, x, field.mask(places[:, column]), gradient, threat, best)
        return best.samples

    def _places(self, x: Tensor, gradient: Tensor, field: Window, threat: Threat, rng: np.random.Generator) -> Tensor:
        # The largest entry first, so that products neither overflow nor vanish.
        steep = gradient.double()
        slope = steep / steep.flatten(1).abs().amax(1).clamp(min=1e-300).view(_column(x))
        gains = torch.maximum(slope * (threat.high - x.double()), slope * (threat.low - x.double())).sum(1)
        chosen = field.sums(gains).topk(min(self.places, field.places), dim=1).indices
        strays = (Draws(rng, x).uniform(self.strays).double() * field.places).long() if self.strays else chosen[:, :0]
        return torch.cat([chosen, strays.clamp(max=field.places - 1)], 1)

    def _improve(self, critic: Critic, x: Tensor, mask: Tensor, gradient: Tensor, threat: Threat, best: Best) -> None:
        # The start is the tangent's answer: every value at the end of the range that the gradient points to.
        now = torch.where(mask, _ends(x, gradient, threat), x)
        span = threat.high - threat.low
        for k in range(self.steps):
            margins, slope = ascent(critic, now, threat.side)
            best.offer(now, margins)
            length = span / 2 * (1 - k / self.steps)
            now = torch.where(mask, (now + length * slope.sign()).clamp(threat.low, threat.high), x)
        with torch.no_grad():
            best.offer(now, critic.margin(now, threat.side))


@dataclass(frozen=True, slots=True)
class PatchSearch:
    """A patch found by random search, from scores alone, for each sample.

    The queries make up to ``rounds`` rounds. The first third of a round draws places and contents anew, every value
    at an end of the range, and keeps the best; the rest flips, in one channel, a random square of the content, which
    shrinks as the round goes on, or every fourth time moves the patch as it is to a random place, and keeps what
    lowers the margin (after Croce et al. 2022, Sparse-RS). The point of lowest margin of all is kept. One forward pass
    per query. The share of the area is the budget: the caller's ball has to be the whole range. ValueError for a share
    outside (0, 1), no rounds and fewer than 1 query.
    """

    share: float = 0.01
    queries: int = 200
    rounds: int = 2

    id: ClassVar[str] = "patch-search"
    kind: ClassVar[Kind] = "black-box"
    title: ClassVar[str] = "Small patch, by random search"
    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        proportion(self.share, "share")
        whole(self.queries, "queries", 1)
        whole(self.rounds, "rounds", 1)

    def __call__(self, critic: Critic, x: Tensor, threat: Threat, rng: np.random.Generator) -> Tensor:
        """Return for each sample the patched sample of lowest margin, or the sample itself."""
        field = window(x, self.share)
        draws = Draws(rng, x)
        best = Best(x)
        with torch.no_grad():
            best.offer(x, critic.margin(x, threat.side))
            self._search(critic, x, field, threat, draws, best)
        return best.samples

    def _search(self, critic: Critic, x: Tensor, field: Window, threat: Threat, draws: Draws, best: Best) -> None:
        long = -(-self.queries // self.rounds)
        content, places, lowest = x, torch.zeros(len(x), dtype=torch.long, device=x.device), best.margins
        for query in range(self.queries):
            k = query % long
            # A place for the patch, a place within it and a channel.
            chance = draws.uniform(3)
            tried, where = content, places
            if 3 * k <= long:
                tried = (draws.uniform(x.shape[1], *field.sizes) < 0.5).to(x)
                where = _placed(chance[:, 0], field.places)
            elif k % 4 == 0:
                where = _placed(chance[:, 0], field.places)
            else:
                tried = self._flipped(content, field, 1 - k / long, chance)
            patched = self._worn(x, tried, field.mask(where), threat)
            margins = critic.margin(patched, threat.side)
            better = margins < lowest if k else torch.ones_like(margins, dtype=torch.bool)
            lowest = torch.where(better, margins, lowest)
            content = torch.where(better.view(_column(x)), tried, content) if k else tried
            places = torch.where(better, where, places)
            best.offer(patched, margins)

    def _flipped(self, content: Tensor, field: Window, left: float, chance: Tensor) -> Tensor:
        sizes = tuple(max(1, math.ceil(size * left / 2)) for size in field.sizes)
        inner = Window(sizes, field.sizes)
        square = inner.mask(_placed(chance[:, 1], inner.places))
        channel = _placed(chance[:, 2], content.shape[1])
        lines = torch.arange(content.shape[1], device=content.device).view(1, -1, *[1] * len(sizes))
        return torch.where(square & (lines == channel.view(_column(content))), 1 - content, content)

    def _worn(self, x: Tensor, content: Tensor, mask: Tensor, threat: Threat) -> Tensor:
        made = x.clone()
        full = mask.expand_as(x)
        # Both list their values sample by sample, channel by channel, line by line.
        made[full] = (threat.low + content * (threat.high - threat.low)).flatten()
        return made


def _ends(x: Tensor, gradient: Tensor, threat: Threat) -> Tensor:
    ends = torch.where(gradient > 0, threat.high, torch.where(gradient < 0, threat.low, x))
    return ends.to(x.dtype)


def _placed(uniform: Tensor, places: int) -> Tensor:
    return (uniform.double() * places).long().clamp(max=places - 1)


def _column(x: Tensor) -> tuple[int, ...]:
    return (-1, *[1] * (x.ndim - 1))
