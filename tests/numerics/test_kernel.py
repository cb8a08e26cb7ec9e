"""The kernel distance against brute force, closed forms and torch-fidelity."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from benchmarks.coverage_kernel import Case, coverage
from ganaudit.numerics.kernel import kernel_distance, kernel_distance_subsets, permutation_test, relabellings
from ganaudit.numerics.kernel_inference import Scatter, largest_eigenvalue
from ganaudit.numerics.kernels import Gaussian, Polynomial, kernel_matrix, median_distance
from ganaudit.numerics.world import ALONE
from tests.numerics.worlds import in_world

SUM_ROUNDING = 1e-10  # thousands of terms at eps each, relative to kernel values that cancel by up to 100


def sampled(n, d, seed, shift=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) + shift)


def brute_force(real, fake):
    """Unbiased MMD^2 by Python sums."""

    def k(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    n, m = len(real), len(fake)
    within_real = math.fsum(k(real[i], real[j]) for i in range(n) for j in range(n) if i != j)
    within_fake = math.fsum(k(fake[i], fake[j]) for i in range(m) for j in range(m) if i != j)
    across = math.fsum(k(x, y) for x in real for y in fake)
    return within_real / (n * (n - 1)) + within_fake / (m * (m - 1)) - 2 * across / (n * m)


def without(x, i):
    return torch.cat([x[:i], x[i + 1 :]])


def shift_law(d, m):
    """MMD^2 of N(0, I) against N(m, I), degree 3."""
    s = m**2
    own = 1 + 3 / d
    other = (1 + s) ** 3 + 3 * (1 + s) * (1 + 2 * s) / d + 6 * s / d**2
    return own + other - 2 - 6 * (1 + s) / d


def test_kernel_is_its_formula():
    x, y = sampled(4, 3, 0), sampled(5, 3, 1)
    expected = [[(0.7 * float(a @ b) + 0.2) ** 2 for b in y] for a in x]
    np.testing.assert_allclose(kernel_matrix(Polynomial(2, 0.7, 0.2), x, y).numpy(), expected, rtol=1e-12)
    cubic = kernel_matrix(Polynomial(3, 1 / 3), x, y)
    np.testing.assert_allclose(kernel_matrix(Polynomial(), x, y).numpy(), cubic.numpy(), rtol=1e-12)


@pytest.mark.parametrize("d", [1, 7, 49, 2048])
def test_constants_zero_and_one_give_exactly_seven(d):
    real, fake = torch.zeros(10, d), torch.ones(13, d)
    result = kernel_distance(real, fake, block=4)
    assert (result.value, result.standard_error) == (7.0, 0.0)
    subsets = [(np.arange(5), np.arange(5)), (np.arange(2), np.arange(3))]
    assert kernel_distance_subsets(real, fake, subsets).tolist() == [7.0, 7.0]


def test_the_mean_product_of_ones_is_exactly_one():
    # 49 · (1/49) is not 1 in float64.
    assert kernel_matrix(Polynomial(degree=1, coef0=0.0), torch.ones(1, 49), torch.ones(1, 49)).item() == 1.0


@pytest.mark.parametrize(("n", "m"), [(4, 4), (9, 12), (14, 6)])
def test_value_is_the_double_sum(n, m):
    real, fake = sampled(n, 4, 0), sampled(m, 4, 1, shift=0.5)
    expected = brute_force(real, fake)
    assert kernel_distance(real, fake).value == pytest.approx(expected, rel=SUM_ROUNDING)
    rows = np.arange(n)[::-1].copy(), torch.arange(m)
    assert float(kernel_distance_subsets(real, fake, [rows])) == pytest.approx(expected, rel=SUM_ROUNDING)


def centred_square(matrix, others=None):
    """Mean over distinct samples of k(a, b)^2 - k(a, b) k(a, c) - k(a, b) k(d, b) + k(a, b) k(d, c), one by one."""
    n, m = matrix.shape
    terms = []
    for a, d in itertools.permutations(range(n), 2):
        for b, c in itertools.permutations(range(m), 2):
            if others is None and len({a, b, c, d}) < 4:
                continue
            k = matrix
            terms.append(k[a, b] ** 2 - k[a, b] * k[a, c] - k[a, b] * k[d, b] + k[a, b] * k[d, c])
    return max(math.fsum(terms) / len(terms), 0.0)


def test_the_second_order_variance_is_the_mean_over_all_distinct_samples():
    real, fake = sampled(6, 3, 20), sampled(5, 3, 21, 0.4)
    kernel = Polynomial()
    parts = [kernel_matrix(kernel, a, b).numpy() for a, b in ((real, real), (fake, fake), (real, fake))]
    within = 2 * centred_square(parts[0]) / 30 + 2 * centred_square(parts[1]) / 20
    expected = within + 4 * centred_square(parts[2], others=True) / 30
    assert kernel_distance(real, fake).scatter.second_order == pytest.approx(expected, rel=1e-9)


def test_the_variance_is_that_of_many_draws():
    draws = [kernel_distance(sampled(40, 4, 2 * i), sampled(60, 4, 2 * i + 1, 0.4)) for i in range(500)]
    values = np.array([d.value for d in draws])
    # A variance over 500 draws scatters by sqrt((kurtosis - 1)/500); the law is skewed, its kurtosis below 6.
    found = np.mean([d.standard_error**2 for d in draws])
    assert found == pytest.approx(values.var(ddof=1), rel=4 * math.sqrt(5 / 500))
    equal = [kernel_distance(sampled(40, 4, 2 * i), sampled(60, 4, 2 * i + 1)) for i in range(500)]
    spread = np.array([d.value for d in equal]).var(ddof=1)
    assert np.mean([d.scatter.second_order for d in equal]) == pytest.approx(spread, rel=4 * math.sqrt(5 / 500))


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.2, 0.6])
def test_intervals_hold_the_truth(shift):
    (row,) = coverage(audits=300, cases=[Case(8, 120, shift)])
    assert row["truth"] == pytest.approx(shift_law(8, shift), abs=1e-14)
    # 95 % with the binomial spread of 300 audits, four times over, and 2 % for the normal approximation at this n.
    assert abs(row["covered"] - 0.95) <= 4 * math.sqrt(0.95 * 0.05 / 300) + 0.02


def test_an_interval_holds_its_value_and_shrinks_with_the_level():
    for seed in range(20):
        found = kernel_distance(sampled(12, 4, seed), sampled(9, 4, seed + 100, 0.1))
        wide, narrow = found.interval(0.99), found.interval(0.5)
        assert wide.low <= narrow.low <= found.value <= narrow.high <= wide.high
    constant = kernel_distance(torch.zeros(5, 3), torch.ones(5, 3)).interval(0.95)
    assert (constant.low, constant.high) == (7.0, 7.0)


def test_the_first_order_variance_is_the_mean_over_all_distinct_samples():
    """The symmetric unbiased estimate: products of h = k(x, x') - k(x, y) that share x, less those that do not."""
    real, fake = sampled(6, 3, 2), sampled(5, 3, 3, shift=0.9)
    rr, ff, rf = (kernel_matrix(Polynomial(), a, b).numpy() for a, b in ((real, real), (fake, fake), (real, fake)))

    def projected(own, between):
        n, m = between.shape
        terms = []
        for x, other, a, b in itertools.permutations(range(n), 4):
            for y, z in itertools.permutations(range(m), 2):
                first = own[x, a] - between[x, y]
                terms.append(first * (own[x, b] - between[x, z]) - first * (own[other, b] - between[other, z]))
        return max(math.fsum(terms) / len(terms), 0.0)

    expected = 4 * projected(rr, rf) / 6 + 4 * projected(ff, rf.T) / 5
    assert expected > 0
    assert kernel_distance(real, fake).scatter.first_order == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("block", [1, 7, 16, 1000])
def test_blocks_change_rounding_only(block):
    real, fake = sampled(40, 6, 4), sampled(33, 6, 5, shift=0.2)
    whole, parts = kernel_distance(real, fake), kernel_distance(real, fake, block=block)
    assert parts.value == pytest.approx(whole.value, rel=SUM_ROUNDING)
    assert parts.standard_error == pytest.approx(whole.standard_error, rel=SUM_ROUNDING)


def test_closed_forms_by_monte_carlo_and_a_standard_error_that_measures_the_spread():
    assert shift_law(16, 0.5) == pytest.approx(1.029297, abs=1e-6)
    assert shift_law(2048, 0.1) == pytest.approx(0.030315955711, abs=1e-12)
    rng = np.random.default_rng(6)
    runs = [
        kernel_distance(*(torch.from_numpy(rng.normal(size=(n, 16)) + m) for n, m in ((80, 0.0), (120, 0.5))))
        for _ in range(400)
    ]
    values = np.array([run.value for run in runs])
    variances = np.array([run.standard_error**2 for run in runs])
    assert abs(values.mean() - shift_law(16, 0.5)) <= 4 * values.std(ddof=1) / math.sqrt(len(runs))
    # Unbiased, up to what cutting off at 0 adds where the laws agree; here they are far apart.
    spread = values.var(ddof=1)
    spread_error = spread * math.sqrt(2 / len(runs)) * 1.5
    mean_error = variances.std(ddof=1) / math.sqrt(len(runs))
    noise = 4 * math.hypot(spread_error, mean_error)
    assert abs(variances.mean() - spread) <= noise


def test_scale_law_by_monte_carlo():
    rng = np.random.default_rng(7)
    values = np.array(
        [
            kernel_distance(*(torch.from_numpy(rng.normal(size=(100, 16)) * s) for s in (1.0, 1.5))).value
            for _ in range(300)
        ]
    )
    assert abs(values.mean() - 3 * (1 - 1.5**2) ** 2 / 16) <= 4 * values.std(ddof=1) / math.sqrt(len(values))


def test_equal_laws_average_to_zero_with_values_below_it():
    rng = np.random.default_rng(8)
    values = np.array(
        [kernel_distance(*(torch.from_numpy(rng.normal(size=(n, 8))) for n in (30, 50))).value for _ in range(400)]
    )
    assert values.min() < 0
    assert abs(values.mean()) <= 4 * values.std(ddof=1) / math.sqrt(len(values))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, SUM_ROUNDING), (torch.float32, 1e-6)])
