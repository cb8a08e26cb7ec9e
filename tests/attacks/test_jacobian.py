"""Singular values against NumPy on linear generators and against finite differences on a network."""

import math

import numpy as np
import pytest
import torch

from ganaudit.attacks.jacobian import conditioning, singular_values


def rng():
    return np.random.default_rng(2)


def linear(p=30, d=8, seed=0):
    return np.random.default_rng(seed).normal(size=(p, d))


def as_generator(a):
    weights = torch.from_numpy(a)
    return lambda z: (z @ weights.T + 1).view(len(z), 1, -1)


def network(d=6):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(d, 20), torch.nn.ReLU(), torch.nn.Linear(20, 40), torch.nn.Tanh()]
    return torch.nn.Sequential(*layers).double().eval()


@pytest.mark.parametrize("batch", [64, 3])
@pytest.mark.parametrize("shape", [(30, 8), (5, 8)])
def test_linear_generator_gives_its_own_singular_values(shape, batch):
    a = linear(*shape)
    found = singular_values(as_generator(a), torch.zeros(3, 8).double(), rng(), batch=batch)
    expected = np.linalg.svd(a, compute_uv=False)
    assert found.shape == (3, min(shape))
    np.testing.assert_allclose(found.numpy(), np.tile(expected, (3, 1)), rtol=1e-10)


def test_network_agrees_with_finite_differences():
    model = network()
    z = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 6)))
    found = singular_values(model, z, rng())
    h = 1e-6
    with torch.no_grad():
        for row, latent in enumerate(z):
            columns = [(model(latent + h * e) - model(latent - h * e)) / (2 * h) for e in torch.eye(6).double()]
            expected = np.linalg.svd(torch.stack(columns).numpy(), compute_uv=False)
            np.testing.assert_allclose(found[row].numpy(), expected, rtol=1e-6, atol=1e-8)


def test_parameters_are_left_alone():
    model = network()
    singular_values(model, torch.zeros(1, 6).double(), rng())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_a_subspace_interlaces():
    a = linear(60, 20)
    every = np.linalg.svd(a, compute_uv=False)
    found = singular_values(as_generator(a), torch.zeros(2, 20).double(), rng(), directions=5).numpy()
    assert found.shape == (2, 5)
    np.testing.assert_allclose(found[0], found[1])
    # Cauchy: the j-th of the subspace lies between the j-th and the (j + 15)-th of the whole.
    assert (found[0] <= every[:5] + 1e-9).all()
    assert (found[0] >= every[15:] - 1e-9).all()
    assert conditioning(torch.from_numpy(found)).mean <= 2 * math.log(every[0] / every[-1])


def test_folding_keeps_squares_near():
    a = linear(20000, 4)
    exact = np.linalg.svd(a, compute_uv=False)
    found = singular_values(as_generator(a), torch.zeros(1, 4).double(), rng(), outputs=2000)[0].numpy()
    # Entries of the folded Gram matrix have relative standard deviation sqrt(2/2000) at most; 4 x 4 of them, 3 sd.
    assert np.abs(found**2 / exact**2 - 1).max() < 3 * 4 * math.sqrt(2 / 2000)
    assert not np.allclose(found, exact, rtol=1e-6)


def test_conditioning_is_the_law_of_logs():
    a = [np.diag([1.0, r]) for r in (0.5, 0.1, 1e-3)]
    values = torch.stack([singular_values(as_generator(m), torch.zeros(1, 2).double(), rng())[0] for m in a])
    found = conditioning(values)
    logs = [math.log(np.linalg.cond(m.T @ m)) for m in a]
    assert found.mean == pytest.approx(np.mean(logs))
    assert found.sd == pytest.approx(np.std(logs, ddof=1))
    assert (found.n, found.collapsed) == (3, 0)


def test_a_dead_direction_is_counted_not_averaged():
    a = linear()
    a[:, 2] = a[:, 0]
    values = singular_values(as_generator(a), torch.zeros(2, 8).double(), rng())
    found = conditioning(values, torch.float64)
    assert (found.mean, found.sd, found.n, found.collapsed) == (None, None, 0, 2)
    assert conditioning(torch.zeros(1, 3)).collapsed == 1


def test_a_constant_generator_has_no_direction():
    a = torch.ones(3, requires_grad=True)
    values = singular_values(lambda z: a.expand(len(z), 3) * 1.0, torch.zeros(1, 2), rng())
    assert values.tolist() == [[0.0, 0.0]]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="without gradients"):
        singular_values(lambda z: z.detach(), torch.zeros(1, 4), rng())
    with pytest.raises(ValueError, match="directions"):
        singular_values(lambda z: z, torch.zeros(1, 4), rng(), directions=1)
    with pytest.raises(ValueError, match="outputs"):
        singular_values(lambda z: z, torch.zeros(1, 4), rng(), outputs=4)
    with pytest.raises(ValueError, match="z:"):
        singular_values(lambda z: z, torch.zeros(4), rng())
    with pytest.raises(ValueError, match="singular"):
        conditioning(torch.ones(3, 1))
