"""8-bit levels: the round trip, the nearest level and the ends."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganaudit.numerics.quantise import QUANTISERS, quantised, to_int16, to_range, to_uint8

LEVELS = torch.arange(256, dtype=torch.uint8)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-2.0, 2.0)])
def test_levels_survive_the_round_trip(low, high, dtype):
    values = to_range(LEVELS, low, high, dtype)
    assert values.dtype == dtype
    assert torch.equal(to_uint8(values, low, high), LEVELS)


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6))
def test_levels_survive_the_round_trip_in_any_range(low, width):
    assert torch.equal(to_uint8(to_range(LEVELS, low, low + width, torch.float64), low, low + width), LEVELS)


@given(st.floats(-1, 1))
def test_the_level_is_the_nearest(value):
    level = int(to_uint8(torch.tensor([value], dtype=torch.float64), -1.0, 1.0))
    exact = (Fraction(value) + 1) / 2 * 255
    # Half a level, and the rounding of three float64 steps at a magnitude of 255.
    assert abs(exact - level) <= Fraction(1, 2) + Fraction(4 * 255, 2**53)


def test_halves_go_up_and_the_outside_is_clipped():
    x = torch.tensor([-5.0, -0.5, 0.49, 0.5, 1.5, 2.5, 254.5, 255.4, 300.0, float("inf"), -float("inf")])
    assert to_uint8(x, 0.0, 255.0).tolist() == [0, 0, 0, 1, 2, 3, 255, 255, 255, 255, 0]


def test_the_ends_are_exact_and_shapes_kept():
    u8 = torch.tensor([[0, 255]], dtype=torch.uint8)
    assert to_range(u8, -1.0, 1.0).tolist() == [[-1.0, 1.0]]
    assert to_uint8(torch.zeros(2, 3, 4), -1.0, 1.0).shape == (2, 3, 4)


# --- quantisers

U = 2.0**-24


def values(low, high, n=4000):
    """Return values in and around a range, its ends, and the levels themselves, float32."""
    inside = torch.linspace(low - 0.3 * (high - low), high + 0.3 * (high - low), n)
    return torch.cat([inside, torch.tensor([low, high, 2 * high - low, float("inf"), -float("inf")])])


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-2.0, 3.0)])
def test_quantisers_are_the_levels_rounded_cut_and_left(low, high):
    x = values(low, high)
    exact = [min(max((Fraction(v) - Fraction(low)) / Fraction(high - low) * 255, 0), 255) for v in x[:-2].tolist()]
    assert torch.equal(quantised(x, low, high, "round"), to_uint8(x, low, high))
    floor, left = quantised(x, low, high, "floor"), quantised(x, low, high, "none")
    assert (floor.dtype, left.dtype) == (torch.uint8, torch.float32)
    assert floor[-2:].tolist() == left[-2:].tolist() == [255, 0]
    # Three steps in float32, each rounding by U of at most 255 or, before them, of the range's ends.
    slack = Fraction(255 * 3 * U) + Fraction(255 * U * (abs(low) + abs(high)) / (high - low))
    for level, cut, kept in zip(exact, floor[:-2].tolist(), left[:-2].tolist(), strict=True):
        assert abs(Fraction(kept) - level) <= slack
        assert cut <= level + slack
        assert cut + 1 > level - slack


def test_floor_is_what_torchmetrics_does_to_normalised_images():
    x = torch.rand(10_000, generator=torch.Generator().manual_seed(0))
    x[:256] = to_range(LEVELS, 0.0, 1.0)
    assert torch.equal(quantised(x, 0.0, 1.0, "floor"), (x * 255).byte())


@pytest.mark.parametrize("quantiser", QUANTISERS)
def test_quantisers_keep_shape_and_argument_and_take_any_float(quantiser):
    x = torch.linspace(-1.5, 1.5, 24).reshape(2, 3, 4)
    before = x.clone()
    expected = quantised(x, -1.0, 1.0, quantiser)
    assert expected.shape == x.shape
    assert torch.equal(x, before)
    assert torch.equal(quantised(x.double(), -1.0, 1.0, quantiser), expected)
    assert torch.equal(quantised(x.requires_grad_(), -1.0, 1.0, quantiser), expected)
    assert not expected.requires_grad


def test_levels_that_are_left_unquantised_are_the_levels_again():
    levels = quantised(to_range(LEVELS, -1.0, 1.0), -1.0, 1.0, "none")
    assert float((levels - LEVELS).abs().max()) <= 255 * 4 * U  # one rounding more, of the value itself


@pytest.mark.parametrize("quantiser", QUANTISERS)
def test_quantisers_refuse_bad_arguments(quantiser):
    with pytest.raises(ValueError, match=r"low, high: found 1.0, 0.0"):
        quantised(torch.zeros(1), 1.0, 0.0, quantiser)
    with pytest.raises(ValueError, match="x: found NaN"):
        quantised(torch.tensor([0.0, float("nan")]), 0.0, 1.0, quantiser)
    with pytest.raises(ValueError, match="quantiser: found 'ceil'; allowed: round, floor, none"):
        quantised(torch.zeros(1), 0.0, 1.0, "ceil")


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"low, high: found 1.0, 1.0"):
        to_uint8(torch.zeros(1), 1.0, 1.0)
    with pytest.raises(ValueError, match="x: found NaN"):
        to_uint8(torch.tensor([float("nan")]), 0.0, 1.0)
    with pytest.raises(ValueError, match=r"u8: found dtype torch.float32"):
        to_range(torch.zeros(1), 0.0, 1.0)
    with pytest.raises(ValueError, match=r"dtype: found torch.int64"):
        to_range(LEVELS, 0.0, 1.0, torch.int64)


def test_levels_of_sound_survive_the_round_trip_and_are_those_of_the_writer():
    every = torch.arange(-32768, 32768).to(torch.int16)
    assert torch.equal(to_int16(every.float() / 32768, -1.0, 1.0), every)
    x = torch.linspace(-1.2, 1.2, 1001, dtype=torch.float64)
    written = (x * 2.0**15 + 0.5).floor().clamp(-(2**15), 2**15 - 1)
    assert torch.equal(to_int16(x, -1.0, 1.0).double(), written)
    assert torch.equal(to_int16((x + 1) / 2, 0.0, 1.0).double(), written)
    with pytest.raises(ValueError, match="found NaN"):
        to_int16(torch.tensor([float("nan")]), -1.0, 1.0)
