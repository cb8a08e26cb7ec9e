"""The Fréchet distance against closed forms, numpy's nuclear norm and torch-fidelity; its bias by Monte Carlo."""

import math

import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from ganaudit.numerics.frechet import frechet_bias, frechet_distance, frechet_distances
from ganaudit.numerics.moments import Moments
from tests.numerics.test_moments import gathered, members

EPS = np.finfo(np.float64).eps
CLOSED_FORM = 1e-9


def sampled(n, d, seed):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


def gaussian(mean, covariance, n=10**6):
    return Moments(n, mean.double(), covariance.double() * (n - 1))


def rotation(d, seed=0):
    return torch.linalg.qr(sampled(d, d, seed)).Q


def reference(real, fake):
    """The distance by singular values of the centred cross-Gram matrix, in numpy."""
    real, fake = real.double().numpy(), fake.double().numpy()
    x = (real - real.mean(0)) / math.sqrt(len(real) - 1)
    y = (fake - fake.mean(0)) / math.sqrt(len(fake) - 1)
    overlap = np.linalg.norm(x @ y.T, "nuc")
    return ((real.mean(0) - fake.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * overlap


def test_shifted_identity_covariances_of_2048_features():
    eye = torch.eye(2048)
    value = frechet_distance(gaussian(torch.zeros(2048), eye), gaussian(torch.ones(2048), eye))
    assert value == pytest.approx(2048, rel=CLOSED_FORM)


@pytest.mark.parametrize(("d", "s1", "s2"), [(1, 1.0, 2.0), (16, 0.5, 3.0), (64, 1.0, 1.5)])
def test_isotropic_covariances(d, s1, s2):
    mean, eye = torch.zeros(d), torch.eye(d)
    value = frechet_distance(gaussian(mean, s1**2 * eye), gaussian(mean, s2**2 * eye))
    assert value == pytest.approx(d * (s1 - s2) ** 2, rel=CLOSED_FORM)


@pytest.mark.parametrize("basis", [torch.eye(12).double(), rotation(12)])
def test_commuting_covariances(basis):
    a, b, shift = torch.linspace(0.5, 4, 12).double(), torch.linspace(3, 1, 12).double(), torch.ones(12).double()
    real = gaussian(torch.zeros(12), basis @ a.diag() @ basis.T)
    fake = gaussian(shift, basis @ b.diag() @ basis.T)
    expected = 12 + float(((a.sqrt() - b.sqrt()) ** 2).sum())
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=CLOSED_FORM)


def test_two_by_two_that_do_not_commute():
    a, b = torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    for real, fake in ((a, b), (b, a)):
        value = frechet_distance(gaussian(torch.zeros(2), real), gaussian(torch.zeros(2), fake))
        assert value == pytest.approx(8 - 2 * math.sqrt(14), rel=CLOSED_FORM)
        assert value == pytest.approx(0.5166852264521173, rel=CLOSED_FORM)


@pytest.mark.parametrize("d", [3, 32])
def test_rank_one_covariances(d):
    u, v = sampled(2, d, seed=3)
    real, fake = torch.stack([u, -u]) / math.sqrt(2), torch.stack([v, -v]) / math.sqrt(2)
    expected = float(u @ u + v @ v - 2 * (u @ v).abs())
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=CLOSED_FORM)
    by_moments = frechet_distance(Moments.of(real), Moments.of(fake))
    assert by_moments == pytest.approx(expected, rel=CLOSED_FORM)


@pytest.mark.parametrize(("n", "m", "d"), [(40, 30, 8), (7, 5, 20), (90, 5, 20), (5, 90, 20), (20, 20, 20), (9, 9, 8)])
def test_both_routes_are_the_nuclear_norm(n, m, d):
    real, fake = sampled(n, d, 1), 1.5 * sampled(m, d, 2) + 0.25
    assert frechet_distance(real, fake) == pytest.approx(reference(real, fake), rel=CLOSED_FORM)


@pytest.mark.parametrize(("n", "m"), [(3, 400), (400, 3), (5, 9)])
def test_moments_of_few_samples_carry_no_noise_from_the_null_space(n, m):
    real, fake = sampled(n, 24, 1), sampled(m, 24, 2)
    value = frechet_distance(Moments.of(real), Moments.of(fake))
    assert value == pytest.approx(reference(real, fake), rel=CLOSED_FORM)


def test_constant_features_change_nothing_but_the_route():
    real, fake = sampled(40, 8, 1), 0.5 * sampled(30, 8, 2)
    padded = [torch.cat([x, torch.full((len(x), 56), 3.0)], dim=1) for x in (real, fake)]
    assert frechet_distance(*padded) == pytest.approx(frechet_distance(real, fake), rel=CLOSED_FORM)


