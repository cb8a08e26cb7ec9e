"""K18: mixing two Gaussians, whose curves are formulas; pairings against brute force; the similarity and its laws."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.numerics.interpolation import fractions, lerp
from ganaudit.numerics.mixing import auc_curve, frechet_curve, jackknife_similarity, paired, similarity

N = 100_000
T = [0.0, 0.25, 0.5, 0.75, 1.0]


def normals(*shape, seed=0, mean=0.0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape) + mean)


def mixtures(d, features, n=N):
    fake, real = normals(n, features, seed=1), normals(n, features, seed=2, mean=d)
    return torch.stack([lerp(fake, real, t) for t in T])


def everything(curve, pairs, fresh):
    return curve(torch.arange(pairs), torch.arange(fresh))


@pytest.mark.parametrize(
    ("d", "areas"),
    [(1.0, [0.760250, 0.721851, 0.658454, 0.577740, 0.5]), (2.0, [0.921350, 0.880342, 0.792892, 0.652557, 0.5])],
)
def test_auc_along_the_mix_of_two_gaussians(d, areas):
    found = everything(auc_curve(mixtures(d, 1)[..., 0], normals(N, seed=3, mean=d)), N, N)
    # The standard error of an area at this n is below 0.0013.
    assert found.tolist() == pytest.approx(areas, abs=0.005)
    formula = [stats.norm.cdf((1 - t) * d / math.sqrt(1 + (1 - t) ** 2 + t**2)) for t in T]
    assert areas == pytest.approx(formula, abs=1e-6)


@pytest.mark.parametrize(
    ("d", "distances"),
    [(1.0, [1.0, 0.606361, 0.335786, 0.106361, 0.0]), (0.0, [0.0, 0.043861, 0.085786, 0.043861, 0.0])],
)
def test_frechet_distance_along_the_mix_of_two_gaussians(d, distances):
    features = 2
    found = everything(frechet_curve(mixtures(d, features), normals(N, features, seed=3, mean=d)), N, N)
    # Per dimension; a mean of 100,000 is off by 0.0045 at most (two sides), which a distance of 1 shows twice.
    assert (found / features).tolist() == pytest.approx(distances, abs=0.012)


def test_few_rows_of_many_features_give_the_same_distance_as_the_moments():
    mixed, fresh = normals(2, 12, 30, seed=1), normals(15, 30, seed=2)
    found = everything(frechet_curve(mixed, fresh), 12, 15)
    from scipy.linalg import sqrtm

    for value, step in zip(found.tolist(), mixed.numpy(), strict=True):
        a, b = np.cov(step.T), np.cov(fresh.numpy().T)
        gap = step.mean(0) - fresh.numpy().mean(0)
        expected = gap @ gap + np.trace(a + b) - 2 * np.trace(sqrtm(a @ b + 0j)).real
        assert value == pytest.approx(expected, rel=1e-4)


def test_random_pairs_use_no_sample_twice():
    fakes, reals = paired(normals(9, 3), normals(6, 3, seed=1), "random", np.random.default_rng(0))
    assert len(fakes) == len(reals) == 6
    assert len(set(fakes.tolist())) == len(set(reals.tolist())) == 6
    assert fakes.tolist() == sorted(fakes.tolist())
    again = paired(normals(9, 3), normals(6, 3, seed=1), "random", np.random.default_rng(0))
    assert torch.equal(again[1], reals)


def test_transport_is_the_cheapest_of_all_matchings_and_nearest_the_cheapest_of_all_choices():
    fake, real = normals(6, 3), normals(6, 3, seed=1)
    costs = torch.cdist(fake, real).square()
    fakes, reals = paired(fake, real, "transport", np.random.default_rng(0))
    least = min(sum(costs[i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(6)))
    assert float(costs[fakes, reals].sum()) == pytest.approx(float(least))
    fakes, reals = paired(fake, real, "nearest", np.random.default_rng(0))
    assert reals.tolist() == [int(costs[i].argmin()) for i in range(6)]


@pytest.mark.parametrize("rule", ["random", "nearest", "transport"])
def test_pairs_stay_within_their_class(rule):
    labels = torch.tensor([0, 1, 1, 2, 0, 3]), torch.tensor([1, 1, 0, 2, 2, 5])
    fakes, reals = paired(normals(6, 2), normals(6, 2, seed=1), rule, np.random.default_rng(0), labels)
    assert len(fakes)
    assert torch.equal(labels[0][fakes], labels[1][reals])
    assert 5 not in fakes.tolist()
    none = paired(normals(1, 2), normals(1, 2), rule, np.random.default_rng(0), (labels[0][:1], labels[1][:1]))
    assert [len(side) for side in none] == [0, 0]


def test_similarity_is_one_for_the_same_curve_and_falls_to_zero_at_noise():
    null, noise = torch.tensor([0.0, 1.0, 0.0]), torch.tensor([4.0, 3.0, 0.0])
    t = [0.0, 0.5, 1.0]
    assert similarity(null, null, noise, t) == 1.0
    assert similarity(noise, null, noise, t) == 0.0
    assert similarity(2 * noise, null, noise, t) == 0.0
    # Areas by hand: (2 + 1)/2 x 0.5 + 1/2 x 0.5 = 1 of noise 4 + 2 -> (4 + 2)/2 x 0.5 + 2/2 x 0.5 = 2.
    assert similarity(torch.tensor([2.0, 2.0, 0.0]), null, noise, t) == pytest.approx(0.5)
    assert similarity(null, null, null, t) is None


def curves(n, shift, seed, features=4):
    """Generated samples off by ``shift``, other reals, and noise three times as wide, all mixed with the same reals."""
    t = fractions(4)
    real, fresh = normals(n, features, seed=seed), normals(n, features, seed=seed + 1)
    sides = [normals(n, features, seed=seed + 2) + shift, normals(n, features, seed=seed + 3),
             3 * normals(n, features, seed=seed + 4)]  # fmt: skip
    return tuple(frechet_curve(torch.stack([lerp(x, real, s) for s in t]), fresh) for x in sides), t


def test_the_jackknife_has_the_spread_of_new_draws():
    found, errors = [], []
    for audit in range(40):
        made, t = curves(150, 0.8, 10 * audit)
        one = jackknife_similarity(made, 150, 150, t)
        found.append(one.value)
        errors.append((one.bounds.high - one.bounds.low) / 2 / stats.t(9).ppf(0.975))
    # 40 draws tell a standard deviation to 11 %, and ten groups make errors that are a few per cent too large.
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(found, ddof=1), rel=0.4)


def test_where_nothing_moves_there_is_no_interval():
    same = torch.ones(3, 20, 2)
    fresh = torch.ones(20, 2)
    noise = frechet_curve(torch.stack([5 * same[0], 3 * same[0], same[0]]), fresh)
    still = frechet_curve(same, fresh)
    found = jackknife_similarity((still, still, noise), 20, 20, [0.0, 0.5, 1.0])
    assert found.value == 1.0
    assert found.bounds is None
    assert jackknife_similarity((still, still, still), 20, 20, [0.0, 0.5, 1.0]) is None
