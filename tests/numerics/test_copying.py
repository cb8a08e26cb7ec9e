"""Statistics of copying: known answers (K19, K20, K26 of the anchors), plain counting, and simulated laws."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.numerics.copying import (
    cell_centres,
    copy_threshold,
    copying_test,
    members_caught,
    toward,
)
from ganaudit.numerics.detection import auc
from ganaudit.numerics.nearest import nearest
from ganaudit.numerics.neighbours import radii


def drawn(n, d, seed):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d))).float()


def one_cell(n):
    return torch.zeros(n, dtype=torch.int64)


def apart(x, y):
    return torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist")


def ranked(fake, held, train):
    distances = [nearest(side, train).distances[:, 0] for side in (fake, held)]
    return copying_test(*distances, one_cell(len(fake)), one_cell(len(held)))


# --- C_T


def test_k19_a_copycat_has_the_least_value():
    train, held = drawn(1000, 8, 0), drawn(1000, 8, 1)
    found = ranked(train, held, train)
    assert found.value == pytest.approx(-38.7201, abs=5e-5)
    assert found.bounds.low <= found.value <= found.bounds.high


def test_k19_one_law_is_near_0_and_half_copies_are_far_below():
    train, held, fake = (drawn(1000, 8, seed) for seed in range(3))
    assert abs(ranked(fake, held, train).value) < 4
    half = torch.cat([train[:500], fake[500:]])
    assert -21 < ranked(half, held, train).value < -17
    assert ranked(2 * fake, held, train).value > 17


def test_one_cell_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    fake, held = rng.integers(0, 9, 60) / 4, rng.integers(0, 12, 45) / 4
    found = copying_test(torch.from_numpy(fake), torch.from_numpy(held), one_cell(60), one_cell(45))
    u = stats.mannwhitneyu(fake, held).statistic
    assert found.value == pytest.approx((u - 60 * 45 / 2 + 0.5) / math.sqrt(60 * 45 * 106 / 12), rel=1e-12)
    assert found.left_out == 0


def test_cells_are_weighted_by_unseen_reals_and_small_ones_left_out():
    rng = np.random.default_rng(1)
    fake, held = torch.from_numpy(rng.random(100)), torch.from_numpy(rng.random(90))
    fake_cells = torch.tensor([0] * 40 + [1] * 50 + [2] * 10)
    held_cells = torch.tensor([0] * 25 + [1] * 60 + [2] * 5)
    found = copying_test(fake, held, fake_cells, held_cells)
    alone = [ranked_in(fake, held, fake_cells, held_cells, c) for c in (0, 1)]
    assert found.value == pytest.approx((25 * alone[0] + 60 * alone[1]) / 85, rel=1e-12)
    assert [cell[:3] for cell in found.cells] == [(0, 40, 25), (1, 50, 60)]
    assert found.left_out == 10
    # Where no cell holds enough, all samples are one cell.
    assert len(copying_test(fake[:8], held[:8], fake_cells[:8], held_cells[:8]).cells) == 1


def ranked_in(fake, held, fake_cells, held_cells, c):
    a, b = fake[fake_cells == c], held[held_cells == c]
    return copying_test(a, b, one_cell(len(a)), one_cell(len(b))).value


def test_the_interval_of_ct_holds_its_expectation():
    # d(fake) ~ N(-0.3, 1), d(held) ~ N(0, 1): P(fake farther) = Phi(-0.3/sqrt 2) in each of two cells.
    rng, n = np.random.default_rng(2), 120
    share = stats.norm.cdf(-0.3 / math.sqrt(2))
    truth = (n * n * (share - 0.5) + 0.5) / math.sqrt(n * n * (2 * n + 1) / 12)
    cells, inside = torch.arange(2 * n) % 2, 0
    for _ in range(200):
        fake, held = (torch.from_numpy(rng.normal(m, 1, 2 * n)) for m in (-0.3, 0))
        bounds = copying_test(fake, held, cells, cells).bounds
        inside += bounds.low <= truth <= bounds.high
    assert inside >= stats.binom.ppf(1e-4, 200, 0.93), inside


def test_centres_are_those_of_separate_clusters():
    train = torch.cat([drawn(60, 4, c) / 20 + 10 * c for c in range(3)])
    found = cell_centres(train, 3, np.random.default_rng(0))
    means = torch.stack([train[60 * c : 60 * (c + 1)].double().mean(dim=0) for c in range(3)])
    assert torch.allclose(found[found[:, 0].argsort()], means, atol=1e-6)
    assert len(cell_centres(torch.ones(30, 4), 5, np.random.default_rng(0))) == 1
    assert len(cell_centres(torch.eye(4).repeat(9, 1), 9, np.random.default_rng(0))) == 4


# --- each sample towards the train reals


def test_a_sample_towards_train_reals_is_what_plain_counting_says():
    train, x = drawn(80, 3, 0), torch.cat([drawn(40, 3, 1), drawn(80, 3, 0)[[5, 9]]])
    spacing = radii(train, 1)
    found = toward(x, train, spacing, 4)
    pairs, own = apart(x, train), apart(train, train).fill_diagonal_(math.inf)
    order = pairs.argsort(dim=1)
    assert torch.equal(found.nearest, order[:, 0])
    rising = pairs.gather(1, order)
    torch.testing.assert_close(found.ratio, rising[:, 0] / rising[:, 1:4].mean(dim=1), rtol=1e-12, atol=0)
    assert torch.equal(found.is_authentic, own.amin(dim=1)[order[:, 0]] < rising[:, 0])
    assert found.distance[-2:].tolist() == found.ratio[-2:].tolist() == [0.0, 0.0]
    assert not bool(found.is_authentic[-2:].any())


@pytest.mark.parametrize(("d", "share"), [(2, 0.380), (32, 0.779)])
def test_k20_authenticity_of_one_law_moves_with_the_dimension(d, share):
    # One draw of 2000 has a standard deviation of 0.016, four of them half of it.
    shares = []
    for seed in range(100, 104):
        both = drawn(4000, d, seed)
        train, fake = both[:2000], both[2000:]
        shares.append(float(toward(fake, train, radii(train, 1), 2).is_authentic.double().mean()))
    assert np.mean(shares) == pytest.approx(share, abs=0.02)


def test_one_train_image_alone():
    train = torch.ones(20, 3)
    found = toward(torch.tensor([[1.0, 1, 1], [1, 1, 2]]), train, radii(train, 1), 5)
    assert found.ratio.tolist() == [0.0, 1.0]
    assert found.is_authentic.tolist() == [False, True]
    with pytest.raises(ValueError, match=r"spacing: found shape \(3,\)"):
        toward(train, train, torch.ones(3), 5)


def test_unseen_reals_reach_the_threshold_as_often_as_promised():
    rng, share, m = np.random.default_rng(3), 0.02, 149
    hits = 0
    for _ in range(2000):
        ratios = torch.from_numpy(rng.beta(5, 2, m + 1))
        hits += float(ratios[-1]) <= copy_threshold(ratios[:-1], share)
    # j/(m + 1) with j = 3 of 150: four standard deviations of 2000 trials.
    assert abs(hits / 2000 - 0.02) < 4 * math.sqrt(0.02 * 0.98 / 2000)
    assert copy_threshold(torch.rand(49), 0.02) is not None
    assert copy_threshold(torch.rand(48), 0.02) is None


# --- membership


@pytest.mark.parametrize("delta", [-0.5, 0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_k26_members_ranked_and_above_the_thousandth_of_non_members(delta):
    rng, n, share = np.random.default_rng(4), 200_000, 0.001
    members, others = (torch.from_numpy(rng.normal(m, 1, n)) for m in (delta, 0))
    at = stats.norm.isf(share)
    rate = stats.norm.sf(at - delta)
    found = members_caught(members, others, share)
    # Two scatters: that of n members, and that of the threshold, times the density of members over that of others.
    slope = stats.norm.pdf(at - delta) / stats.norm.pdf(at)
    scatter = math.sqrt(rate * (1 - rate) / n + slope**2 * share / n)
    assert found.value == pytest.approx(rate, abs=4 * scatter)
    assert found.value == float((members > others.sort().values[-200]).double().mean())
    assert found.bounds.low < found.value < found.bounds.high
    area = auc(members, others)
    # P(a member scores above another) is that of a normal difference; never more than 0.289/n^(1/2) of scatter a side.
    assert area.value == pytest.approx(stats.norm.cdf(delta / math.sqrt(2)), abs=4 * 0.289 * math.sqrt(2 / n))


@pytest.mark.parametrize(
    ("delta", "area", "rate"), [(0.1, 0.528186, 0.001394), (0.5, 0.638163, 0.004796), (1.0, 0.760250, 0.018298)]
)
def test_k26_closed_forms_are_those_of_the_anchors(delta, area, rate):
    assert stats.norm.cdf(delta / math.sqrt(2)) == pytest.approx(area, abs=1e-6)
    assert stats.norm.sf(stats.norm.isf(0.001) - delta) == pytest.approx(rate, abs=1e-6)


def test_few_non_members_set_no_low_rate():
    assert members_caught(torch.rand(50), torch.rand(999), 0.01) is None
    assert members_caught(torch.rand(50), torch.rand(1000), 0.01) is not None
    assert members_caught(torch.rand(50), torch.rand(9_999), 0.001) is None
    # Scores that tie with the threshold do not count: a constant critic tells nobody.
    assert members_caught(torch.ones(50), torch.ones(1000), 0.01).value == 0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: copying_test(torch.ones(1), torch.ones(5), one_cell(1), one_cell(5)), "fake: found 1 samples"),
        (lambda: copying_test(torch.ones(4), torch.ones(5), one_cell(3), one_cell(5)), "one for each distance"),
        (lambda: toward(torch.ones(4, 2), torch.ones(4, 2), torch.ones(4), 1), "k: found 1"),
        (lambda: cell_centres(torch.ones(4, 2), 0, np.random.default_rng(0)), "cells: found 0"),
        (lambda: copy_threshold(torch.ones(4), 1.0), "found 1.0"),
    ],
)
def test_what_cannot_be_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
