"""Neighbourhoods against a triple loop with many ties, exact laws and torch-fidelity."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_prc import prc_features_to_metric

from ganaudit.numerics.neighbours import expected_coverage, neighbourhood, radii


def sampled(n, d, seed, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) + shift)


def lattice(n, d, seed, levels=3):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, levels, size=(n, d))).double()


def squares(x, y):
    """All squared distances by direct differences, a row at a time."""
    return np.array([((row - y.numpy()) ** 2).sum(axis=1) for row in x.numpy()])


def brute_force(real, fake, k, boundary):
    def limits(x):
        own = squares(x, x)
        return [sorted(own[i][j] for j in range(len(x)) if j != i)[k - 1] for i in range(len(x))]

    def holds(square, limit):
        return bool(square < limit) if boundary == "<" else bool(square <= limit)

    n, m = len(real), len(fake)
    across, real_limits, fake_limits = squares(real, fake), limits(real), limits(fake)
    counts = [sum(holds(across[i][j], real_limits[i]) for i in range(n)) for j in range(m)]
    inside = [any(holds(across[i][j], fake_limits[j]) for j in range(m)) for i in range(n)]
    covered = [any(holds(across[i][j], real_limits[i]) for j in range(m)) for i in range(n)]
    return counts, inside, covered


def check(real, fake, k, boundary, block=512):
    found = neighbourhood(real, fake, k, boundary, block)
    counts, inside, covered = brute_force(real.double(), fake.double(), k, boundary)
    assert found.fake_counts.tolist() == counts
    assert found.fake_inside.tolist() == [count > 0 for count in counts]
    assert found.real_inside.tolist() == inside
    assert found.real_covered.tolist() == covered
    assert found.precision == sum(count > 0 for count in counts) / len(fake)
    assert found.recall == sum(inside) / len(real)
    assert found.density == pytest.approx(sum(counts) / (k * len(fake)), rel=1e-15)
    assert found.coverage == sum(covered) / len(real)


@pytest.mark.parametrize("boundary", ["<", "<="])
@pytest.mark.parametrize(("n", "m", "d", "k"), [(23, 17, 3, 1), (40, 31, 20, 3), (9, 30, 1, 5)])
def test_random_features_against_the_triple_loop(n, m, d, k, boundary):
    check(sampled(n, d, 0), sampled(m, d, 1, shift=0.3), k, boundary, block=7)


@pytest.mark.parametrize("boundary", ["<", "<="])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 4), k=st.integers(1, 4), levels=st.integers(1, 4))
def test_lattices_full_of_ties_against_the_triple_loop(boundary, seed, d, k, levels):
    check(lattice(14, d, seed, levels), lattice(11, d, seed + 1, levels), k, boundary, block=5)


@pytest.mark.parametrize("boundary", ["<", "<="])
def test_copies_and_near_ties_against_the_triple_loop(boundary):
    base = sampled(12, 40, 2).float()
    # Permuted entries give the same distance up to the order of adding; copies give it exactly.
    turned = base.flip(1)
    nudged = base + 1e-7 * sampled(12, 40, 3).float()
    real = torch.cat([base, base[:5], turned, -base])
    fake = torch.cat([base[3:9], nudged, -turned, base[:2], torch.zeros(3, 40)])
    check(real, fake, 2, boundary, block=8)


@pytest.mark.parametrize("boundary", ["<", "<="])
def test_an_offset_far_above_the_spread_decides_no_tie(boundary):
    real, fake = lattice(30, 3, 4), lattice(30, 3, 5)
    near, far = (neighbourhood(real + offset, fake + offset, 3, boundary) for offset in (0.0, 2.0**40))
    assert torch.equal(near.fake_counts, far.fake_counts)
    assert torch.equal(near.real_inside, far.real_inside)
    assert torch.equal(near.real_covered, far.real_covered)


def test_equal_integers_tell_the_boundaries_apart():
    x = torch.arange(10.0)[:, None]
    strict, closed = neighbourhood(x, x, 1), neighbourhood(x, x, 1, "<=")
    assert (strict.precision, strict.recall, strict.density, strict.coverage) == (1, 1, 1, 1)
    assert (closed.precision, closed.recall, closed.density, closed.coverage) == (1, 1, 2.8, 1)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_constant_features(value):
    real, fake = torch.full((8, 5), value), torch.full((6, 5), value)
    strict, closed = neighbourhood(real, fake, 2), neighbourhood(real, fake, 2, "<=")
    assert (strict.precision, strict.recall, strict.density, strict.coverage) == (0, 0, 0, 0)
    assert (closed.precision, closed.recall, closed.density, closed.coverage) == (1, 1, 8 / 2, 1)


def test_radii_are_sorted_direct_distances():
    x = torch.cat([sampled(30, 6, 6), sampled(3, 6, 6)[:3]])
    own = np.sqrt(np.sort(squares(x, x), axis=1))
    for k in (1, 2, 32):
        assert radii(x, k, block=9).tolist() == own[:, k].tolist()
    assert radii(x, 1)[:3].tolist() == [0.0] * 3
    assert radii(x, 1)[30:].tolist() == [0.0] * 3


@pytest.mark.parametrize("block", [1, 8, 1000])
def test_blocks_change_nothing(block):
    real, fake = sampled(60, 30, 7), sampled(50, 30, 8)
    whole, parts = neighbourhood(real, fake, 4), neighbourhood(real, fake, 4, block=block)
    assert torch.equal(whole.fake_counts, parts.fake_counts)
    assert torch.equal(whole.real_inside, parts.real_inside)
    assert torch.equal(whole.real_covered, parts.real_covered)
    assert torch.equal(radii(real, 4), radii(real, 4, block=block))


def test_one_distance_is_the_same_alone_and_among_many():
    # Wide rows: here torch's own sum of one row differs in the last bit from the same row among others.
    x = sampled(4, 50_000, 9)
    alone = [float(radii(x[[i, j]], 1)[0]) for i in range(4) for j in range(4) if i != j]
    among = np.sqrt(squares(x, x))
    assert alone == [among[i, j] for i in range(4) for j in range(4) if i != j]


def test_expected_coverage_is_its_table():
    assert expected_coverage(500, 500, 5) == pytest.approx(0.969218, abs=1e-6)
    assert expected_coverage(500, 1000, 3) == pytest.approx(0.963259, abs=1e-6)
    assert expected_coverage(10_000, 10_000, 5) == pytest.approx(0.968773, abs=1e-6)
    assert expected_coverage(2, 1, 1) == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "m", "k", "d"), [(60, 40, 3, 2), (40, 60, 1, 16)])
def test_equal_laws_have_the_expected_coverage_and_density_one(n, m, k, d):
    rng = np.random.default_rng(10)
    runs = [neighbourhood(*(torch.from_numpy(rng.normal(size=(size, d))) for size in (n, m)), k) for _ in range(400)]
    for values, expected in (
        (np.array([run.coverage for run in runs]), expected_coverage(n, m, k)),
        (np.array([run.density for run in runs]), 1.0),
    ):
        assert abs(values.mean() - expected) <= 4 * values.std(ddof=1) / math.sqrt(len(values))


@pytest.mark.parametrize("frugal", [True, False])
@pytest.mark.parametrize(("n", "m", "d", "k"), [(150, 120, 8, 3), (90, 200, 64, 5)])
def test_agrees_exactly_with_torch_fidelity(n, m, d, k, frugal):
    real, fake = sampled(n, d, 11), 1.1 * sampled(m, d, 12, shift=0.2)
    agree_with_peer(real, fake, k, frugal)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_exactly_with_torch_fidelity_on_ties(seed):
    # Up to 25 rows torch.cdist takes direct differences, so the peer's ties are exact as well.
    agree_with_peer(lattice(25, 3, seed), lattice(20, 3, seed + 100), 2, True)


def agree_with_peer(real, fake, k, frugal):
    peer = prc_features_to_metric(fake, real, prc_neighborhood=k, prc_batch_size=64, save_cpu_ram=frugal, verbose=False)
    found = neighbourhood(real, fake, k, "<=")
    # The peer's means are float32.
    assert float(np.float32(found.precision)) == peer["precision"]
    assert float(np.float32(found.recall)) == peer["recall"]


def test_bad_arguments_are_refused():
    x = sampled(6, 2, 13)
    for k in (0, 5):
        with pytest.raises(ValueError, match=f"k: found {k}; allowed: 1 to 4"):
            neighbourhood(x, x[:5], k)
    with pytest.raises(ValueError, match="k: found 6; allowed: 1 to 5"):
        radii(x, 6)
    with pytest.raises(ValueError, match="boundary: found '>'"):
        neighbourhood(x, x, 1, ">")
    with pytest.raises(ValueError, match="k: found 3"):
        expected_coverage(3, 3, 3)
    with pytest.raises(ValueError, match="block: found 0"):
        radii(x, 1, block=0)
    with pytest.raises(ValueError, match="NaN"):
        neighbourhood(x, x * math.nan, 1)