@pytest.mark.parametrize(("n", "m", "d"), [(50, 40, 6), (6, 5, 40)])
def test_invariance_scale_and_symmetry(n, m, d):
    real, fake = sampled(n, d, 4), sampled(m, d, 5) * 1.3 + 0.1
    value = frechet_distance(real, fake)
    turned = rotation(d, 6)
    assert frechet_distance(fake, real) == pytest.approx(value, rel=CLOSED_FORM)
    assert frechet_distance(real @ turned + 2, fake @ turned + 2) == pytest.approx(value, rel=CLOSED_FORM)
    assert frechet_distance(3 * real, 3 * fake) == pytest.approx(9 * value, rel=CLOSED_FORM)


@pytest.mark.parametrize(("n", "d"), [(200, 16), (16, 200)])
def test_equal_samples_are_at_distance_zero_and_never_below(n, d):
    for seed in range(5):
        x = sampled(n, d, seed)
        trace = float(Moments.of(x).covariance.trace())
        assert 0 <= frechet_distance(x, x.flip(0)) <= 4 * max(n, d) * EPS * trace


def test_constant_features_on_one_side():
    real, fake = sampled(30, 4, 0), torch.full((30, 4), 2.0)
    expected = float((real.mean(0) - 2).square().sum() + Moments.of(real).covariance.trace())
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=CLOSED_FORM)
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=CLOSED_FORM)
    assert frechet_distance(fake, fake) == 0


@pytest.mark.parametrize(("n", "m", "d"), [(90, 5, 20), (5, 90, 20), (20, 20, 20), (700, 30, 600)])
def test_moments_serve_for_either_side(n, m, d):
    real, fake = sampled(n, d, 1), 1.5 * sampled(m, d, 2) + 0.25
    expected = reference(real, fake)
    for pair in (
        (Moments.of(real), fake),
        (real, Moments.of(fake)),
        (Moments.of(real), Moments.of(fake)),
        (Moments.from_statistics(None, real.mean(0), Moments.of(real).covariance), fake),
    ):
        # Nothing tells that a published covariance has a null space, so its rounding, D eps of the largest, may count.
        assert frechet_distance(*pair) == pytest.approx(expected, rel=CLOSED_FORM if d < 600 else 1e-8)


def test_six_hundred_features_by_the_large_route():
    # SciPy's LAPACK serves from 256 features on.
    mixing = torch.linspace(0.1, 2, 600).double()
    real, fake = sampled(1500, 600, 1) * mixing, (sampled(1300, 600, 2) * mixing) @ rotation(600, 3)
    assert frechet_distance(Moments.of(real), Moments.of(fake)) == pytest.approx(reference(real, fake), rel=CLOSED_FORM)


@pytest.mark.parametrize("d", [24, 520])
@pytest.mark.parametrize("smallest", [-3, -6])
def test_covariances_near_singular_lose_no_digits(d, smallest):
    # The squares of the smallest singular values fall below the rounding of the largest: the slower way takes over.
    scale = torch.logspace(0, smallest, d).double()
    real, fake = sampled(2 * d, d, 1) * scale, sampled(3 * d, d, 2) * scale.flip(0)
    turned = rotation(d, 3)
    found = frechet_distance(Moments.of(real @ turned), Moments.of(fake @ turned))
    assert found == pytest.approx(reference(real, fake), rel=CLOSED_FORM)


def test_a_reference_root_is_made_once_for_all_comparisons():
    real = Moments.of(sampled(50, 8, 1))
    root = real.root
    for seed in (2, 3):
        frechet_distance(real, Moments.of(sampled(50, 8, seed)))
    assert real.root is root


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 32), (2000, 1500, 64), (64, 64, 32), (4096, 1024, 8)])
def test_agrees_with_torch_fidelity(n, m, d):
    real, fake = sampled(n, d, 7), sampled(m, d, 8) * torch.linspace(0.5, 2, d) + 0.3
    peer = fid_statistics_to_metric(fid_features_to_statistics(fake), fid_features_to_statistics(real), False)
    assert frechet_distance(real, fake) == pytest.approx(peer["frechet_inception_distance"], rel=1e-6)


@pytest.mark.parametrize(
    ("d", "n", "m", "expected"),
    [(32, 200, None, 1.4866), (32, 1000, None, 0.2963), (32, 5000, None, 0.0592), (32, 1000, 1000, 0.5925)],
)
def test_bias_of_isotropic_covariances(d, n, m, expected):
    bias = frechet_bias(torch.eye(d), n, m)
    closed = sum(d / side + d * (d + 1) / (4 * (side - 1)) for side in (n, m) if side is not None)
    assert bias == pytest.approx(closed, rel=CLOSED_FORM)
    assert bias == pytest.approx(expected, abs=1e-4)
    assert frechet_bias(2.5 * torch.eye(d), n, m) == pytest.approx(2.5 * closed, rel=CLOSED_FORM)


