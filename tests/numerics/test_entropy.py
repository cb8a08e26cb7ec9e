"""Inception scores against closed forms, Python sums and torch-fidelity."""

import math

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from ganaudit.numerics.entropy import class_shares, inception_scores


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


def test_bad_arguments_are_refused():
    logits = sampled(6, 3, 3)
    for splits in (0, 7):
        with pytest.raises(ValueError, match=f"splits: found {splits}; allowed: 1 to 6"):
            inception_scores(logits, splits)
    for order in (torch.arange(5), torch.zeros(6, dtype=torch.int64)):
        with pytest.raises(ValueError, match="order"):
            inception_scores(logits, 2, order)
    for bad in (logits[0], logits[:0], logits * math.nan):
        with pytest.raises(ValueError, match=r"found .*allowed"):
            class_shares(bad)
