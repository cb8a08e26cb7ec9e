"""Moments against numpy, and the laws of merging."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganaudit.numerics.moments import Moments

EPS = np.finfo(np.float64).eps


def sampled(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


def rounding(x):
    """Bound on the rounding of a sum of n products of centred entries, whatever the order of adding."""
    n, largest = len(x), 2 * float(x.abs().max()) + 1
    return 16 * n * EPS * n * largest**2


def agree(a, b, bound):
    assert a.n == b.n
    assert float((a.mean - b.mean).abs().max()) <= bound
    assert float((a.scatter - b.scatter).abs().max()) <= bound


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_moments_are_those_of_numpy(dtype):
    x = sampled(37, 5).to(dtype)
    moments = Moments.of(x)
    reference = x.double().numpy()
    assert moments.mean.dtype == moments.scatter.dtype == torch.float64
    np.testing.assert_allclose(moments.mean.numpy(), reference.mean(axis=0), rtol=0, atol=rounding(x.double()))
    np.testing.assert_allclose(
        moments.covariance.numpy(), np.cov(reference, rowvar=False), rtol=0, atol=rounding(x.double())
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_parts_merge_into_the_whole_in_any_order(seed, sizes, scale):
    rng = np.random.default_rng(seed)
    x = sampled(sum(sizes), 3, seed) * scale
    parts = [Moments.of(part) for part in x.split(sizes)]
    whole, bound = Moments.of(x), rounding(x)
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    agree(merged, whole, bound)
    shuffled = [parts[i] for i in rng.permutation(len(parts))]
    nested = shuffled[-1]
    for part in reversed(shuffled[:-1]):
        nested = part.merge(nested)
    agree(nested, whole, bound)
    agree(parts[0].merge(parts[1]), parts[1].merge(parts[0]), bound)


def test_a_large_offset_costs_no_digits():
    lattice = torch.randint(-8, 9, (64, 3), generator=torch.Generator().manual_seed(0)).double()
    near, far = Moments.of(lattice), Moments.of(lattice + 2.0**30)
    # The entries and their differences are exact; only the mean is rounded, to 2^30 eps, and n times its square counts.
    assert float((near.scatter - far.scatter).abs().max()) <= 64 * (17 * 2.0**30 * EPS)


def test_merging_leaves_the_parts_alone():
    a, b = Moments.of(sampled(4, 2)), Moments.of(sampled(5, 2, seed=1))
    before = a.mean.clone(), a.scatter.clone()
    a.merge(b)
    assert torch.equal(a.mean, before[0])
    assert torch.equal(a.scatter, before[1])


@pytest.mark.parametrize(
    "values",
    [torch.zeros(3), torch.zeros(0, 3), torch.zeros(3, 0), torch.tensor([[float("nan")]]), torch.zeros(2, 2) * 1j],
)
def test_bad_features_are_refused(values):
    with pytest.raises(ValueError, match=r"found .*allowed"):
        Moments.of(values)


def test_one_sample_has_no_covariance_and_features_must_agree():
    one = Moments.of(torch.ones(1, 2))
    with pytest.raises(ValueError, match="found 1 samples"):
        _ = one.covariance
    with pytest.raises(ValueError, match="found 3 features"):
        one.merge(Moments.of(torch.ones(1, 3)))