def test_bias_is_that_of_the_turned_covariance_without_its_null_space():
    values = torch.tensor([4.0, 1.0, 0.25]).double()
    turned = rotation(5)[:, :3]
    flat = frechet_bias(values.diag(), 50, 70)
    assert frechet_bias(turned @ values.diag() @ turned.T, 50, 70) == pytest.approx(flat, rel=1e-6)
    assert frechet_bias(torch.zeros(2, 2), 50, 70) == 0


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0, 1.0], [9.0, 4.0, 1.0, 0.1]])
def test_bias_by_monte_carlo_of_two_samples(values):
    rng = np.random.default_rng(11)
    scale = np.sqrt(values)
    runs = np.array(
        [
            frechet_distance(*(torch.from_numpy(rng.normal(size=(n, len(values))) * scale) for n in (300, 200)))
            for _ in range(300)
        ]
    )
    expected = frechet_bias(torch.tensor(values).diag(), 300, 200)
    assert abs(runs.mean() - expected) <= 4 * runs.std(ddof=1) / math.sqrt(len(runs))


def test_bias_by_monte_carlo_against_exact_moments():
    rng = np.random.default_rng(12)
    covariance = torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]]).double()
    root = torch.linalg.cholesky(covariance)
    exact = gaussian(torch.zeros(3), covariance)
    runs = np.array(
        [frechet_distance(Moments.of(torch.from_numpy(rng.normal(size=(500, 3))) @ root.T), exact) for _ in range(300)]
    )
    assert abs(runs.mean() - frechet_bias(covariance, 500, None)) <= 4 * runs.std(ddof=1) / math.sqrt(len(runs))


def test_bad_arguments_are_refused():
    x = sampled(5, 3, 0)
    for real, fake in ((x[0], x), (x[:1], x), (x, x[:, :2]), (x, x * math.nan)):
        with pytest.raises(ValueError, match=r"found .*allowed"):
            frechet_distance(real, fake)
    with pytest.raises(ValueError, match="found 2 features"):
        frechet_distance(Moments.of(x), Moments.of(x[:, :2]))
    with pytest.raises(ValueError, match="n_fake: found 1"):
        frechet_bias(torch.eye(2), 5, 1)
    with pytest.raises(ValueError, match="covariance: found shape"):
        frechet_bias(torch.ones(2, 3), 5, 5)


@pytest.mark.parametrize("kind", ["plain", "singular", "near singular"])
@pytest.mark.parametrize("d", [5, 140])
def test_many_unions_at_once_are_the_distances_one_by_one(kind, d):
    scale = torch.logspace(0, -7 if kind == "near singular" else -1, d).double()
    x, y = sampled(3 * d + 40, d, 1) * scale + 100, sampled(3 * d + 40, d, 2) * scale + 99
    if kind == "singular":
        x[:, 0], y[:, 1] = 1.0, 2.0
    real, fake = gathered(x, 4, 1), gathered(y, 4, 2)
    sets = [(0, 1, 2), (3,), (0, 1, 2, 3)]
    rows = [members(len(x), 4, len(x), seed)[0] for seed in (1, 2)]
    sides = list(zip((x, y), rows, strict=True))
    expected = [frechet_distance(*(v[np.concatenate([r[g] for g in s])] for v, r in sides)) for s in sets]
    # Moments about an offset of 100 keep 1e-14 of its square, against distances of about 1.
    assert frechet_distances(real, fake, sets).tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(40, 30), (4, 5)])
def test_the_divisor_n_is_that_of_numpy_with_ddof_0(n, m):
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((n, 6)) + 0.3, rng.standard_normal((m, 6)) @ rng.standard_normal((6, 6))
    for ddof, divisors in (((0, 0), ("n", "n")), ((1, 0), ("n - 1", "n")), ((1, 1), ("n - 1", "n - 1"))):
        a, b = np.cov(x, rowvar=False, ddof=ddof[0]), np.cov(y, rowvar=False, ddof=ddof[1])
        root = np.real(sqrtm(a @ b)).trace()
        expected = float(np.square(x.mean(0) - y.mean(0)).sum() + np.trace(a) + np.trace(b) - 2 * root)
        found = frechet_distance(torch.from_numpy(x), torch.from_numpy(y), divisors)
        # Below full rank SciPy's root is right to half the digits only.
        assert found == pytest.approx(expected, rel=1e-9 if min(n, m) > 6 else 1e-5)
    known = Moments.from_statistics(None, torch.zeros(6), torch.eye(6))
    with pytest.raises(ValueError, match="do not tell their n"):
        frechet_distance(known, torch.from_numpy(y), ("n", "n"))
