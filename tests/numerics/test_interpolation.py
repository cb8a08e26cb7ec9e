"""Ways between latents, and scores along them, against plain loops and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.numerics.interpolation import (
    chance_of_dip,
    crossings,
    curvature,
    dips,
    evenness,
    fractions,
    lerp,
    share_range,
    slerp,
)


def normals(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def test_lerp_ends_where_it_should_and_halves_the_variance():
    a, b = normals(4000, 64), normals(4000, 64, seed=1)
    assert torch.equal(lerp(a, b, 0.0), a)
    assert torch.equal(lerp(a, b, 1.0), b)
    # E|z|^2/d is (1 - t)^2 + t^2; its standard error over 4000 latents of 64 coordinates is below 0.003.
    for t, expected in ((0.5, 0.5), (0.25, 0.625)):
        assert float(lerp(a, b, t).square().mean()) == pytest.approx(expected, abs=0.01)
    shares = torch.linspace(0, 1, 4000, dtype=torch.float64)
    rowwise = lerp(a.view(-1, 1, 8, 8), b.view(-1, 1, 8, 8), shares)
    assert torch.equal(rowwise[7].flatten(), a[7] * (1 - shares[7]) + b[7] * shares[7])


def test_slerp_goes_round_the_circle_at_an_even_pace():
    a, b = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 2.0]])
    for t in (0.0, 0.25, 0.5, 1.0):
        angle = t * math.pi / 2
        expected = torch.tensor([[2 * math.cos(angle), 0.0, 2 * math.sin(angle)]])
        assert torch.allclose(slerp(a, b, t), expected, atol=1e-6)
    x, y = normals(200, 16), normals(200, 16, seed=1)
    x, y = x / x.norm(dim=1, keepdim=True), y / y.norm(dim=1, keepdim=True)
    middle = slerp(x, y, 0.5)
    assert torch.allclose(middle.norm(dim=1), torch.ones(200, dtype=torch.float64))
    angles = [torch.linalg.vecdot(p, q).acos() for p, q in ((x, middle), (middle, y))]
    assert torch.allclose(*angles)


def test_slerp_of_the_same_or_the_opposite_direction_is_the_chord():
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    b = torch.tensor([[3.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])
    expected = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    found = slerp(a, b, 0.5)
    assert torch.allclose(found[:2], expected[:2])
    assert torch.isfinite(found).all()


def test_evenness():
    steps = torch.tensor([[2.0, 2.0, 2.0, 2.0], [0.0, 8.0, 0.0, 0.0], [1.0, 2.0, 1.0, 0.0]])
    assert evenness(steps).tolist() == [1.0, 0.25, 0.5]
    assert evenness(torch.zeros(1, 3)).isnan().all()
    with pytest.raises(ValueError, match="0 or more"):
        evenness(-steps)


def test_a_line_has_no_curvature_and_crosses_where_its_formula_says():
    t = fractions(11)
    start, slope = normals(300), normals(300, seed=1)
    scores = torch.stack([start + slope * share for share in t])
    assert float(curvature(scores, t).max()) == 0.0
    at = crossings(scores, t, 0.1)
    expected = (0.1 - start) / slope
    is_crossed = (start < 0.1) & (start + slope >= 0.1)
    assert torch.equal(~at.isnan(), is_crossed)
    assert torch.allclose(at[is_crossed], expected[is_crossed], atol=1e-9)


def test_curvature_and_the_first_crossing_of_a_path_that_turns_back():
    t = [0.0, 0.25, 0.5, 0.75, 1.0]
    scores = torch.tensor([[0.0, 2.0, -2.0, 4.0, 0.0]]).T
    # The chord is 0 throughout, the range 6, the largest distance 4.
    assert float(curvature(scores, t)) == pytest.approx(4 / 6)
    assert float(crossings(scores, t, 1.0)) == pytest.approx(0.125)
    assert math.isnan(float(crossings(scores, t, 0.0)))  # it starts on the threshold
    assert math.isnan(float(crossings(scores, t, 5.0)))
    with pytest.raises(ValueError, match="a row for each t"):
        curvature(scores, t[:3])


def test_dips_and_their_chance():
    scores = torch.tensor([[-9.0, 0.0, 0.0], [0.0, -9.0, 0.0], [0.0, 0.0, -9.0]])
    assert dips(scores, -1.0).tolist() == [False, True, False]
    rng = np.random.default_rng(0)
    share = (rng.random((40000, 9)) < 0.05).any(1).mean()
    # A share of 40,000 has a standard error of at most 0.0025.
    assert chance_of_dip(0.05, 9) == pytest.approx(share, abs=0.01)
    assert chance_of_dip(0.0, 9) == 0.0
    assert chance_of_dip(1.0, 9) == 1.0


@pytest.mark.parametrize(("n", "p"), [(20, 0.37), (200, 0.05), (7, 0.0)])
def test_the_range_of_a_share_is_that_of_the_binomial_law(n, p):
    found = share_range(n, p, 0.95)
    expected = stats.binom(n, p).ppf([0.025, 0.975])
    assert [found.low * n, found.high * n] == pytest.approx(expected.tolist())


def test_fractions():
    assert fractions(5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    with pytest.raises(ValueError, match="points"):
        fractions(2)
