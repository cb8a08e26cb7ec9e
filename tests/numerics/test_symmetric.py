"""Roots, congruences and spectra against numpy and closed forms, on both the small and the large route."""

import numpy as np
import pytest
import torch

from ganaudit.numerics.symmetric import cholesky, congruence, eigenvalues, nuclear_norm, root_sum

EPS = np.finfo(np.float64).eps
SIZES = [5, 600]


def sampled(n, d, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


def with_spectrum(values, seed=0):
    basis = torch.linalg.qr(sampled(len(values), len(values), seed)).Q
    made = (basis * values) @ basis.T
    return (made + made.T) / 2


@pytest.mark.parametrize("d", SIZES)
def test_the_factor_is_numpys(d):
    matrix = with_spectrum(torch.linspace(1, 50, d).double())
    before = matrix.clone()
    lower, definite = cholesky(matrix)
    assert definite
    assert torch.equal(matrix, before)
    assert torch.equal(lower, lower.tril())
    # Backward error of either is below D eps of the norm; the factor moves by about the condition number times that.
    np.testing.assert_allclose(lower.numpy(), np.linalg.cholesky(matrix.numpy()), rtol=0, atol=50 * d * EPS * 50)


@pytest.mark.parametrize("d", SIZES)
@pytest.mark.parametrize("least", [0.0, -1.0, 1e-17])
def test_no_factor_of_what_is_not_clearly_definite(d, least):
    values = torch.ones(d).double()
    values[0] = least
    assert not cholesky(with_spectrum(values))[1]
    assert not cholesky(torch.zeros(d, d).double())[1]


@pytest.mark.parametrize("d", SIZES)
def test_the_congruence_is_the_product(d):
    lower, matrix = torch.tril(sampled(d, d, 1)), with_spectrum(torch.linspace(0.1, 3, d).double())
    before = matrix.clone(), lower.clone()
    found = congruence(lower, matrix).tril()
    expected = np.tril(lower.numpy().T @ matrix.numpy() @ lower.numpy())
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=d * EPS * np.abs(expected).max() * 10)
    assert torch.equal(matrix, before[0])
    assert torch.equal(lower, before[1])


@pytest.mark.parametrize("d", SIZES)
def test_the_eigenvalues_are_those_the_matrix_was_made_of_and_only_the_lower_triangle_counts(d):
    values = torch.linspace(-1, 7, d).double()
    matrix = with_spectrum(values).tril() + torch.full((d, d), 9.0).double().triu(1)
    torch.testing.assert_close(eigenvalues(matrix), values, rtol=0, atol=10 * d * EPS * 7)


def test_stacks_of_matrices_give_what_each_gives():
    stack = torch.stack([with_spectrum(torch.tensor([least, 1.0, 2.0]).double()) for least in (0.0, 0.5)])
    lower, definite = cholesky(stack)
    assert definite.tolist() == [False, True]
    assert torch.equal(lower[1], cholesky(stack[1])[0])
    torch.testing.assert_close(congruence(lower, stack)[1], congruence(lower[1], stack[1]))
    torch.testing.assert_close(eigenvalues(stack)[1], eigenvalues(stack[1]))


def test_the_sum_of_roots_says_when_rounding_would_show():
    values = torch.tensor([[-1e-17, 0.25, 1.0, 4.0], [0.25, 0.25, 1.0, 4.0], [0.0, 0.0, 0.0, 0.0]]).double()
    total, trusted = root_sum(values)
    assert total.tolist() == [3.5, 4.0, 0.0]
    # The noise of a zero beside 4 is 1e-8, more than 1e-10 of the sum.
    assert trusted.tolist() == [False, True, True]


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (30, 30), (1, 1)])
@pytest.mark.parametrize("smallest", [0, -3, -12])
def test_the_nuclear_norm_is_the_sum_of_the_singular_values_the_matrix_was_made_of(shape, smallest):
    k = min(shape)
    values = torch.logspace(0, smallest, k).double()
    left, right = (torch.linalg.qr(sampled(side, k, seed)).Q for seed, side in enumerate(shape))
    matrix = (left * values) @ right.T
    assert float(nuclear_norm(matrix, k)) == pytest.approx(float(values.sum()), rel=1e-10)
    assert float(nuclear_norm(matrix, k + 5)) == pytest.approx(float(values.sum()), rel=1e-10)
    assert float(nuclear_norm(matrix, 0)) == 0
