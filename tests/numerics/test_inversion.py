"""Descent on latents, against the closed form of linear generators: a projection, and a solved system."""

import numpy as np
import pytest
import torch

from ganaudit.numerics.inversion import inverted, within_law

D, P = 4, 9
MIX = torch.from_numpy(np.linalg.qr(np.random.default_rng(0).standard_normal((P, P)))[0][:D] * 1.5)
"""(D, P): orthogonal rows of length 1.5."""


def starts(n, several=3, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, several, D)))


def loss_to(targets):
    return lambda z, rows: (z @ MIX - targets[rows]).square().sum(1)


def test_the_error_left_is_the_distance_to_what_a_linear_generator_can_make():
    targets = torch.from_numpy(np.random.default_rng(2).normal(0, 0.5, (6, P)))
    found = inverted(loss_to(targets), starts(6), steps=300, law="normal")
    latents, residuals = zip(*(np.linalg.lstsq(MIX.T.numpy(), t, rcond=None)[:2] for t in targets.numpy()), strict=True)
    assert found.errors.numpy() == pytest.approx(np.concatenate(residuals), abs=1e-4)
    assert found.latents.numpy() == pytest.approx(np.stack(latents), abs=0.01)
    assert bool((found.by_start >= found.errors[:, None]).all())
    assert bool((found.by_start <= found.at_start).all())


def test_what_lies_beyond_the_law_is_not_reached():
    """The nearest point of a ball is along the radius: the least distance is what the radius lacks."""
    most = 2 + 3 / np.sqrt(2)
    wanted = torch.zeros(1, D, dtype=torch.float64)
    wanted[0, 0] = 3 * most
    found = inverted(loss_to(wanted @ MIX), starts(1), steps=300, law="normal")
    assert float(found.latents.norm()) <= most * (1 + 1e-9)
    assert float(found.errors) == pytest.approx((1.5 * 2 * most) ** 2, rel=1e-3)
    cube = inverted(loss_to(wanted @ MIX), starts(1), steps=300, law="uniform")
    assert cube.latents[0].numpy() == pytest.approx([1, 0, 0, 0], abs=0.01)


def test_the_law_keeps_what_lies_within():
    z = starts(5)[:, 0] / 10
    assert torch.equal(within_law(z, "normal"), z)
    assert torch.equal(within_law(z, "uniform"), z)


def test_targets_do_not_depend_on_each_other_nor_on_the_batch():
    targets = torch.from_numpy(np.random.default_rng(3).normal(0, 0.5, (5, P)))
    whole = inverted(loss_to(targets), starts(5), steps=20, law="normal")
    parts = inverted(loss_to(targets), starts(5), steps=20, law="normal", batch=4)
    alone = inverted(loss_to(targets[3:4]), starts(5)[3:4], steps=20, law="normal")
    assert whole.errors.numpy() == pytest.approx(parts.errors.numpy(), rel=1e-9)
    assert float(alone.errors) == pytest.approx(float(whole.errors[3]), rel=1e-9)


def test_a_start_where_the_loss_is_no_number_costs_itself_only():
    targets = torch.zeros(1, P, dtype=torch.float64)
    begin = starts(1)
    begin[0, 0, 0] = 2.5

    def broken(z, rows):
        return torch.where(z[:, 0] > 2, torch.nan, loss_to(targets)(z, rows))

    found = inverted(broken, begin, steps=50, law="normal")
    assert bool(found.errors.isfinite().all())
    assert float(found.at_start[0, 0]) == float("inf")


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="found shape"):
        inverted(loss_to(torch.zeros(1, P)), torch.zeros(1, D), steps=3, law="normal")
    with pytest.raises(ValueError, match="steps"):
        inverted(loss_to(torch.zeros(1, P)), starts(1), steps=0, law="normal")
    with pytest.raises(ValueError, match="without gradients"):
        inverted(lambda z, rows: z.detach().sum(1), starts(1), steps=3, law="normal")