def test_agrees_with_torch_fidelity_on_its_own_draws(dtype, tolerance):
    real, fake = sampled(300, 64, 9).to(dtype), sampled(260, 64, 10, shift=1.0).to(dtype)
    count, size, seed = 12, 100, 2020
    peer = kid_features_to_metric(fake, real, kid_subsets=count, kid_subset_size=size, rng_seed=seed, verbose=False)
    draws = np.random.RandomState(seed)
    subsets = []
    for _ in range(count):
        rows_fake = draws.choice(len(fake), size, replace=False)
        subsets.append((draws.choice(len(real), size, replace=False), rows_fake))
    values = kernel_distance_subsets(real, fake, subsets).numpy()
    assert values.mean() == pytest.approx(peer["kernel_inception_distance_mean"], rel=tolerance)
    assert values.std(ddof=0) == pytest.approx(peer["kernel_inception_distance_std"], rel=10 * tolerance)


def test_bad_arguments_are_refused():
    x = sampled(5, 3, 0)
    for real, fake in ((x[:3], x), (x, x[:, :2]), (x, x * math.inf)):
        with pytest.raises(ValueError, match=r"found .*allowed"):
            kernel_distance(real, fake)
    with pytest.raises(ValueError, match="block: found 0"):
        kernel_distance(x, x, block=0)
    with pytest.raises(ValueError, match="degree: found 0"):
        Polynomial(degree=0)
    with pytest.raises(ValueError, match=r"subset 1.*found 1"):
        kernel_distance_subsets(x, x, [(np.arange(2), np.arange(2)), (np.arange(1), np.arange(2))])


