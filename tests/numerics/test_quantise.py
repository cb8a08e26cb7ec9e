"""8-bit levels: the round trip, the nearest level and the ends."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganaudit.numerics.quantise import to_range, to_uint8

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


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"low, high: found 1.0, 1.0"):
        to_uint8(torch.zeros(1), 1.0, 1.0)
    with pytest.raises(ValueError, match="x: found NaN"):
        to_uint8(torch.tensor([float("nan")]), 0.0, 1.0)
    with pytest.raises(ValueError, match=r"u8: found dtype torch.float32"):
        to_range(torch.zeros(1), 0.0, 1.0)
    with pytest.raises(ValueError, match=r"dtype: found torch.int64"):
        to_range(LEVELS, 0.0, 1.0, torch.int64)
