"""Bias removal and influences against simulation, finite differences and brute force."""

import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.frechet import frechet_distance
from ganaudit.numerics.frechet_inference import corrected_frechet_distance, frechet_influences, samples_needed


def draw(rng, n, d, shift=0.0, scale=1.0):
    return torch.from_numpy(rng.standard_normal((n, d)) * scale + shift)


def test_influences_are_the_derivative_of_the_distance_in_a_samples_weight():
    # Weight each sample by w, differentiate the distance of the weighted Gaussians numerically in each weight.
    rng = np.random.default_rng(0)
    real, fake = (
        draw(rng, 30, 3),
        draw(rng, 25, 3, 0.5, 1.3)
        @ torch.tensor([[1.0, 0.4, 0.0], [0.0, 1.0, 0.2], [0.0, 0.0, 1.0]], dtype=torch.float64),
    )

    def weighted(x, w):
        w = w / w.sum()
        mean = (w[:, None] * x).sum(0)
        return mean, ((w[:, None] * (x - mean)).T @ (x - mean))

    def distance(wr, wf):
        from scipy.linalg import sqrtm

        (mr, sr), (mf, sf) = weighted(real, wr), weighted(fake, wf)
        root = np.real(sqrtm((sr @ sf).numpy()))
        return float((mr - mf).square().sum() + sr.trace() + sf.trace()) - 2 * float(np.trace(root))

    of_real, of_fake = frechet_influences(real, fake)
    h = 1e-6
    for ours, side in ((of_real, 0), (of_fake, 1)):
        n = len(ours)
        for i in range(0, n, 7):
            w = [torch.ones(30, dtype=torch.float64), torch.ones(25, dtype=torch.float64)]
            up, down = [v.clone() for v in w], [v.clone() for v in w]
            up[side][i] += h * n
            down[side][i] -= h * n
            slope = (distance(*up) - distance(*down)) / (2 * h)
            # The product uses the divisor n - 1 for covariances, the weighted form n: equal up to 1/n.
            assert float(ours[i]) == pytest.approx(slope, rel=3 / n, abs=3 / n * float(ours.abs().max()))


def test_influences_sum_to_zero_and_swap_sides():
    rng = np.random.default_rng(1)
    real, fake = draw(rng, 80, 5), draw(rng, 60, 5, 0.3, 1.4)
    of_real, of_fake = frechet_influences(real, fake)
    assert abs(float(of_real.sum())) < 1e-9
    assert abs(float(of_fake.sum())) < 1e-9
    swapped_real, swapped_fake = frechet_influences(fake, real)
    torch.testing.assert_close(of_real, swapped_fake)
    torch.testing.assert_close(of_fake, swapped_real)


def test_an_outlier_has_the_largest_influence_and_removing_it_does_what_it_says():
    rng = np.random.default_rng(2)
    real, fake = draw(rng, 500, 4), draw(rng, 400, 4, 0.1)
    fake[17] = 6.0
    _, of_fake = frechet_influences(real, fake)
    assert int(of_fake.argmax()) == 17
    without = torch.cat([fake[:17], fake[18:]])
    moved = frechet_distance(real, fake) - frechet_distance(real, without)
    assert moved == pytest.approx(float(of_fake[17]) / 400, rel=0.3)


@pytest.mark.parametrize(
    ("d", "n", "shift", "scale"), [(2, 60, 0.2, 1.2), (16, 200, 0.1, 1.1), (16, 200, 0.0, 1.0), (32, 70, 0.2, 1.3)]
)
def test_the_corrected_value_is_unbiased_and_its_interval_holds(d, n, shift, scale):
    rng = np.random.default_rng(d * n)
    truth = d * (shift**2 + (1 - scale) ** 2)
    draws = 300
    estimates = [corrected_frechet_distance(draw(rng, n, d), draw(rng, n, d, shift, scale), rng) for _ in range(draws)]
    values = np.array([e.value for e in estimates])
    raw = np.array([e.plug_in for e in estimates])
    # The bias that falls as 1/n is gone; what is left is a small share of it.
    assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(draws) + 0.1 * abs(raw.mean() - truth)
    inside = np.mean([e.interval(0.95).low <= truth <= e.interval(0.95).high for e in estimates])
    assert 0.92 <= inside <= 0.995, inside


def test_too_few_samples_are_refused_with_the_number_needed():
    rng = np.random.default_rng(0)
    assert samples_needed(64) == 130
    assert samples_needed(2) == 50
    with pytest.raises(ValueError, match="130 or more"):
        corrected_frechet_distance(draw(rng, 129, 64), draw(rng, 200, 64), rng)
    with pytest.raises(ValueError, match="more than 5"):
        frechet_influences(draw(rng, 5, 5), draw(rng, 50, 5))


def test_a_constant_feature_gives_finite_numbers():
    rng = np.random.default_rng(0)
    real, fake = draw(rng, 100, 3), draw(rng, 100, 3)
    fake[:, 1] = 2.0
    nothing = corrected_frechet_distance(torch.ones(60, 3), torch.ones(70, 3), rng)
    assert (nothing.value, nothing.standard_error) == (0.0, 0.0)
    found = corrected_frechet_distance(real, fake, rng)
    assert math.isfinite(found.value)
    assert math.isfinite(found.standard_error)
