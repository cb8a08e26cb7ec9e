"""Neighbourhoods against a triple loop with many ties, exact laws and torch-fidelity."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_prc import prc_features_to_metric

from ganaudit.numerics.neighbours import duplicate_rate, expected_coverage, neighbourhood, radii
from tests.numerics.worlds import in_world

TENSORS = ("fake_inside", "real_inside", "fake_counts", "real_covered", "realism", "real_radii", "fake_radii",
           "real_to_real", "fake_to_fake", "real_to_fake", "fake_to_real")  # fmt: skip
SMALL = 6000  # bytes: tiles of a few rows


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


def check(real, fake, k, boundary, memory=2**28):
    found = neighbourhood(real, fake, k, boundary, memory)
    counts, inside, covered = brute_force(real.double(), fake.double(), k, boundary)
    assert found.fake_counts.tolist() == counts
    assert found.fake_inside.tolist() == [count > 0 for count in counts]
    assert found.real_inside.tolist() == inside
    assert found.real_covered.tolist() == covered
    assert found.precision == sum(count > 0 for count in counts) / len(fake)
    assert found.recall == sum(inside) / len(real)
    assert found.density == pytest.approx(sum(counts) / (k * len(fake)), rel=1e-15)
    assert found.coverage == sum(covered) / len(real)
    check_distances(found, real.double(), fake.double(), k)


def check_distances(found, real, fake, k):
    """Distances, accuracies and realism by plain loops over all pairs."""
    own = [np.where(np.eye(len(x), dtype=bool), np.inf, squares(x, x)) for x in (real, fake)]
    across = squares(real, fake)
    assert found.real_radii.tolist() == np.sqrt(np.sort(own[0], axis=1)[:, k - 1]).tolist()
    assert found.fake_radii.tolist() == np.sqrt(np.sort(own[1], axis=1)[:, k - 1]).tolist()
    nearest = [own[0].min(1), across.min(1), own[1].min(1), across.min(0)]
    kept = (found.real_to_real, found.real_to_fake, found.fake_to_fake, found.fake_to_real)
    assert [x.tolist() for x in kept] == [np.sqrt(x).tolist() for x in nearest]
    for accuracy, mine, other in zip(
        (found.accuracy_real, found.accuracy_fake), nearest[::2], nearest[1::2], strict=True
    ):
        assert accuracy == sum(
            1.0 if a < b else 0.5 if a == b else 0.0 for a, b in zip(mine, other, strict=True)
        ) / len(mine)
    realism = [brute_realism(found.real_radii.tolist(), np.sqrt(across[:, j]).tolist()) for j in range(len(fake))]
    # Two roots and a quotient, each rounded once.
    np.testing.assert_allclose(found.realism.numpy(), realism, rtol=4 * np.finfo(float).eps)


def brute_realism(balls, distances):
    smallest = sorted(range(len(balls)), key=lambda i: balls[i])[: len(balls) - len(balls) // 2]
    limit = max(balls[i] for i in smallest)
    best = 0.0
    for radius, distance in zip(balls, distances, strict=True):
        if radius <= limit:
            best = max(best, radius / distance if distance else 1.0 if radius == 0 else math.inf)
    return best


@pytest.mark.parametrize("boundary", ["<", "<="])
@pytest.mark.parametrize(("n", "m", "d", "k"), [(23, 17, 3, 1), (40, 31, 20, 3), (9, 30, 1, 5)])
def test_random_features_against_the_triple_loop(n, m, d, k, boundary):
    check(sampled(n, d, 0), sampled(m, d, 1, shift=0.3), k, boundary, SMALL)


@pytest.mark.parametrize("boundary", ["<", "<="])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 4), k=st.integers(1, 4), levels=st.integers(1, 4))
def test_lattices_full_of_ties_against_the_triple_loop(boundary, seed, d, k, levels):
    check(lattice(14, d, seed, levels), lattice(11, d, seed + 1, levels), k, boundary, 2000)


@pytest.mark.parametrize("boundary", ["<", "<="])
def test_copies_and_near_ties_against_the_triple_loop(boundary):
    base = sampled(12, 40, 2).float()
    # Permuted entries give the same distance up to the order of adding; copies give it exactly.
    turned = base.flip(1)
    nudged = base + 1e-7 * sampled(12, 40, 3).float()
    real = torch.cat([base, base[:5], turned, -base])
    fake = torch.cat([base[3:9], nudged, -turned, base[:2], torch.zeros(3, 40)])
    check(real, fake, 2, boundary, 2**14)


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
        assert radii(x, k, memory=SMALL).tolist() == own[:, k].tolist()
    assert radii(x, 1)[:3].tolist() == [0.0] * 3
    assert radii(x, 1)[30:].tolist() == [0.0] * 3


@pytest.mark.parametrize("spread", [1e-3, 1e-7, 0.0])
@pytest.mark.parametrize("modes", [1, 4])
def test_collapsed_fakes_whose_distances_float32_cannot_tell(spread, modes):
    real = sampled(60, 50, 20).float()
    fake = (3 * sampled(modes, 50, 21)).repeat(15, 1).float() + spread * sampled(15 * modes, 50, 22).float()
    check(real, fake, 3, "<", 2**17)


def test_blurred_fakes_that_lie_in_every_ball():
    check(sampled(70, 80, 23).float(), 0.3 * sampled(50, 80, 24).float(), 4, "<", 2**17)


@pytest.mark.parametrize("unit", [1e-90, 1e-30, 1e30, 1e90])
def test_the_unit_of_the_features_changes_no_decision(unit):
    real, fake = sampled(30, 6, 25), sampled(25, 6, 26, shift=0.5)
    # A power of 2, so that the features themselves are the same numbers.
    factor = 2.0 ** round(math.log2(unit))
    near, far = neighbourhood(real, fake, 3), neighbourhood(real * factor, fake * factor, 3)
    for name in ("fake_counts", "real_inside", "real_covered", "realism"):
        assert torch.equal(getattr(near, name), getattr(far, name)), name
    assert torch.equal(near.real_to_fake * factor, far.real_to_fake)


def test_features_too_large_to_square_are_refused():
    with pytest.raises(ValueError, match="allowed: below 1e100"):
        neighbourhood(sampled(6, 2, 27) * 1e150, sampled(6, 2, 28), 1)


def test_the_order_of_numbers_in_memory_changes_nothing():
    real, fake = sampled(30, 200, 40), sampled(25, 200, 41)
    turned = [side.T.contiguous().T for side in (real, fake)]
    same(neighbourhood(real, fake, 3), neighbourhood(*turned, 3))
    assert duplicate_rate(turned[0]).exact == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32])
def test_other_numbers_are_read_as_they_are(dtype):
    real, fake = ((4 * sampled(20, 3, seed)).to(dtype) for seed in (29, 30))
    check(real, fake, 2, "<=", SMALL)


def test_reduced_products_decide_nothing():
    real, fake = sampled(40, 300, 31).float(), sampled(40, 300, 32).float()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        check(real, fake, 3, "<")
    finally:
        torch.set_float32_matmul_precision(before)


def test_products_of_unknown_precision_are_not_trusted(monkeypatch):
    def mixed():
        raise RuntimeError("mix of the legacy and new APIs")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", mixed)
    check(sampled(30, 50, 38).float(), sampled(25, 50, 39).float(), 3, "<=")


@pytest.mark.parametrize("memory", [1, SMALL, 2**16])
def test_memory_changes_nothing(memory):
    real, fake = sampled(25, 30, 7), sampled(22, 30, 8)
    same(neighbourhood(real, fake, 4), neighbourhood(real, fake, 4, memory=memory))
    assert torch.equal(radii(real, 4), radii(real, 4, memory=memory))


@pytest.mark.parametrize("size", [2, 3])
def test_processes_that_share_the_sweep_find_the_same(size):
    real, fake = lattice(60, 3, 33, levels=4), lattice(45, 3, 34, levels=5)
    alone, alone_copies = neighbourhood(real, fake, 4, "<="), duplicate_rate(fake, real, 0.1)
    for found, copies in in_world(
        size,
        lambda world: (
            neighbourhood(real, fake, 4, "<=", SMALL, world),
            duplicate_rate(fake, real, 0.1, SMALL, world),
        ),
    ):
        same(alone, found)
        assert copies == alone_copies


def same(one, other):
    for name in TENSORS:
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert (one.accuracy_real, one.accuracy_fake) == (other.accuracy_real, other.accuracy_fake)


def test_it_warns_of_nothing_on_copies_and_constants():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = neighbourhood(torch.ones(5, 3), torch.ones(4, 3), 2)
        assert found.realism.tolist() == [1.0] * 4
        assert (found.accuracy_real, found.accuracy_fake) == (0.5, 0.5)
        apart = neighbourhood(torch.ones(5, 3), torch.zeros(4, 3), 2)
        assert apart.realism.tolist() == [0.0] * 4
        assert (apart.accuracy_real, apart.accuracy_fake) == (1.0, 1.0)
        copied = neighbourhood(sampled(9, 2, 35), sampled(9, 2, 35)[:4], 2)
        assert math.inf in copied.realism.tolist()
        assert copied.accuracy_fake == 0.0


@pytest.mark.parametrize(("n", "m"), [(40, 40), (60, 30)])
def test_equal_laws_have_their_nearest_neighbour_accuracy(n, m):
    rng = np.random.default_rng(36)
    runs = [neighbourhood(*(torch.from_numpy(rng.normal(size=(size, 3))) for size in (n, m)), 1) for _ in range(200)]
    for name, size in (("accuracy_real", n), ("accuracy_fake", m)):
        values = np.array([getattr(run, name) for run in runs])
        assert abs(values.mean() - (size - 1) / (n + m - 1)) <= 4 * values.std(ddof=1) / math.sqrt(len(values))


def test_duplicates_are_counted_by_hand():
    fake = torch.tensor([[0.0, 0.0], [-0.0, 0.0], [5.0, 5.0], [5.0, 5.01], [9.0, 0.0]])
    assert duplicate_rate(fake).exact == 2 / 5
    assert duplicate_rate(fake).near is None
    # Nearest distances of the reals: 1, 1, 2, 4, 8. The second smallest of 5 is at share 0.34: 1.
    real = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [7.0, 0.0], [15.0, 0.0]])
    found = duplicate_rate(fake, real, 0.34)
    assert (found.exact, found.near, found.threshold, found.n) == (2 / 5, 4 / 5, 1.0, 5)
    assert found.expected == 2 / 6
    assert duplicate_rate(fake[2:3].repeat(4, 1), real).exact == 1.0
    # Of five fakes only as many as there are reals are looked at for near copies.
    assert duplicate_rate(fake, real[:3], 0.34).n == 3


def test_near_duplicates_of_equal_laws_are_as_many_as_promised():
    rng = np.random.default_rng(37)
    runs = [duplicate_rate(*(torch.from_numpy(rng.normal(size=(60, 4))) for _ in range(2)), 0.1) for _ in range(200)]
    values = np.array([run.near for run in runs])
    assert abs(values.mean() - runs[0].expected) <= 4 * values.std(ddof=1) / math.sqrt(len(values))


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
    runs = [neighbourhood(*(torch.from_numpy(rng.normal(size=(size, d))) for size in (n, m)), k) for _ in range(250)]
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
    for work in (radii, lambda x, k, memory: neighbourhood(x, x, k, memory=memory)):
        with pytest.raises(ValueError, match="memory: found 0"):
            work(x, 1, memory=0)
    with pytest.raises(ValueError, match="share: found 1"):
        duplicate_rate(x, x, share=1.0)
    with pytest.raises(ValueError, match="NaN"):
        neighbourhood(x, x * math.nan, 1)
