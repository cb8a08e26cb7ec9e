"""K17: path lengths of a linear generator, whose value is a formula; trimming, plateau and quantised samples."""

import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.interpolation import lerp, slerp
from ganaudit.numerics.path_length import on_levels, path_length, plateau, squared_distances

D, P, N = 16, 48, 60_000
A = torch.from_numpy(np.random.default_rng(0).standard_normal((D, P)))
SQUARED = float(A.square().sum())


def latents(seed, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((N, D))).to(dtype)


def linear(path, eps, t, dtype=torch.float64):
    a, b = latents(1, dtype), latents(2, dtype)
    if path is slerp:  # of unit latents, as StyleGAN normalises them
        a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    mix = A.to(dtype)
    return path_length(squared_distances(path(a, b, t) @ mix, path(a, b, t + eps) @ mix), eps)


def test_a_linear_generator_has_twice_the_squared_norm_at_every_step():
    for eps in (1e-4, 1e-2, 0.5):
        found = linear(lerp, eps, 0.0)
        # 60,000 paths: the standard error is below 0.3 %; the tolerance of K17 is 2 %.
        assert found.value == pytest.approx(2 * SQUARED, rel=0.02)
        assert found.bounds.low < found.value < found.bounds.high
    assert linear(lerp, 1e-4, 0.0).value == pytest.approx(linear(lerp, 1e-2, 0.0).value, rel=0.01)
    assert linear(lerp, 1e-4, 0.0, torch.float32).value == pytest.approx(linear(lerp, 1e-2, 0.0).value, rel=0.01)


def test_the_arc_has_the_mean_squared_angle():
    angles = np.arccos(np.clip(_unit(3) * _unit(4), -1, 1).sum(1))
    expected = float((angles**2).mean()) * SQUARED / D
    t = torch.from_numpy(np.random.default_rng(5).random(N))
    assert linear(slerp, 1e-3, t).value == pytest.approx(expected, rel=0.02)
    # pi^2/4 + O(1/d) (2.534 at 16 dimensions).
    assert float((angles**2).mean()) == pytest.approx(2.534, rel=0.01)


def _unit(seed):
    z = latents(seed).numpy()
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def test_levels_have_no_path_length_and_are_known_by_their_values():
    a, b = latents(1)[:2000], latents(2)[:2000]
    low, high = -20.0, 20.0

    def stored(z):
        return ((z @ A - low) * (255 / (high - low))).round() * ((high - low) / 255) + low

    values = [
        path_length(squared_distances(stored(lerp(a, b, 0.0)), stored(lerp(a, b, eps))), eps).value
        for eps in (1e-4, 1e-2)
    ]
    # Quantisation alone makes the squared distance about proportional to eps, so the quotient to 1/eps.
    assert values[0] > 10 * values[1]
    assert plateau({1e-4: values[0], 1e-2: values[1]}, 1e-2, 0.1) == [1e-2]
    mixed = torch.cat([stored(a[:7]), a[:5] @ A, stored(a[:3]) + 0.01]).float()
    assert on_levels(mixed, low, high).tolist() == [True] * 7 + [False] * 8
    with pytest.raises(ValueError, match="low below high"):
        on_levels(mixed, high, low)


def test_the_interval_of_a_squared_speed_does_not_reach_below_0():
    # One large value among zeros: Student's own interval is 4 ± 9.9.
    found = path_length(torch.tensor([0.0] * 9 + [40.0]), 1.0)
    assert (found.value, found.bounds.low) == (4.0, 0.0)
    assert found.bounds.high == pytest.approx(4 + 2.262157 * 4.0, rel=1e-6)
    # Far from 0 nothing is cut: 11 ± t(9) sd/sqrt(10).
    values = torch.arange(10.0) + 6.5
    half = 2.262157 * float(values.std()) / math.sqrt(10)
    assert path_length(values, 1.0).bounds.low == pytest.approx(11 - half, rel=1e-6)


def test_trimming_keeps_both_percentiles():
    distances = torch.arange(1.0, 301.0)
    found = path_length(distances, 1.0)
    # Ranks 0.01 x 299 = 2.99 and 296.01: the third smallest (lower) and the 298th (higher) are kept.
    assert found.trimmed == pytest.approx(np.arange(3.0, 299.0).mean())
    assert found.value == pytest.approx(150.5)
    assert path_length(distances[:1], 1.0).bounds is None
    with pytest.raises(ValueError, match="eps"):
        path_length(distances, 0.0)
    with pytest.raises(ValueError, match="finite"):
        path_length(torch.tensor([math.nan]), 1e-3)


def test_the_plateau_is_unbroken_around_the_step_used():
    values = {1e-4: 50.0, 1e-3: 10.2, 1e-2: 10.0, 1e-1: 9.5, 1.0: 3.0, 2.0: 10.0}
    assert plateau(values, 1e-2, 0.1) == [1e-3, 1e-2, 1e-1]
    assert plateau(values, 1e-4, 0.1) == [1e-4]
