"""Shares corrected for a classifier's errors: published numbers (K13), planted shares, and Kolmogorov's law."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.numerics.label_shift import misfit, resolution, shares, state_share


def confusion(accuracy, states=2):
    off = (1 - accuracy) / (states - 1)
    return torch.full((states, states), off, dtype=torch.float64).fill_diagonal_(accuracy)


def one_hot(answers, states=2):
    return torch.eye(states, dtype=torch.float64)[torch.as_tensor(answers)]


def exact(rate, n):
    """Answers of which a share says 1, as nearly as n allows."""
    return one_hot([1] * round(rate * n) + [0] * (n - round(rate * n)))


@pytest.mark.parametrize(
    ("accuracy", "share", "answers", "n", "error"),
    [(0.9, 0.0, 0.1, 1000, 0.0119), (0.9, 0.5, 0.5, 1000, 0.0198), (0.8, 0.25, 0.35, 1000, 0.0251)],
)
def test_rogan_and_gladens_numbers(accuracy, share, answers, n, error):
    q = torch.tensor([1 - answers, answers], dtype=torch.float64)
    assert float(shares(q, confusion(accuracy))[1]) == pytest.approx(share, abs=1e-12)
    assert resolution(confusion(accuracy), [1]) == pytest.approx(2 * accuracy - 1, abs=1e-12)
    # Error rates known from endless samples leave the published error; the pseudo-counts move it by 2 / n of itself.
    m = 10**6
    known = torch.stack([exact(1 - accuracy, m), exact(accuracy, m)], 1)
    found = state_share(exact(answers, n), known, [1])
    assert found.value == pytest.approx(share, abs=1e-9)
    assert found.error == pytest.approx(error, abs=3e-4)


def test_four_turns_are_recovered_exactly():
    p = torch.tensor([0.85, 0.05, 0.05, 0.05], dtype=torch.float64)
    q = torch.tensor([0.77, 0.23 / 3, 0.23 / 3, 0.23 / 3], dtype=torch.float64)
    torch.testing.assert_close(confusion(0.9, 4) @ p, q)
    torch.testing.assert_close(shares(q, confusion(0.9, 4)), p)


def test_a_classifier_that_sees_nothing_resolves_nothing():
    assert resolution(torch.full((2, 2), 0.5), [0]) == 0
    # The turn by 180 degrees looks like no turn, the other two are plain.
    turns = torch.tensor([[0.5, 0, 0.5, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1.0]])
    assert resolution(turns, [1, 2, 3]) == 0
    with pytest.raises(ValueError, match="do not tell the states apart"):
        shares(torch.tensor([0.5, 0.5]), torch.full((2, 2), 0.5))
    with pytest.raises(ValueError, match=r"known: found shape \(3, 2, 3\)"):
        state_share(one_hot([0, 1]), torch.zeros(3, 2, 3), [1])


@pytest.mark.parametrize(("share", "apart"), [(0.0, False), (0.1, False), (0.5, True), (0.1, True)])
def test_intervals_hold_the_planted_share(share, apart):
    """``apart``: whether the two answers to one known sample are drawn apart, or err against each other."""
    rng, runs, n, m, rates = np.random.default_rng(0), 500, 400, 120, (0.1, 0.85)
    held = 0
    for _ in range(runs):
        u = rng.random((m, 2))
        if not apart:
            u[:, 1] = 1 - u[:, 0]
        known = torch.stack([one_hot((u[:, j] < rates[j]).astype(int)) for j in (0, 1)], 1)
        q = (1 - share) * rates[0] + share * rates[1]
        bounds = state_share(one_hot((rng.random(n) < q).astype(int)), known, [1]).interval(0.95)
        held += bounds.low <= share <= bounds.high
    # Four standard errors of 500 runs about 95 %, and room above for the end at 0, which cannot be missed below.
    assert 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs) <= held / runs <= 0.99


def test_intervals_of_three_states_hold_the_planted_share():
    """Two judges vote; a sample in the state of one is sometimes called changed by the other too."""
    rng, runs, n, m = np.random.default_rng(3), 400, 500, 200
    rates = np.array([[0.1, 0.05], [0.8, 0.3], [0.2, 0.9]])  # state by judge
    truth, held = np.array([0.65, 0.3, 0.05]), 0

    def rows(votes):
        told = torch.from_numpy(votes / 2.0)
        return torch.cat([1 - told.sum(-1, keepdim=True), told], -1)

    for _ in range(runs):
        known = rows((rng.random((m, 3, 2)) < rates).astype(float))
        votes = rows((rng.random((n, 2)) < rates[rng.choice(3, n, p=truth)]).astype(float))
        bounds = state_share(votes, known, [2]).interval(0.95)
        held += bounds.low <= truth[2] <= bounds.high
    assert 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs) <= held / runs <= 0.995


def test_no_errors_seen_are_not_taken_for_none():
    perfect = torch.eye(2, dtype=torch.float64).expand(50, 2, 2)
    bounds = state_share(one_hot([0] * 200), perfect, [1]).interval(0.95)
    assert bounds.low == 0
    assert bounds.high >= stats.beta.ppf(0.975, 1, 200)  # Clopper and Pearson's for none of 200
    assert state_share(one_hot([1] * 200), perfect, [1]).interval(0.95).low <= stats.beta.ppf(0.025, 200, 1)


def test_misfit_is_kolmogorovs_distance_to_the_mixture():
    rng = np.random.default_rng(1)
    known = torch.from_numpy(rng.normal([0, 3], 1, (60, 2)))
    scores = torch.from_numpy(rng.normal(size=40))
    distance, p = misfit(scores, known, torch.tensor([1.0, 0.0]))
    theirs = stats.ks_2samp(scores.numpy(), known[:, 0].numpy(), method="asymp")
    assert distance == pytest.approx(theirs.statistic, abs=1e-12)
    assert p == pytest.approx(stats.kstwobign.sf(theirs.statistic * math.sqrt(40 * 60 / 100)), rel=1e-9)
    half = misfit(scores, known, torch.tensor([0.5, 0.5]))[0]
    at = np.concatenate([scores.numpy(), known.numpy().ravel()])
    below = [np.array([(side <= t).mean() for t in at]) for side in (scores.numpy(), *known.numpy().T)]
    assert half == pytest.approx(np.abs(below[0] - (below[1] + below[2]) / 2).max(), abs=1e-12)


def test_a_mixture_fits_and_a_stranger_does_not():
    rng = np.random.default_rng(2)
    known = torch.from_numpy(rng.normal([0, 4], 1, (400, 2)))
    mixed = torch.from_numpy(np.where(rng.random(800) < 0.3, 4, 0) + rng.normal(size=800))
    assert misfit(mixed, known, torch.tensor([0.7, 0.3]))[1] > 1e-3
    assert misfit(torch.from_numpy(rng.normal(size=800) + 2), known, torch.tensor([0.5, 0.5]))[1] < 1e-6


def test_misfit_above_a_bound_is_the_distance_of_what_lies_above():
    rng = np.random.default_rng(3)
    known, scores = torch.from_numpy(rng.normal([-2, 1], 1, (50, 2))), torch.from_numpy(rng.normal(0, 2, 70))
    weights = [0.8, 0.2]
    distance, p = misfit(scores, known, torch.tensor(weights), above=0.0)
    ours = [one for one in scores.tolist() if one > 0]
    theirs = [(one, w) for row in known.tolist() for one, w in zip(row, weights, strict=True) if one > 0]
    total = sum(w for _, w in theirs)
    gaps = [
        abs(sum(one <= t for one in ours) / len(ours) - sum(w for one, w in theirs if one <= t) / total)
        for t in [*ours, *(one for one, _ in theirs)]
    ]
    assert distance == pytest.approx(max(gaps), abs=1e-12)
    m = min(50, total**2 / sum(w * w for _, w in theirs))
    assert p == pytest.approx(stats.kstwobign.sf(max(gaps) * math.sqrt(len(ours) * m / (len(ours) + m))), rel=1e-9)
    assert misfit(scores, known, torch.tensor(weights), above=99.0) == (0.0, 1.0)


def test_few_strangers_hide_among_all_and_stand_out_among_those_taken_for_changed():
    rng = np.random.default_rng(4)
    known = torch.from_numpy(rng.normal([-3, 3], 1, (500, 2)))
    # One in twenty scores just above 0, as what is like neither does; changed ones score about 3.
    fake = torch.from_numpy(np.concatenate([rng.normal(-3, 1, 475), rng.uniform(0, 0.5, 25)]))
    mixed = torch.tensor([0.95, 0.05])
    assert misfit(fake, known, mixed)[1] > 0.05
    assert misfit(fake, known, mixed, above=0.0)[1] < 1e-6


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_mixture_is_seldom_taken_for_none_above_a_bound(share):
    rng, runs, low = np.random.default_rng(5), 400, 0
    for _ in range(runs):
        known = torch.from_numpy(rng.normal([-1.5, 1.5], 1, (200, 2)))
        fake = torch.from_numpy(np.where(rng.random(500) < share, 1.5, -1.5) + rng.normal(size=500))
        found = misfit(fake, known, torch.tensor([1 - share, share]), above=0.0)[1]
        low += found < 0.05
    # 20 of 400 expected at most; 33 are passed with a probability of 0.003.
    assert low <= 33


def test_of_several_mixtures_the_likeliest_counts():
    rng = np.random.default_rng(6)
    known = torch.from_numpy(rng.normal([0, 3], 1, (80, 2)))
    scores = torch.from_numpy(np.where(rng.random(150) < 0.25, 3, 0) + rng.normal(size=150))
    several = torch.tensor([[1.0, 0.0], [0.75, 0.25], [0.2, 0.8]])
    for above in (-math.inf, 1.0):
        each = [misfit(scores, known, mixed, above) for mixed in several]
        assert misfit(scores, known, several, above) == max(each, key=lambda one: one[1])
