"""The bracket against known roots: as close as promised, in no more rounds than bisection and four."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganaudit.attacks.bracket import Bracket

ROOTS = torch.linspace(0.003, 0.997, 41, dtype=torch.float64)

SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "straight": lambda t: ROOTS - t,
    "curved": lambda t: torch.exp(-3 * t) - torch.exp(-3 * ROOTS),
    "steep": lambda t: (ROOTS - t) * (1 + 1e6 * (ROOTS - t).clamp(min=0)),
    "flat at the root": lambda t: (ROOTS - t).sign() * (ROOTS - t).abs() ** 5,
    "a jump": lambda t: torch.where(t < ROOTS, 1.0, -1e-6).double(),
    "not finite beyond": lambda t: torch.where(t < ROOTS, 1.0, -math.inf).double(),
}


def closed_in(shape: Callable[[Tensor], Tensor], rounds: int, factor: float = 1.0) -> tuple[Tensor, int]:
    ends = [shape(torch.full_like(ROOTS, end)) * factor for end in (0.0, 1.0)]
    bracket = Bracket(ends[0], ends[1], torch.ones(len(ROOTS), dtype=torch.bool), rounds)
    crossing, count = torch.ones_like(ROOTS), 0
    while bracket.open:
        place = bracket.next()
        margins = shape(place) * factor
        bracket.shrink(place, margins, margins <= 0)
        crossing = torch.where(margins <= 0, torch.minimum(crossing, place), crossing)
        count += 1
    return crossing, count


@pytest.mark.parametrize("name", SHAPES)
def test_the_crossing_is_as_near_as_promised(name: str) -> None:
    crossing, count = closed_in(SHAPES[name], 16)
    assert (crossing >= ROOTS).all()
    assert (crossing - ROOTS <= 2**-16).all()
    assert count <= 20


def test_smooth_margins_take_fewer_rounds_than_bisection_and_their_unit_does_not_matter() -> None:
    # 5: the chord of a straight one is exact; two pulls, 0.01 and 0.01^3 of the line, and one place on either side.
    for name, most in (("straight", 5), ("curved", 15)):
        crossing, count = closed_in(SHAPES[name], 16)
        assert count <= most
        # Powers of two change no digit.
        assert torch.equal(crossing, closed_in(SHAPES[name], 16, 2.0**-40)[0])


def test_an_end_that_is_nearly_there_is_closed_in_four_places() -> None:
    """As minimal norms leave it: the upper end lies a thousandth beyond the crossing."""
    roots = torch.linspace(0.9985, 0.9999, 41, dtype=torch.float64)

    def bent(t: Tensor) -> Tensor:
        return torch.exp(-2 * t) - torch.exp(-2 * roots)

    ones = torch.ones_like(roots)
    bracket, count = Bracket(bent(0 * ones), bent(ones), ones.bool(), 16), 0
    crossing = ones
    while bracket.open:
        place = bracket.next()
        bracket.shrink(place, bent(place), bent(place) <= 0)
        crossing, count = torch.where(bent(place) <= 0, torch.minimum(crossing, place), crossing), count + 1
    assert count <= 4
    assert ((crossing >= roots) & (crossing - roots <= 2**-16)).all()


def test_lines_that_do_not_cross_are_closed() -> None:
    ones = torch.ones(3, dtype=torch.float64)
    assert not Bracket(ones, -ones, torch.zeros(3, dtype=torch.bool), 16).open
    assert not Bracket(ones, -ones, torch.ones(3, dtype=torch.bool), 0).open
