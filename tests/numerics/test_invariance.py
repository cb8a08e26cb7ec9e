"""Invariance gaps of scores whose change is planted."""

import numpy as np
import pytest
import torch

from ganaudit.numerics.invariance import invariance


def test_planted_changes():
    plain = torch.arange(10.0)
    found = invariance(plain, plain - 3, 2.0)
    assert found.gap == 1.5
    assert found.signed == -1.5
    assert found.bounds.low == found.bounds.high == 1.5
    # Pairs in which the plain score is larger, by hand: a > b - 3, ties half.
    wins = np.mean([[(a > b) + (a == b) / 2 for b in range(-3, 7)] for a in range(10)])
    assert found.auc.value == pytest.approx(wins)
    assert found.blindness == pytest.approx(2 - 2 * wins)


def test_a_blind_critic_and_one_that_sees_all():
    plain = torch.arange(5.0)
    assert invariance(plain, plain, 1.0).gap == 0
    assert invariance(plain, plain, 1.0).blindness == 1
    assert invariance(plain, plain - 100, 1.0).blindness == 0
    swapped = invariance(plain, plain.flip(0), 1.0)
    assert swapped.signed == 0
    assert swapped.gap == pytest.approx(2.4)


@pytest.mark.parametrize("spread", [0.0, -1.0, float("inf"), float("nan")])
def test_a_spread_that_is_none_is_refused(spread):
    with pytest.raises(ValueError, match="spread: found"):
        invariance(torch.ones(3), torch.ones(3), spread)


def test_scores_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="changed: found 2 scores; allowed: 3"):
        invariance(torch.ones(3), torch.ones(2), 1.0)
