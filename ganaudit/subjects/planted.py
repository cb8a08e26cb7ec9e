"""Generators whose one defect is known: the law of a built-in set, computed from latents, with a fault planted in it.

Latents are N(0, I): each coordinate's normal distribution function is a uniform draw. The first ones are those of the
set's law; the last EXTRA decide which samples are hit, and what happens to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage, special
from torch import Tensor, nn

from ganaudit.data.laws import NO_ROW, Law, places_of
from ganaudit.numerics.augmentations import DRAWS, MIDDLE, OPERATIONS
from ganaudit.numerics.randomness import child_seed, generator

__all__ = ["DEFECTS", "EXTRA", "VERSION", "Defect", "Planted", "reweighted"]

VERSION = 1
"""Raise it when a control makes other samples or scores: it is part of their digest."""

EXTRA = 1 + DRAWS
"""Uniform draws beside those of the law: one that decides whether a sample is hit, then those of an operation."""

_EDGE = 2.0**-53
_Draws = npt.NDArray[np.float64]
_Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Defect:
    """One fault and what its severity means."""

    words: str
    severity: str
    """What the severity counts."""
    most: float
    """The largest severity that means anything."""
    audio: bool = True
    """Whether sounds can have it."""


_SHARE = "share of the samples that are hit"
_LEAKS = {"flip": "hflip", "turn": "rot90", "shift": "shift", "crop": "crop", "cutout": "cutout", "colour": "colour"}

DEFECTS: Mapping[str, Defect] = {
    "perfect": Defect("draws from the law of the set: every alarm is a false one", "must be 0", 0.0),
    "mode-dropped": Defect("some modes never occur", "share of the modes, the nearest number of them", 0.95),
    "class-skewed": Defect("half of the modes occur too often", "s: their probability is (1 + s)/(1 - s) times", 0.95),
    "memorising": Defect("exact copies of train samples", _SHARE, 1.0),
    "blurred": Defect("every sample is smoothed", "standard deviation of the Gauss kernel in pixels", 16.0),
    "noisy": Defect("normal noise on every sample", "its standard deviation, of values in -1..1", 2.0),
    "colour-shifted": Defect("the first channel is raised", "by how much, of values in -1..1", 2.0),
    "latent-ignoring": Defect("a part of the latent changes nothing", "share of the law's draws, from the last", 1.0),
    "hole-in-latent": Defect("garbage where one latent lies near 0", _SHARE, 1.0),
    "nan": Defect("NaN where one latent is small", _SHARE, 1.0),
    **{
        f"{leak}-leaking": Defect(f"an augmentation shows: {OPERATIONS[operation].law}", _SHARE, 1.0, audio=False)
        for leak, operation in _LEAKS.items()
    },
}
"""By name; the severity of each is at least 0."""


class Planted(nn.Module):
    """The generator of a control: latents (N, law.draws + EXTRA) to samples in -1..1, without gradients."""

    def __init__(self, law: Law, defect: str, severity: float, seed: int = 0) -> None:
        super().__init__()
        self.law, self.defect, self.severity, self.seed = law, defect, severity, seed
        self._shares = _shares(law, defect, severity, seed)

    def forward(self, z: Tensor) -> Tensor:
        """Return the samples (N, C, H, W) or (N, C, T), float32; each depends on its own latent alone."""
        if z.ndim != 2 or z.shape[1] != self.law.draws + EXTRA:
            raise ValueError(f"latents: found {tuple(z.shape)}; allowed: (N, {self.law.draws + EXTRA})")
        u: _Draws = special.ndtr(z.detach().cpu().double().numpy()).clip(_EDGE, 1 - _EDGE)
        own, extra = u[:, : self.law.draws].copy(), u[:, self.law.draws :]
        if self.defect == "latent-ignoring":
            own[:, self.law.draws - round(self.severity * self.law.draws) :] = 0.5
        if self._shares is not None:
            own[:, 0] = reweighted(own[:, 0], self._shares, self.law.shares)
        rows = np.full(len(u), NO_ROW, dtype=np.int64)
        hit = extra[:, 0] < self.severity
        if self.defect == "memorising":
            rows[hit] = np.floor(extra[hit, 1] * self.law.rows)
        x = self.law.sample(own, rows)
        return torch.from_numpy(_AFTER.get(self.defect, _unchanged)(self, x, u, extra)).to(z.device)

    def extra_repr(self) -> str:
        """Return what is planted."""
        return f"{self.law.name}, {self.defect}, severity={self.severity:g}, seed={self.seed}"


def reweighted(u: _Draws, wanted: _Draws, shares: _Draws) -> _Draws:
    """Return draws that pick modes of ``shares`` as often as ``u`` (N,) picks those of ``wanted``.

    Within its mode a draw keeps its place, so what else it decides keeps its law.
    """
    mode = places_of(u, wanted)
    old, new = (np.concatenate([[0.0], np.cumsum(law) / np.sum(law)]) for law in (wanted, shares))
    place = (u - old[mode]) / (old[mode + 1] - old[mode])
    inside = new[mode] + place.clip(_EDGE, 1 - 2.0**-20) * (new[mode + 1] - new[mode])
    return np.asarray(inside.clip(_EDGE, 1 - _EDGE), dtype=np.float64)


def _shares(law: Law, defect: str, severity: float, seed: int) -> _Draws | None:
    """Return the probabilities of the modes where the defect changes them."""
    modes = len(law.shares)
    order = generator(seed, "modes of a control").permutation(modes)
    shares = law.shares.copy()
    if defect == "mode-dropped":
        shares[order[: int(severity * modes + 0.5)]] = 0.0
    elif defect == "class-skewed":
        shares[order[: modes // 2]] *= 1 + severity
        shares[order[modes // 2 :]] *= 1 - severity
    else:
        return None
    return np.asarray(shares / shares.sum())


def _unchanged(control: Planted, x: _Samples, u: _Draws, extra: _Draws) -> _Samples:
    return x


def _blurred(control: Planted, x: _Samples, u: _Draws, extra: _Draws) -> _Samples:
    sigma = (0.0, 0.0, *([control.severity] * (x.ndim - 2)))
    return np.asarray(ndimage.gaussian_filter(x, sigma, mode="nearest"), dtype=np.float32)


def _noise(control: Planted, u: _Draws, shape: tuple[int, ...]) -> _Samples:
    """Return normal noise, for each sample from its own latent alone."""
    seed = child_seed(control.seed, "noise of a control")
    rows = [generator(seed, row.tobytes().hex()).standard_normal(shape, dtype=np.float32) for row in u]
    return np.stack(rows) if rows else np.zeros((0, *shape), dtype=np.float32)


def _noisy(control: Planted, x: _Samples, u: _Draws, extra: _Draws) -> _Samples:
    return np.asarray((x + np.float32(control.severity) * _noise(control, u, x.shape[1:])).clip(-1, 1))


def _shifted(control: Planted, x: _Samples, u: _Draws, extra: _Draws) -> _Samples:
    raised = x.copy()
    raised[:, 0] = (raised[:, 0] + np.float32(control.severity)).clip(-1, 1)
    return raised


def _with_hole(control: Planted, x: _Samples, u: _Draws, extra: _Draws) -> _Samples:
    # In the middle, where the straight way between two latents is likely to lead through.
    hit = np.abs(extra[:, 0] - 0.5) < control.severity / 2
    holed = x.copy()
    holed[hit] = (0.5 * _noise(control, u[hit], x.shape[1:])).clip(-1, 1)
    return holed


def _nan(control: Planted, x: _Samples, u: _Draws, extra: _Draws) -> _Samples:
    failed = x.copy()
    failed[extra[:, 0] < control.severity] = np.nan
    return failed


def _leaking(control: Planted, x: _Samples, u: _Draws, extra: _Draws) -> _Samples:
    operation = OPERATIONS[_LEAKS[control.defect.removesuffix("-leaking")]]
    hit = np.flatnonzero(extra[:, 0] < control.severity)
    if not len(hit):
        return x
    draws = torch.from_numpy(extra[hit, 1:].copy())
    states = operation.apply(torch.from_numpy((x[hit] + 1) / 2), draws, MIDDLE)
    # Of several states the share of the hit draws that is left over picks one.
    place = np.floor(extra[hit, 0] / control.severity * len(states)).astype(np.int64).clip(max=len(states) - 1)
    leaked = x.copy()
    leaked[hit] = torch.stack(states).numpy()[place, np.arange(len(hit))] * 2 - 1
    return leaked


_AFTER: dict[str, Callable[[Planted, _Samples, _Draws, _Draws], _Samples]] = {
    "blurred": _blurred,
    "noisy": _noisy,
    "colour-shifted": _shifted,
    "hole-in-latent": _with_hole,
    "nan": _nan,
    **{f"{leak}-leaking": _leaking for leak in _LEAKS},
}
