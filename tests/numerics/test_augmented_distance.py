"""The difference of two Fréchet distances against the closed form of mirrored Gaussians (K14), and its level."""

import numpy as np
import pytest
import torch

from ganaudit.numerics.augmented_distance import augmented_distance, augmented_distances
from ganaudit.numerics.frechet import frechet_distance


def feature(n, seed, share=0.0):
    """A feature that a mirror turns into its negative, N(1, 1); ``share`` of the samples are mirrored."""
    rng = np.random.default_rng(seed)
    x = rng.normal(1, 1, (n, 1))
    return torch.from_numpy(np.where(rng.random((n, 1)) < share, -x, x))


@pytest.mark.parametrize(
    ("share", "plain", "half"),
    [(0.0, 0.0, 1.171573), (0.1, 0.067619, 0.701515), (0.25, 0.354249, 0.258343), (0.5, 1.171573, 0.0)],
)
def test_mirrored_gaussians_give_the_closed_form(share, plain, half):
    n = 200_000
    real = feature(n, 0)
    found = augmented_distance(real, -real, feature(n, 1, share), np.random.default_rng(2), resamples=2)
    # Means and deviations move by about 1 / sqrt(n) = 0.0022 each; the slope of the distance in them is below 3.
    assert found.plain == pytest.approx(plain, abs=0.02)
    assert found.augmented == pytest.approx(half, abs=0.02)
    assert found.difference == pytest.approx(plain - half, abs=0.03)


def test_the_crossing_lies_where_it_should():
    n = 200_000
    real = feature(n, 0)
    signs = [
        augmented_distance(real, -real, feature(n, 1, r), np.random.default_rng(2), resamples=2).difference > 0
        for r in (0.2194, 0.2394)  # 0.229402 and 0.01 to either side
    ]
    assert signs == [False, True]


def test_distances_are_those_of_the_moments_in_all_directions():
    rng = np.random.default_rng(0)
    real, changed, fake = (torch.from_numpy(rng.normal(size=(50, 4)) * s) for s in (1, 2, 1.5))
    found = augmented_distance(real, changed, fake, np.random.default_rng(1), directions=4)
    assert found.plain == pytest.approx(frechet_distance(real, fake, ("n", "n")), abs=1e-9)
    assert found.n == 50
    assert found.bounds.low <= found.difference <= found.bounds.high


def test_the_interval_of_the_difference_holds_it():
    held, runs, n = 0, 60, 300
    truth = 0.067619 - 0.701515
    for run in range(runs):
        real = feature(n, [run, 0])
        bounds = augmented_distance(real, -real, feature(n, [run, 1], 0.1), np.random.default_rng(run)).bounds
        held += bounds.low <= truth <= bounds.high
    assert held / runs >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / runs)


def test_copies_share_one_draw_and_are_each_as_if_alone():
    """60 reals against 40 of 90 samples: another draw would give another plain distance."""
    rng = np.random.default_rng(0)
    real, fake = (torch.from_numpy(rng.normal(size=(n, 6))) for n in (60, 90))
    changed = {"turned": -real, "moved": real + 1, "same": real}
    found = augmented_distances(real, changed, fake, np.random.default_rng(4), directions=4)
    assert list(found) == list(changed)
    assert len({one.plain for one in found.values()}) == 1
    for name, side in changed.items():
        alone = augmented_distance(real, side, fake, np.random.default_rng(4), directions=4)
        assert (found[name].plain, found[name].augmented) == pytest.approx((alone.plain, alone.augmented), abs=1e-12)
        assert found[name].bounds.low == pytest.approx(alone.bounds.low, abs=1e-12)
    assert found["same"].difference == 0  # nothing was changed, and no draw stands between the two distances
    assert found["same"].bounds.low == found["same"].bounds.high == 0
    other = augmented_distance(real, -real, fake, np.random.default_rng(5), directions=4)
    assert other.plain != pytest.approx(found["turned"].plain, rel=1e-3)


def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="shapes: found"):
        augmented_distance(torch.zeros(3, 2), torch.zeros(4, 2), torch.zeros(3, 2), np.random.default_rng(0))
