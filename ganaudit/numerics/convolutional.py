"""Two-sample test by a small convolutional network on the samples themselves, for what features drop.

The inference is that of ``ganaudit.numerics.probe``; only the detector is another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ganaudit.numerics.arguments import whole
from ganaudit.numerics.probe import Detector, HeldOut, Probe, cross_fitted, held_out_test

__all__ = ["WIDTHS", "Unit", "convolutional_detector", "convolutional_probe", "convolutional_test", "unit_of"]

WIDTHS = (8, 16, 32, 32)
"""Channels after each convolution."""

_BATCH = 64
_RATE, _BETAS, _DECAY = 1e-2, (0.9, 0.99), 1e-2
_SLOPE = 0.2
_MOST_PLACES = {"image": 32, "sound": 1024}
_LATER = {"image": (3, 2), "sound": (9, 4)}  # kernel and stride of the convolutions after the first


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """The scale on which samples are shown to the network."""

    centre: Tensor
    """Mean of each channel, (2 C,) float64: of the values, then of what their neighbours do not foretell."""
    spread: Tensor
    """Standard deviations likewise; 1 where nothing moves."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return ``x`` (B, C, H, W) or (B, C, T) as the network sees it: float32 (B, 2 C, H, W), sound one place high.

        Each value, and its difference from the mean of its neighbours at the four sides, each with mean 0 and standard
        deviation 1. A trace of upsampling is a hundredth of what is pictured, and would be found far too slowly.
        """
        centre, spread = (t.float().view(1, -1, 1, 1) for t in (self.centre, self.spread))
        return ((_seen(x) - centre) / spread).contiguous(memory_format=torch.channels_last)


def convolutional_probe(
    real: Tensor,
    fake: Tensor,
    rng: np.random.Generator,
    folds: int = 5,
    most: int = 5000,
    steps: int = 100,
    level: float = 0.95,
) -> Probe:
    """Return the two-sample test of samples ``real`` (N, C, H, W) or (N, C, T) against ``fake`` by a small network.

    Each side is cut at random to n = min(N, M, ``most``) samples. The detector is ``convolutional_detector``, made anew
    ``folds`` + 1 times; test, exactness and scores are those of ``ganaudit.numerics.probe.cross_fitted``. Values may be
    of any real dtype, integer levels too. Both sides must have been stored in one way: the network may well tell them
    by that. Work: (``folds`` + 1) ``steps`` batches of 64 samples, whatever n is; on the CPU.

    Raises ValueError when a side is no batch of finite images or waveforms with 2 ``folds`` samples or more, the
    shapes differ, ``folds`` is below 2, ``most`` below 2 ``folds``, ``steps`` below 1 or ``level`` not in (0, 1).
    Source: Lopez-Paz and Oquab 2017, arXiv:1610.06545.
    """
    whole(folds, "folds", least=2)
    whole(most, "most", least=2 * folds)
    sides = _samples(real, "real", 2 * folds), _samples(fake, "fake", 2 * folds)
    if real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"fake: found samples of shape {tuple(fake.shape[1:])}; allowed: {tuple(real.shape[1:])}")
    n = min(len(real), len(fake), most)
    rows = [np.sort(rng.permutation(len(side))[:n]) for side in sides]
    reals, fakes = (side[torch.from_numpy(some)] for side, some in zip(sides, rows, strict=True))
    return cross_fitted(_detector(reals, fakes, rng, steps), rows[0], rows[1], rng, folds, level)


def convolutional_test(
    real: Tensor, fake: Tensor, rng: np.random.Generator, steps: int = 100, level: float = 0.95
) -> HeldOut:
    """Return the test alone of samples ``real`` (N, C, H, W) or (N, C, T) against as many ``fake``, by one detector.

    Fitted to half of each side and asked about the other half, see ``ganaudit.numerics.probe.cross_fitted``.
    Raises ValueError when a side is no batch of 2 finite samples or more, or the shapes differ.
    """
    reals, fakes = _samples(real, "real", 2), _samples(fake, "fake", 2)
    if real.shape != fake.shape:
        raise ValueError(f"fake: found shape {tuple(fake.shape)}; allowed: {tuple(real.shape)}, that of real")
    return held_out_test(_detector(reals, fakes, rng, steps), len(real), rng, level)


def _detector(real: Tensor, fake: Tensor, rng: np.random.Generator, steps: int) -> Detector:
    """Return what fits a network to some rows of both sides, of n samples each, and asks it about others."""
    samples, n = torch.cat([real, fake]), len(real)
    # Of both sides together, so that it says nothing about which row is of which.
    unit = unit_of(samples)

    def scored(fitted: npt.NDArray[np.int64], asked: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        truth = torch.from_numpy(fitted < n)
        detector = convolutional_detector(samples[torch.from_numpy(fitted)], truth, rng, steps, unit)
        found: npt.NDArray[np.float64] = detector(samples[torch.from_numpy(asked)]).numpy()
        return found

    return scored


def convolutional_detector(
    x: Tensor, real: Tensor, rng: np.random.Generator, steps: int, unit: Unit
) -> Callable[[Tensor], Tensor]:
    """Return a detector fitted to ``x`` (N, C, H, W) or (N, C, T), which is real where ``real`` (N,) bool is true.

    It maps any number of samples to their log-odds of being real, float64; the score of one does not depend on what is
    asked beside it. Four convolutions of ``WIDTHS`` channels with leaky rectifiers, then a linear map of all places.
    The first strides until 32 places an axis are left (1024 of sound) and reaches over twice its stride: no value is
    passed over, and large samples cost little more than small ones. Fitted by ``steps`` steps of AdamW on the logistic
    loss in batches of 64, the rate falling to 0; weights and batches are drawn by ``rng``.

    Raises ValueError when ``steps`` is below 1.
    """
    whole(steps, "steps", least=1)
    layers = _layers(x.shape)
    weights = [w.requires_grad_() for w in _drawn(x.shape, layers, rng)]
    adam = torch.optim.AdamW(weights, lr=_RATE, betas=_BETAS, weight_decay=_DECAY)
    truth, size = real.to(torch.float32), min(_BATCH, len(x))
    order = np.concatenate([rng.permutation(len(x)) for _ in range(-(-steps * size // len(x)))])
    with torch.enable_grad():
        for step in range(steps):
            adam.param_groups[0]["lr"] = _RATE * (1 - step / steps)
            batch = torch.from_numpy(order[step * size : (step + 1) * size])
            found = _logits(unit(x[batch]), weights, layers)
            adam.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(found, truth[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
    fitted = [w.detach() for w in weights]

    def scored(asked: Tensor) -> Tensor:
        parts = []
        for start in range(0, len(asked), _BATCH):
            # Always as many at once: the sums of another size of batch round differently.
            rows = torch.arange(start, start + _BATCH).clamp(max=len(asked) - 1)
            parts.append(_logits(unit(asked[rows]), fitted, layers))
        return torch.cat(parts)[: len(asked)].double()

    return scored


def unit_of(x: Tensor) -> Unit:
    """Return the unit in which all channels of ``x`` (N, C, H, W) or (N, C, T) have mean 0 and variance 1."""
    total, places = torch.zeros(2, 2 * x.shape[1], dtype=torch.float64), x.numel() // x.shape[1]
    for start in range(0, len(x), _BATCH):  # all of them in float64 would take many times the room of levels
        values = _seen(x[start : start + _BATCH]).double().transpose(0, 1).flatten(1)
        total += torch.stack([values.sum(1), values.square().sum(1)])
    centre, square = total / places
    variance = square - centre.square()
    # What rounding alone makes of a constant is no spread.
    return Unit(centre, torch.where(variance > 1e-12 * square, variance, 1.0).sqrt())


def _seen(x: Tensor) -> Tensor:
    """Return values and their differences from their neighbours, float32 (B, 2 C, H, W)."""
    values = (x if x.ndim == 4 else x[:, :, None]).float()
    wide = functional.pad(values, (1, 1, 1, 1), mode="replicate")
    across, along = wide[..., 1:-1, :-2] + wide[..., 1:-1, 2:], wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1]
    return torch.cat([values, values - (across + along) / 4], 1)


_Layer = tuple[tuple[int, int], tuple[int, int]]


def _layers(shape: torch.Size) -> list[_Layer]:
    """Return kernel and stride of every convolution, by height and width, for batches of ``shape``."""
    kind = "sound" if len(shape) == 3 else "image"
    strides = [-(-side // _MOST_PLACES[kind]) for side in shape[2:]]
    layers = [[(2 * stride + 1, stride) for stride in strides]]
    layers += [[_LATER[kind]] * len(strides)] * (len(WIDTHS) - 1)
    flat = [[(1, 1)] * (2 - len(strides)) + layer for layer in layers]
    return [((a, b), (s, t)) for (a, s), (b, t) in flat]


def _drawn(shape: torch.Size, layers: list[_Layer], rng: np.random.Generator) -> list[Tensor]:
    """Return weight and bias of every layer: normal with variance 2 over the fan-in (He), biases 0."""
    places, taken, weights = [1, *shape[2:]][-2:], 2 * shape[1], []
    for made, (kernel, stride) in zip(WIDTHS, layers, strict=True):
        weights += [_normal((made, taken, *kernel), 2.0, rng), torch.zeros(made)]
        places, taken = [-(-side // s) for side, s in zip(places, stride, strict=True)], made
    # The last map starts small: no sample is held for real or generated before the first step.
    return [*weights, _normal((1, taken * math.prod(places)), 0.01, rng), torch.zeros(1)]


def _normal(size: tuple[int, ...], gain: float, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy((rng.standard_normal(size) * math.sqrt(gain / math.prod(size[1:]))).astype(np.float32))


def _logits(x: Tensor, weights: list[Tensor], layers: list[_Layer]) -> Tensor:
    for (kernel, stride), weight, bias in zip(layers, weights[0:-2:2], weights[1:-2:2], strict=True):
        padding = (kernel[0] // 2, kernel[1] // 2)
        x = functional.leaky_relu(functional.conv2d(x, weight, bias, stride, padding), _SLOPE)
    return functional.linear(x.flatten(1), weights[-2], weights[-1])[:, 0]


def _samples(x: Tensor, name: str, least: int) -> Tensor:
    """Return ``x`` off the tape and on the CPU; raises ValueError as ``convolutional_probe`` says."""
    if x.ndim not in (3, 4) or 0 in x.shape[1:]:
        raise ValueError(f"{name}: found shape {tuple(x.shape)}; allowed: images (N, C, H, W) or waveforms (N, C, T)")
    if x.is_complex():
        raise ValueError(f"{name}: found dtype {x.dtype}; allowed: real numbers")
    if len(x) < least:
        raise ValueError(f"{name}: found {len(x)} samples; allowed: {least} or more")
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"{name}: found NaN or infinity; allowed: finite numbers")
    return x.detach().cpu()
