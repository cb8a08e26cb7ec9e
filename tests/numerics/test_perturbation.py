"""Changes made visible, against plain arithmetic in fractions."""

from fractions import Fraction

import pytest
import torch

from ganaudit.numerics.perturbation import amplified


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (-60.0, 60.0)])
def test_the_largest_change_reaches_an_end_and_no_change_is_the_middle(low, high):
    rng = torch.Generator().manual_seed(0)
    before = (torch.rand(5, 3, 4, 4, generator=rng) - 0.5) * (high - low) / 4 + (low + high) / 2
    after = before + (torch.rand(5, 3, 4, 4, generator=rng) - 0.5) * 1e-3
    after[0] = before[0]
    pictures, factors = amplified(before, after, low, high)
    assert pictures.dtype == factors.dtype == torch.float64
    assert factors[0] == 1.0
    assert bool((pictures[0] == (low + high) / 2).all())
    for picture, factor, old, new in zip(pictures[1:], factors[1:], before[1:], after[1:], strict=True):
        pairs = zip(old.flatten().tolist(), new.flatten().tolist(), strict=True)
        deltas = [Fraction(b) - Fraction(a) for a, b in pairs]
        k = Fraction(high - low) / 2 / max(map(abs, deltas))
        assert float(factor) == pytest.approx(float(k), rel=1e-14)
        expected = [float(Fraction(low + high) / 2 + k * delta) for delta in deltas]
        # Two roundings of a product and one of a sum, of numbers no larger than the ends of the range.
        assert picture.flatten().tolist() == pytest.approx(expected, rel=0, abs=4 * 2.0**-53 * max(abs(low), high))
        assert float((picture - (low + high) / 2).abs().max()) == pytest.approx((high - low) / 2)


def test_a_change_beyond_half_the_range_is_shrunk():
    pictures, factors = amplified(torch.zeros(1, 1, 2), torch.tensor([[[1.0, 0.5]]]), 0.0, 1.0)
    assert factors.tolist() == [0.5]
    assert pictures.tolist() == [[[1.0, 0.75]]]


@pytest.mark.parametrize(
    ("before", "after", "low", "high", "told"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 4), 0, 1, r"found shapes \(2, 3\) and \(2, 4\)"),
        (torch.zeros(2), torch.zeros(2), 0, 1, r"allowed: one shape \(samples, ...\)"),
        (torch.zeros(2, 3), torch.zeros(2, 3), 1, 1, "allowed: low below high"),
        (torch.zeros(1, 1), torch.full((1, 1), torch.inf), 0, 1, "not finite"),
    ],
)
def test_what_cannot_be_shown_is_refused(before, after, low, high, told):
    with pytest.raises(ValueError, match=told):
        amplified(before, after, low, high)
