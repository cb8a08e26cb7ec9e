"""Every recipe that the configuration accepts trains, and every one that it refuses says why."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pytest

import ganaudit
from ganaudit.document.errors import ConfigError

from .product import OBJECTIVE_NAMES, PAIRS, REGULARISERS, Combination, combinations
from .test_recipes import assert_trains, recipe

SLICES = 400
SLICE = hashlib.sha256(ganaudit.__version__.encode()).digest()[0] % SLICES
"""Of the product, what the suite runs: another slice with every version, the same one for everybody who has it."""


def complaint(one: Combination) -> str | None:
    """Return what is wrong with a combination, None where it trains or is refused as it should be."""
    try:
        run = recipe(one.pair, one.objective, **one.sections)
    except (ConfigError, ValueError) as error:
        if one.refusal is None:
            return f"{one}: refused: {error}"
        said = str(error)
        return None if f"{one.refusal}: " in said else f"{one}: refused without a word of {one.refusal}: {said}"
    if one.refusal is not None:
        return f"{one}: was accepted; {one.refusal} should refuse it"
    try:
        assert_trains(run)
    except Exception as error:
        return f"{one}: {type(error).__name__}: {error}"
    return None


def complaints(chosen: Iterable[Combination]) -> list[str]:
    return [words for one in chosen if (words := complaint(one)) is not None]


def test_the_product_names_everything() -> None:
    everything = list(combinations())
    assert len({one.digest for one in everything}) == len(everything)
    assert set(REGULARISERS) == {"r1", "r2", "wgan_gp", "dragan", "consistency", "lecam", "path_length"}
    # 8 pairs of images with 10 operations, 2 of audio with 3, each operation in 3 ways, or none.
    assert len(everything) == 7 * (1 + 7) * (8 * (1 + 3 * 10) + 2 * (1 + 3 * 3))


def test_a_slice_of_the_product() -> None:
    chosen = [one for one in combinations() if one.digest % SLICES == SLICE]
    assert len(chosen) > len(list(combinations())) / SLICES / 2
    assert complaints(chosen) == []


@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@pytest.mark.parametrize("objective", OBJECTIVE_NAMES)
@pytest.mark.parametrize("pair", sorted(PAIRS))
def test_the_whole_product(pair: str, objective: str) -> None:
    assert complaints(one for one in combinations() if (one.pair, one.objective) == (pair, objective)) == []
