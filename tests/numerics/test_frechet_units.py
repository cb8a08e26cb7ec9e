"""Features at the ends of float64: the same numbers in another unit, or a refusal that names the limit."""

import numpy as np
import pytest
import torch

from ganaudit.numerics.frechet import frechet_bias, frechet_distance, frechet_distances
from ganaudit.numerics.frechet_inference import corrected_frechet_distance
from ganaudit.numerics.frechet_units import unit_of
from ganaudit.numerics.kernel import kernel_distance
from ganaudit.numerics.kernels import median_distance
from ganaudit.numerics.moments import GroupedMoments, Moments

# Powers of 2 near 1e-150, 1e-16, 1e16 and 1e99, so that the scaled features are the same numbers.
UNITS = [2.0**-498, 2.0**-53, 2.0**53, 2.0**328]


def draw(n, d, seed, scale=1.0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)) * scale)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("constant", [False, True])
def test_the_corrected_distance_knows_no_scale(unit, constant):
    real, fake = draw(120, 3, 0), draw(100, 3, 1, 1.3)
    if constant:
        fake[:, 1] = 0.0
    one, other = (corrected_frechet_distance(real * u, fake * u, np.random.default_rng(2)) for u in (1.0, unit))
    square = unit * unit
    for name in ("value", "standard_error", "plug_in", "plug_in_error"):
        assert getattr(one, name) > 0
        assert getattr(other, name) == pytest.approx(getattr(one, name) * square, rel=1e-9), name
    assert other.line.intercept == pytest.approx(one.line.intercept * square, rel=1e-9)
    assert other.line.slope == pytest.approx(one.line.slope * square, rel=1e-9)
    assert other.thinned.values == pytest.approx([v * square for v in one.thinned.values], rel=1e-9)
    torch.testing.assert_close(other.fake_influences / square, one.fake_influences, rtol=1e-9, atol=1e-9)
    assert one.real_influences.shape == other.real_influences.shape == (120,)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("n", [4, 60])
def test_the_distance_knows_no_scale(unit, n):
    real, fake = draw(n, 6, 3), draw(n, 6, 4, 1.2)
    expected = frechet_distance(real, fake) * unit * unit
    assert frechet_distance(real * unit, fake * unit) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("unit", UNITS)
def test_the_distances_of_groups_and_the_bias_know_no_scale(unit):
    sides = [draw(60, 3, seed) for seed in (5, 6)]

    def distances(u):
        groups = [GroupedMoments.gather([(0, x * u)], 60, 4, np.random.default_rng(7)) for x in sides]
        return frechet_distances(*groups, [(0, 1), (1, 2, 3)])

    torch.testing.assert_close(distances(unit) / unit / unit, distances(1.0), rtol=1e-9, atol=0)
    covariance = Moments.of(sides[0]).covariance
    expected = frechet_bias(covariance, 60, 50)
    assert frechet_bias(covariance * unit * unit, 60, 50) / unit / unit == pytest.approx(expected, rel=1e-9)


def test_no_other_unit_is_taken_where_all_is_usual_or_nothing_varies():
    assert [unit_of(t) for t in ([0.0, 0.0], [1e-9, 0.0], [1e10, 1.0])] == [1, 1, 1]
    assert unit_of([2.0**200, 1.0]) == 2.0**100


@pytest.mark.parametrize("size", [1e150, 1e100])
def test_features_too_large_are_refused_by_name_of_the_limit(size):
    real, fake = torch.ones(60, 2, dtype=torch.float64), torch.ones(60, 2, dtype=torch.float64)
    fake[7, 1] = -size
    for refused in (
        lambda: frechet_distance(real, fake),
        lambda: frechet_distance(real[:2], fake[6:8]),
        lambda: corrected_frechet_distance(real, fake, np.random.default_rng(0)),
        lambda: Moments.of(fake),
        lambda: Moments.from_statistics(None, fake[7], torch.eye(2)),
        lambda: GroupedMoments.gather([(0, fake)], 60, 4, np.random.default_rng(0)),
        lambda: kernel_distance(real, fake),
        lambda: median_distance(fake, np.random.default_rng(0)),
    ):
        with pytest.raises(ValueError, match="allowed: below 1e100"):
            refused()


def test_features_that_the_kernel_cannot_hold_are_refused_in_words():
    with pytest.raises(ValueError, match="the kernel leaves float64"):
        kernel_distance(draw(10, 2, 8) * 1e60, draw(10, 2, 9) * 1e60)
