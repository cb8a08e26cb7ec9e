"""Support size: closed forms of the birthday paradox, planted supports, shrunken rates, the class probe."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from ganaudit.numerics.class_probe import ClassProbe
from ganaudit.numerics.shrinkage import shrunken_rates
from ganaudit.numerics.support import closeness, collisions, support


@pytest.mark.parametrize(("s", "size"), [(471, 160_000), (118, 10_000)])
def test_a_set_with_even_odds_of_a_pair_speaks_for_its_support(s, size):
    """s^2/(2 ln 2): at ln 2 expected pairs half of all sets have one."""
    pairs = support(s, 0).pairs
    assert pairs / np.log(2) == pytest.approx(size, rel=0.01)
    assert np.exp(-pairs / size) == pytest.approx(0.5, abs=0.005)


def test_limit_is_the_exact_poisson_one():
    found = support(200, 7)
    assert found.estimate == pytest.approx(19_900 / 7)
    most = found.pairs / found.at_least
    assert stats.poisson.cdf(7, most) == pytest.approx(0.05, abs=1e-9)
    assert support(200, 0).estimate is None
    assert support(3, 3).at_least == 1.0


def test_limit_holds_for_planted_supports():
    rng, size, held = np.random.default_rng(0), 5000, 0
    for _ in range(300):
        drawn = np.bincount(rng.integers(0, size, 300))
        held += support(300, int((drawn * (drawn - 1) // 2).sum())).at_least <= size
    assert held / 300 >= 0.95 - 0.025


def test_collisions_are_pairs_counted_one_by_one():
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(40, 3)))
    x[5], x[6] = x[0], x[0]
    one_by_one = sorted(float((x[i] - x[j]).norm()) for i in range(40) for j in range(i))
    assert closeness(x, 10) == pytest.approx(one_by_one[9], rel=1e-12)
    assert collisions(x, one_by_one[9] * (1 + 1e-12)) == 10
    assert collisions(x, 0.0) == 3


def test_shrunken_rates_are_the_posterior_means():
    """With the Beta law that the moments give, the mean of the posterior by quadrature."""
    counts, sizes = np.array([3, 40, 18, 55]), np.array([20, 60, 50, 60])
    found = shrunken_rates(counts, sizes)
    mean = counts.sum() / sizes.sum()
    weights = (found - mean) / (counts / sizes - mean)  # n/(n + s)
    s = sizes * (1 / weights - 1)
    assert s == pytest.approx(np.full(4, s[0]))
    prior = stats.beta(s[0] * mean, s[0] * (1 - mean))
    for c, n, rate in zip(counts, sizes, found, strict=True):
        mass = [
            integrate.quad(lambda p, k=k, c=c, n=n: p**k * prior.pdf(p) * stats.binom.pmf(c, n, p), 0, 1)[0]
            for k in (0, 1)
        ]
        assert rate == pytest.approx(mass[1] / mass[0], rel=1e-5)


def test_groups_that_differ_by_chance_alone_get_one_rate():
    assert shrunken_rates([10, 9, 11], [20, 20, 20]) == pytest.approx([0.5, 0.5, 0.5])


def test_shrinking_brings_rates_nearer_to_the_truth():
    rng = np.random.default_rng(2)
    truth, sizes = rng.beta(8, 4, 200), rng.integers(3, 15, 200)
    counts = rng.binomial(sizes, truth)
    errors = [np.square(found - truth).mean() for found in (counts / sizes, shrunken_rates(counts, sizes))]
    assert errors[1] < errors[0] / 2


def test_probe_tells_shifted_classes_by_the_bayes_rate():
    """Two unit Gaussians 2 apart: no rule is right more often than Phi(1) = 0.841, a linear one reaches it."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 6000)
    x = rng.normal(size=(6000, 4))
    x[:, 0] += 2 * labels
    x[:, 3] = 7.0
    features, labels = torch.from_numpy(x), torch.from_numpy(labels)
    said = ClassProbe.fitted(features[:3000], labels[:3000], 2).said(features[3000:])
    assert float((said == labels[3000:]).double().mean()) == pytest.approx(stats.norm.cdf(1), abs=0.02)


def test_probe_agrees_with_a_peer_and_sees_classes_in_a_row():
    """Four classes along one direction: a regression on indicators would never say the two in the middle."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(4)
    labels = rng.choice(4, 800, p=[0.4, 0.3, 0.2, 0.1])
    x = rng.normal(size=(800, 3)) + 4.0 * labels[:, None] * np.array([1.0, 0.5, 0.0])
    theirs = LinearDiscriminantAnalysis().fit(x, labels).predict(x)
    said = ClassProbe.fitted(torch.from_numpy(x), torch.from_numpy(labels), 4).said(torch.from_numpy(x)).numpy()
    assert (said == theirs).mean() > 0.99
    assert (said == labels).mean() > 0.95


def test_refuses():
    with pytest.raises(ValueError, match="samples"):
        support(1, 0)
    with pytest.raises(ValueError, match="collisions"):
        support(3, 4)
    with pytest.raises(ValueError, match="each from 0 to its size"):
        shrunken_rates([2], [1])
    with pytest.raises(ValueError, match="labels"):
        ClassProbe.fitted(torch.ones(3, 2), torch.tensor([0, 1]), 2)
