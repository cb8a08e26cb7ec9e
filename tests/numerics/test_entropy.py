"""Inception scores and class entropies against closed forms, loops, enumeration, simulation and torch-fidelity."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch_fidelity.metric_isc import isc_features_to_metric

from benchmarks.coverage_inception import CASES, coverage
from ganaudit.numerics.entropy import class_entropies, class_shares, inception_score, inception_scores


def sampled(n, c, seed, scale=3.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, c)) * scale)


def brute_force(logits):
    shares = [[math.exp(v) / math.fsum(map(math.exp, row)) for v in row] for row in logits.tolist()]
    mean = [math.fsum(column) / len(shares) for column in zip(*shares, strict=True)]
    divergence = math.fsum(p * math.log(p / q) for row in shares for p, q in zip(row, mean, strict=True))
    return math.exp(divergence / len(shares))


def test_constant_logits_score_one():
    assert inception_scores(torch.full((12, 5), 2.5), 3).tolist() == pytest.approx([1.0] * 3, rel=1e-12)


@pytest.mark.parametrize("c", [2, 10])
def test_balanced_certain_classes_score_their_number(c):
    logits = 1e4 * torch.eye(c).repeat(6, 1)
    assert inception_scores(logits, 3).tolist() == pytest.approx([c] * 3, rel=1e-12)


def test_a_class_that_underflows_everywhere_adds_nothing():
    logits = torch.tensor([[0.0, 5.0, -1e6], [5.0, 0.0, -1e6]])
    assert float(inception_scores(logits, 1)) == pytest.approx(float(inception_scores(logits[:, :2], 1)), rel=1e-12)


def test_uneven_splits_are_scored_on_their_own_rows():
    logits = sampled(11, 4, 0)
    scores = inception_scores(logits, 3)
    assert scores.dtype == torch.float64
    expected = [brute_force(logits[start:stop]) for start, stop in ((0, 3), (3, 7), (7, 11))]
    assert scores.tolist() == pytest.approx(expected, rel=1e-12)
    assert all(1 <= score <= 4 for score in scores.tolist())


def test_order_is_applied_before_splitting():
    logits, order = sampled(20, 4, 1), torch.randperm(20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(inception_scores(logits, 4, order), inception_scores(logits[order], 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "splits"), [(500, 10), (97, 7)])
def test_agrees_with_torch_fidelity(n, splits, dtype):
    logits = sampled(n, 12, 2).to(dtype)
    peer = isc_features_to_metric(logits, splits=splits, shuffle=True, rng_seed=2020)
    order = torch.from_numpy(np.random.RandomState(2020).permutation(n))
    scores = inception_scores(logits, splits, order).numpy()
    assert scores.mean() == pytest.approx(peer["inception_score_mean"], rel=1e-12)
    assert scores.std(ddof=0) == pytest.approx(peer["inception_score_std"], rel=1e-9)


def test_class_shares_count_the_largest_logits():
    logits = torch.tensor([[0.0, 1.0, 0.5], [2.0, 1.0, 0.5], [0.0, 3.0, 1.0], [1.0, 1.0, 0.0]])
    assert class_shares(logits).tolist() == [0.5, 0.5, 0.0]


def laws_of(logits):
    return [[math.exp(v) / math.fsum(map(math.exp, row)) for v in row] for row in logits.tolist()]


def plain(laws):
    """H(pbar), H(pbar) - mean H(p) and the first-order bias, by loops over Python floats."""
    n = len(laws)
    columns = list(zip(*laws, strict=True))
    means = [math.fsum(column) / n for column in columns]
    entropy = -math.fsum(m * math.log(m) for m in means if m > 0)
    within = -math.fsum(p * math.log(p) for row in laws for p in row if p > 0) / n
    variances = [math.fsum((p - m) ** 2 for p in column) / (n - 1) for column, m in zip(columns, means, strict=True)]
    return entropy, entropy - within, math.fsum(v / m for v, m in zip(variances, means, strict=True) if m > 0) / (2 * n)


@pytest.mark.parametrize(("n", "c", "seed"), [(3, 2, 0), (12, 4, 1), (9, 30, 2)])
def test_entropies_are_the_plain_jackknife(n, c, seed):
    laws = laws_of(sampled(n, c, seed))
    found = class_entropies(sampled(n, c, seed), block=5)
    left = [plain(laws[:i] + laws[i + 1 :]) for i in range(n)]
    *plug_ins, bias = plain(laws)
    for which, ours in enumerate((found.marginal, found.information)):
        firsts = [values[which] + values[2] for values in left]
        first = plug_ins[which] + bias
        moved = (np.mean(firsts) - first) * (n - 1) ** 2 / (2 * n - 1)
        error = max(math.sqrt((n - 1) / n * np.sum((firsts - np.mean(firsts)) ** 2)), math.sqrt(2 / c) * bias)
        raws = np.array([values[which] for values in left])
        # Values of order 1 carry rounding of n eps; the jackknife multiplies a difference of them by n.
        assert ours.plug_in == pytest.approx(plug_ins[which], abs=1e-12)
        assert ours.plug_in_error == pytest.approx(
            math.sqrt((n - 1) / n * np.sum((raws - raws.mean()) ** 2)), abs=1e-12
        )
        assert ours.value == pytest.approx(first - moved, abs=1e-12)
        assert ours.second_order == pytest.approx(-moved, abs=1e-12)
        assert ours.standard_error == pytest.approx(math.hypot(error, moved), abs=1e-12)


def test_for_certain_classes_the_first_correction_is_that_of_miller_and_madow():
    logits = 1e4 * torch.eye(5)[torch.tensor([0] * 7 + [1] * 3 + [2] * 5 + [3])]
    found = class_entropies(logits).marginal
    # Three of five classes beside the first are reached; the sample variance has divisor n - 1.
    assert found.value - found.second_order - found.plug_in == pytest.approx(3 / (2 * 15), rel=1e-12)
    assert found.plug_in == pytest.approx(stats.entropy([7, 3, 5, 1]), rel=1e-12)


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.8, 0.15, 0.05)])
def test_the_correction_takes_the_bias_away_in_exact_expectation(shares):
    n, truth = 40, stats.entropy(shares)
    expected_plug_in = expected = 0.0
    for first, second in itertools.product(range(n + 1), repeat=2):
        if first + second > n:
            continue
        counts = torch.tensor([first, second, n - first - second])
        chance = stats.multinomial.pmf(counts.numpy(), n, shares)
        found = class_entropies(1e4 * torch.eye(3).repeat_interleave(counts, dim=0)).marginal
        expected_plug_in += chance * found.plug_in
        expected += chance * found.value
    # The bias of the plug-in is about (C - 1)/(2 n); the terms of order 1/n^3 that are left are smaller by the square
    # of the fewest expected counts.
    assert expected_plug_in - truth == pytest.approx(-2 / (2 * n), rel=0.2)
    assert abs(expected - truth) < abs(expected_plug_in - truth) / (n * min(shares)) ** 2


def test_entropies_of_equal_and_of_balanced_certain_samples():
    constant = class_entropies(torch.full((20, 6), 0.5))
    assert constant.marginal.value == pytest.approx(math.log(6), rel=1e-14)
    assert constant.information.value == pytest.approx(0, abs=1e-12)
    assert constant.information.standard_error == pytest.approx(0, abs=1e-12)
    balanced = class_entropies(1e4 * torch.eye(6).repeat(50, 1))
    assert balanced.information.plug_in == pytest.approx(math.log(6), rel=1e-14)
    # Equal counts leave every t_-i the same; the interval still has the width of a chi-squared's half.
    bias = 5 / (2 * 299)
    assert balanced.marginal.standard_error >= math.sqrt(2 / 6) * bias
    value, bounds = balanced.marginal.within(math.log(6), 0.95)
    assert bounds.low < value == bounds.high == math.log(6) < balanced.marginal.value
    assert bounds.low == pytest.approx(value - 1.959964 * balanced.marginal.standard_error, rel=1e-6)


def test_entropies_do_not_know_blocks_order_or_what_a_row_has_in_common():
    logits = sampled(200, 7, 4)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    whole = class_entropies(logits)
    for other in (
        class_entropies(logits, block=33),
        class_entropies(logits[order]),
        class_entropies(logits + sampled(200, 1, 5)),
        class_entropies(logits[:, torch.tensor([3, 0, 1, 2, 6, 5, 4])]),
    ):
        for ours, theirs in ((whole.marginal, other.marginal), (whole.information, other.information)):
            assert ours.value == pytest.approx(theirs.value, rel=1e-11)
            assert ours.standard_error == pytest.approx(theirs.standard_error, rel=1e-9)
    assert torch.allclose(inception_scores(logits, 3, order, block=11), inception_scores(logits, 3, order), rtol=1e-13)


def test_the_interval_over_splits_is_students():
    estimate = inception_score(sampled(300, 5, 6), 8)
    scores = estimate.scores.numpy()
    assert estimate.by_splits
    low, high = stats.t.interval(0.9, 7, loc=scores.mean(), scale=stats.sem(scores))
    bounds = estimate.interval(0.9)
    assert (bounds.low, bounds.high) == pytest.approx((low, high), rel=1e-12)
    assert (estimate.value, estimate.spread) == pytest.approx((scores.mean(), scores.std()), rel=1e-12)


def test_with_few_splits_the_error_is_that_of_jackknives_within_them():
    logits = sampled(41, 4, 7)
    order = torch.randperm(41, generator=torch.Generator().manual_seed(2))
    estimate = inception_score(logits, 2, order)
    assert not estimate.by_splits
    variance = 0.0
    for part in (logits[order][:20], logits[order][20:]):
        left = np.log([brute_force(torch.cat([part[:i], part[i + 1 :]])) for i in range(len(part))])
        error = math.sqrt((len(part) - 1) / len(part) * np.sum((left - left.mean()) ** 2)) * brute_force(part)
        variance += error**2 / 4
    assert estimate.standard_error == pytest.approx(math.sqrt(variance), rel=1e-9)
    bounds = estimate.interval(0.95)
    assert 1 < bounds.low < estimate.value < bounds.high
    assert math.log(bounds.high / estimate.value) == pytest.approx(
        1.959964 * math.sqrt(variance) / estimate.value, rel=1e-6
    )


@pytest.fixture(scope="module")
def covered():
    cases = [case for case in CASES if case.title in ("10 rare and frequent classes", "10 classes, one split")]
    return coverage(audits=300, seed=1, cases=tuple(cases))


def test_intervals_hold_the_truth_as_often_as_they_say(covered):
    assert len(covered) == 6
    # Fewer than this hold once in ten thousand tests where 92 % of all audits do.
    least = stats.binom.ppf(1e-4, 300, 0.92)
    for row in covered:
        assert row["inside"] >= least, row
        if row["truth"] == math.log(10):
            continue  # the edge of the possible values: what would lie beyond is reported as the edge itself
        assert abs(row["mean_value"] - row["truth"]) < 5 * row["standard_deviation"] / math.sqrt(300), row
        # Student's quantile over 10 splits is 2.26; the deviation of 300 values is known to 4 % (one standard error).
        assert row["mean_width"] < 2 * 2.27 * 1.16 * row["standard_deviation"], row


def test_bad_arguments_are_refused():
    logits = sampled(6, 3, 3)
    for splits in (0, 7):
        with pytest.raises(ValueError, match=f"splits: found {splits}; allowed: 1 to 6"):
            inception_scores(logits, splits)
    for order in (torch.arange(5), torch.zeros(6, dtype=torch.int64)):
        with pytest.raises(ValueError, match="order"):
            inception_scores(logits, 2, order)
    for bad in (logits[0], logits[:0], logits * math.nan):
        for function in (class_shares, class_entropies, lambda values: inception_scores(values, 1)):
            with pytest.raises(ValueError, match=r"found .*allowed"):
                function(bad)
    with pytest.raises(ValueError, match="logits: found 2 samples; allowed: 3 or more"):
        class_entropies(logits[:2])
    with pytest.raises(ValueError, match="samples of a split: found 1; allowed: 3 or more"):
        inception_score(logits, 4)
    with pytest.raises(ValueError, match="block: found 0"):
        class_entropies(logits, block=0)
