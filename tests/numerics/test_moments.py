"""Moments against numpy, the laws of merging, groups against the rows they hold, and worlds of several processes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganaudit.numerics.moments import GroupedMoments, Moments
from ganaudit.numerics.world import ALONE

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


class ThreadedWorld:
    """One of several threads that stand for the processes of a world; all add up what each has found."""

    def __init__(self, rank, size, shared):
        self.rank, self.size, self.shared = rank, size, shared

    def mine(self, parts):
        return iter(range(self.rank, parts, self.size))

    def total(self, values):
        return self.reduced(values, lambda parts: torch.stack(parts).sum(0))

    def least(self, values):
        return self.reduced(values, lambda parts: torch.stack(parts).amin(0))

    def reduced(self, values, reduce):
        barrier, slots = self.shared
        slots[self.rank] = values.clone()
        barrier.wait(60)
        made = reduce(list(slots))
        barrier.wait(60)
        return made


def in_worlds(size, work):
    """Return what ``work(world)`` gives on each of ``size`` processes."""
    shared = threading.Barrier(size), [None] * size
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda rank: work(ThreadedWorld(rank, size, shared)), range(size)))


def blocks(x, *sizes):
    start = 0
    for size in sizes:
        yield start, x[start : start + size]
        start += size


def gathered(x, groups, seed=0, world=ALONE, core=None, sizes=None):
    parts = blocks(x, *(sizes or [len(x)]))
    return GroupedMoments.gather(parts, len(x), groups, np.random.default_rng(seed), world, core)


def members(n, groups, core, seed=0):
    """Return the rows of every group and of the rest, by the rule that the docstring states."""
    order = np.random.default_rng(seed).permutation(n)
    return [order[:core][g::groups] for g in range(groups)], order[core:]


@pytest.mark.parametrize("d", [4, 30])
@pytest.mark.parametrize("kind", ["definite", "singular", "zero", "few"])
def test_the_root_is_a_root_and_is_made_once(d, kind):
    x = sampled(3 if kind == "few" else 60, d, 1)
    if kind == "singular":
        x[:, 0] = x[:, 1]
    moments = Moments.of(x * 0 if kind == "zero" else x)
    root = moments.root
    assert root is moments.root
    assert root.lower == (kind == "definite")
    assert root.rank == {"definite": d, "singular": d - 1, "zero": 0, "few": 2}[kind]
    largest = float(moments.covariance.abs().max())
    assert float((root.matrix @ root.matrix.T - moments.covariance).abs().max()) <= 10 * d * EPS * d * largest


def test_published_statistics_give_back_what_they_were_given():
    sample = Moments.of(sampled(40, 5, 2) + 3)
    for n in (None, 40):
        published = Moments.from_statistics(n, sample.mean.float().double(), sample.covariance)
        torch.testing.assert_close(published.covariance, sample.covariance)
        assert published.n == n
        assert published.rank == 5
    known = Moments.from_statistics(40, sample.mean, sample.covariance)
    agree(
        known.merge(Moments.of(sampled(7, 5, 3))), sample.merge(Moments.of(sampled(7, 5, 3))), rounding(sampled(47, 5))
    )
    assert Moments.from_statistics(3, torch.zeros(5), torch.eye(5)).rank == 2
    unknown = Moments.from_statistics(None, sample.mean, sample.covariance)
    with pytest.raises(ValueError, match="not known"):
        unknown.merge(sample)
    assert unknown.degrees == 1


def test_a_single_precision_covariance_of_few_samples_is_taken():
    few = Moments.of(sampled(6, 20, 4)).covariance.float()
    assert Moments.from_statistics(None, torch.zeros(20), few).features == 20


@pytest.mark.parametrize(
    ("mean", "covariance", "why"),
    [
        (torch.zeros(2, 2), torch.eye(2), "mean: found shape"),
        (torch.zeros(0), torch.zeros(0, 0), "mean: found shape"),
        (torch.zeros(3), torch.eye(2), "covariance: found shape"),
        (torch.zeros(2), torch.ones(2), "covariance: found shape"),
        (torch.tensor([0.0, float("nan")]), torch.eye(2), "mean: found NaN"),
        (torch.zeros(2), torch.tensor([[1.0, float("inf")], [0.0, 1.0]]), "covariance: found NaN or infinity"),
        (torch.zeros(2), torch.tensor([[1.0, 0.5], [0.2, 1.0]]), "mirror image"),
        (torch.zeros(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]]), "eigenvalue of -1"),
        (torch.zeros(2), -torch.eye(2), "eigenvalue of -1"),
    ],
)
def test_published_statistics_that_cannot_be_are_refused(mean, covariance, why):
    with pytest.raises(ValueError, match=why):
        Moments.from_statistics(None, mean, covariance)


def test_published_statistics_of_one_sample_are_refused():
    with pytest.raises(ValueError, match="n: found 1"):
        Moments.from_statistics(1, torch.zeros(2), torch.eye(2))


@pytest.mark.parametrize(("n", "groups", "core"), [(50, 4, 50), (53, 4, 53), (60, 8, 41), (10, 1, 10), (10, 10, 10)])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_groups_hold_the_moments_of_the_rows_they_were_dealt(n, groups, core, offset):
    x = sampled(n, 3, 5) + offset
    found = gathered(x, groups, core=core, sizes=[n // 3, n // 3, n - 2 * (n // 3)])
    expected, rest = members(n, groups, core)
    # A large offset costs the digits it takes from the data themselves, and no more.
    bound = rounding(x - offset) + 4 * n * EPS * offset
    for moments, rows in zip(found.groups, expected, strict=True):
        agree(moments, Moments.of(x[rows]), bound)
    assert {len(rows) for rows in expected} <= {core // groups, core // groups + 1}
    assert (found.rest is None) == (len(rest) == 0)
    agree(found.total, Moments.of(x), bound)
    agree(found.core, Moments.of(x[np.concatenate(expected)]), bound)
    if groups > 2:
        agree(found.union([2, 0]), Moments.of(x[np.concatenate([expected[0], expected[2]])]), bound)


@pytest.mark.parametrize("size", [2, 3])
def test_a_world_of_several_processes_gathers_the_same(size):
    x = sampled(90, 4, 6) + 5
    alone = gathered(x, 3, core=80)
    for sizes in ([90], [1, 30, 29, 30], [20, 20, 20, 20, 10]):
        for found in in_worlds(size, lambda world, sizes=sizes: gathered(x, 3, world=world, core=80, sizes=sizes)):
            for one, other in zip((*alone.groups, alone.rest), (*found.groups, found.rest), strict=True):
                agree(one, other, rounding(x))


def test_a_group_that_one_process_never_meets_is_still_whole():
    x = sampled(6, 2, 7)
    for found in in_worlds(3, lambda world: gathered(x, 6, world=world, sizes=[1] * 6)):
        assert [g.n for g in found.groups] == [1] * 6
        agree(found.total, Moments.of(x), rounding(x))


def test_how_many_groups_a_core_is_worth():
    assert [GroupedMoments.groups_for(5000, d) for d in (1, 256, 257, 1024, 1025, 2048)] == [16, 16, 8, 8, 4, 4]
    # Fewer than 1.1 samples per feature must never be left when a group is taken out.
    assert GroupedMoments.groups_for(2600, 2048) == 8
    assert GroupedMoments.groups_for(2300, 2048) == 1
    assert GroupedMoments.groups_for(49, 2) == 1
    assert GroupedMoments.groups_for(50, 2) == 16


@pytest.mark.parametrize(
    ("parts", "groups", "core", "why"),
    [
        ([(0, 5)], 1, None, "found 5 rows; allowed: 6"),
        ([(0, 4), (3, 3)], 1, None, "found rows 3 to 6"),
        ([(0, 4), (4, 4)], 1, None, "found rows 4 to 8"),
        ([(0, 6)], 7, None, "groups: found 7"),
        ([(0, 6)], 1, 7, "core: found 7"),
        ([], 1, None, "found 0 rows"),
    ],
)
def test_blocks_that_are_not_all_rows_once_are_refused(parts, groups, core, why):
    made = ((start, torch.ones(count, 2)) for start, count in parts)
    with pytest.raises(ValueError, match=why):
        GroupedMoments.gather(made, 6, groups, np.random.default_rng(0), ALONE, core)


def test_blocks_of_other_widths_or_without_finite_numbers_are_refused():
    rng = np.random.default_rng(0)
    for second in (torch.ones(2, 3), torch.ones(2)):
        with pytest.raises(ValueError, match="blocks: found shape"):
            GroupedMoments.gather([(0, torch.ones(2, 2)), (2, second)], 4, 1, rng)
    with pytest.raises(ValueError, match="NaN or infinity"):
        GroupedMoments.gather([(0, torch.full((4, 2), float("nan")))], 4, 1, rng)


def test_all_processes_hear_of_what_one_has_found():
    x = torch.ones(6, 2)
    x[4] = float("inf")

    def work(world):
        with pytest.raises(ValueError, match="NaN or infinity"):
            gathered(x, 2, world=world, sizes=[2, 2, 2])
        return world.rank

    assert in_worlds(3, work) == [0, 1, 2]