def test_the_gaussian_kernel_is_its_formula_and_torch_fidelitys():
    x, y = sampled(6, 5, 0), sampled(4, 5, 1, 0.3)
    expected = [[math.exp(-float((a - b).square().sum()) / (2 * 1.7**2)) for b in y] for a in x]
    np.testing.assert_allclose(kernel_matrix(Gaussian(1.7), x, y).numpy(), expected, rtol=1e-12)
    real, fake = sampled(60, 8, 2).float(), sampled(60, 8, 3, 0.4).float()
    theirs = kid_features_to_metric(
        fake, real, kid_subsets=1, kid_subset_size=60, kid_kernel="rbf", kid_kernel_rbf_sigma=2.0, verbose=False
    )["kernel_inception_distance_mean"]
    ours = kernel_distance(real, fake, Gaussian(2.0)).value
    assert ours == pytest.approx(float(theirs), abs=1e-6)  # theirs is float32
    for bandwidth in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="bandwidth"):
            Gaussian(bandwidth)


def test_the_median_distance_is_that_of_all_pairs():
    x = sampled(41, 3, 4)
    pairs = sorted(float((a - b).norm()) for i, a in enumerate(x) for b in x[:i])
    assert median_distance(x, np.random.default_rng(0)) == pytest.approx(pairs[(len(pairs) - 1) // 2])
    with pytest.raises(ValueError, match="copies"):
        median_distance(torch.ones(5, 3), np.random.default_rng(0))


def test_a_relabelling_is_the_distance_of_the_relabelled_samples():
    real, fake = sampled(17, 4, 5), sampled(23, 4, 6, 0.8)
    found = permutation_test(real, fake, np.random.default_rng(7), 12, block=5)
    assert found.observed == pytest.approx(kernel_distance(real, fake).value, abs=1e-12)
    pool, rng = torch.cat([real, fake]), np.random.default_rng(7)
    expected = []
    for _ in range(12):
        order = rng.permutation(40)
        first, second = np.sort(order[:17]), np.sort(order[17:])
        expected.append(brute_force(pool[torch.from_numpy(first)], pool[torch.from_numpy(second)]))
    np.testing.assert_allclose(found.relabelled.numpy(), expected, rtol=1e-9, atol=1e-12)
    assert found.exceeding == sum(value >= found.observed for value in expected)
    assert found.p_value == (1 + found.exceeding) / 13


def test_the_p_value_is_small_for_what_differs_and_uniform_for_what_does_not():
    far = permutation_test(sampled(60, 8, 0), sampled(60, 8, 1, 1.0), np.random.default_rng(0), 199)
    assert far.p_value == 1 / 200
    tries = 200
    values = [
        permutation_test(sampled(15, 3, 2 * i), sampled(20, 3, 2 * i + 1), np.random.default_rng(i), 39).p_value
        for i in range(tries)
    ]
    for level in (0.1, 0.25, 0.5, 0.75):  # exact: P(p <= level) = level on the grid of 1/40
        share = np.mean([v <= level + 1e-12 for v in values])
        assert abs(share - level) <= 4 * math.sqrt(level * (1 - level) / tries)


def test_equal_samples_are_ties_of_every_relabelling():
    found = permutation_test(torch.ones(9, 4), torch.ones(7, 4), np.random.default_rng(0), 20)
    assert found.p_value == 1.0


def test_subsets_of_many_pairs_come_from_one_sweep_and_agree_with_those_taken_apart():
    real, fake = sampled(50, 6, 8).float(), sampled(40, 6, 9, 0.5).float()
    rng = np.random.default_rng(0)
    many = [(rng.choice(50, 30, replace=False), rng.choice(40, 20, replace=False)) for _ in range(12)]
    together = kernel_distance_subsets(real, fake, many, block=16)
    apart = [kernel_distance_subsets(real, fake, [subset]) for subset in many]
    np.testing.assert_allclose(together.numpy(), torch.cat(apart).numpy(), rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="repeat"):
        kernel_distance_subsets(real, fake, [(np.array([1, 1, 2]), np.arange(3))])


def test_subsets_are_those_of_torch_fidelity_on_its_own_draws():
    real, fake = sampled(120, 32, 10).float(), sampled(120, 32, 11, 0.3).float()
    theirs = kid_features_to_metric(
        fake, real, kid_subsets=10, kid_subset_size=50, kid_kernel="poly", kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1.0, rng_seed=2020, verbose=False,
    )  # fmt: skip
    rng = np.random.RandomState(2020)
    draws = [(rng.choice(120, 50, replace=False), rng.choice(120, 50, replace=False)) for _ in range(10)]
    ours = kernel_distance_subsets(real, fake, [(b, a) for a, b in draws])
    assert float(ours.mean()) == pytest.approx(float(theirs["kernel_inception_distance_mean"]), abs=2e-6)
    assert float(ours.std(correction=0)) == pytest.approx(float(theirs["kernel_inception_distance_std"]), abs=2e-6)


def test_any_number_of_processes_finds_the_same():
    real, fake = sampled(33, 5, 12), sampled(27, 5, 13, 0.2)

    def work(world):
        labels = relabellings(33, 27, np.random.default_rng(1), 20, most=25)
        rng = np.random.default_rng(2)
        subsets = [(rng.choice(33, 20, replace=False), rng.choice(27, 20, replace=False)) for _ in range(9)]
        values = kernel_distance_subsets(real, fake, subsets, block=8, world=world)
        return kernel_distance(real, fake, block=8, world=world, labels=labels), values

    alone, values = work(ALONE)
    for size in (2, 3):
        for found, shared in in_world(size, work):
            assert found.value == pytest.approx(alone.value, rel=1e-10)
            assert found.standard_error == pytest.approx(alone.standard_error, rel=1e-9)
            assert found.test.p_value == alone.test.p_value
            np.testing.assert_allclose(shared.numpy(), values.numpy(), rtol=1e-9, atol=1e-13)


def test_the_test_of_some_samples_comes_from_the_sweep_of_all():
    real, fake = sampled(40, 4, 14), sampled(31, 4, 15, 0.5)
    labels = relabellings(40, 31, np.random.default_rng(3), 15, most=20)
    found = kernel_distance(real, fake, block=7, labels=labels).test
    pool = torch.cat([real[labels.reals], fake[labels.fakes]])
    expected = [brute_force(pool[mark], pool[~mark]) for mark in labels.labels.T]
    assert len(pool) == 40
    assert found.observed == pytest.approx(expected[0], rel=SUM_ROUNDING)
    assert found.observed == pytest.approx(brute_force(real[labels.reals], fake[labels.fakes]), rel=SUM_ROUNDING)
    np.testing.assert_allclose(found.relabelled.numpy(), expected[1:], rtol=1e-9, atol=1e-12)


def test_the_biased_estimate_is_the_v_statistic():
    real, fake = sampled(7, 3, 16), sampled(9, 3, 17, 0.4)
    kernel = Gaussian(0.9, unit_length=True)
    unit = [side / side.norm(dim=1, keepdim=True) for side in (real, fake)]
    blocks = [[[math.exp(-float((a - b).square().sum()) / (2 * 0.81)) for b in y] for a in x]
              for x, y in ((unit[0], unit[0]), (unit[1], unit[1]), (unit[0], unit[1]))]  # fmt: skip
    means = [np.mean(block) for block in blocks]
    assert kernel_distance(real, fake, kernel, block=4).biased == pytest.approx(means[0] + means[1] - 2 * means[2])
    assert kernel_distance(real, real, kernel).biased == pytest.approx(0.0, abs=1e-14)


def test_a_far_offset_leaves_the_gaussian_kernel_its_digits():
    real, fake = sampled(30, 6, 18), sampled(30, 6, 19, 0.3)
    near = kernel_distance(real, fake, Gaussian(2.0)).value
    # The features themselves lose 12 of 52 bits to the offset.
    assert kernel_distance(real + 4096, fake + 4096, Gaussian(2.0)).value == pytest.approx(near, rel=1e-9)


def test_relabellings_keep_the_sizes_and_start_with_what_is():
    found = relabellings(30, 20, np.random.default_rng(0), 50, most=25)
    assert len(found.reals) == 25
    assert found.fakes is None
    assert found.labels.shape == (45, 51)
    assert found.labels[:, 0].tolist() == [True] * 25 + [False] * 20
    assert set(found.labels.sum(0).tolist()) == {25}
    assert len({tuple(column) for column in found.labels.T.tolist()}) == 51


def test_the_largest_eigenvalue_is_that_of_the_covariance():
    # The linear kernel's operator is the covariance matrix itself, divisor n.
    x = sampled(60, 5, 20) * torch.tensor([3.0, 1.0, 1.0, 0.5, 0.1]).double() + 2
    linear = kernel_matrix(Polynomial(1, 1.0, 0.0), x, x)
    assert largest_eigenvalue(linear) == pytest.approx(float(np.linalg.eigvalsh(np.cov(x.numpy().T, ddof=0))[-1]))


def test_heavy_tails_have_few_degrees_of_freedom():
    rng = np.random.default_rng(21)
    heavy = [torch.from_numpy(rng.standard_t(3, (200, 4))) for _ in range(2)]
    light = [sampled(200, 4, 22), sampled(200, 4, 23)]
    assert kernel_distance(*heavy).scatter.degrees < kernel_distance(*light).scatter.degrees
    found = Scatter(first_order=1.0, second_order=0.0, steepest=0.1, degrees=4.0)
    assert found.interval(100.0, 0.95).high - 100.0 == pytest.approx(2.776, abs=0.05)
