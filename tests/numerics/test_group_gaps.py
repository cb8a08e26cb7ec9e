"""Gaps between groups and what chance makes of them, against enumeration, plain loops and simulated levels."""

from itertools import permutations

import numpy as np
import pytest
import torch

from ganaudit.numerics.group_gaps import chance_of_worst, gap
from ganaudit.numerics.groups import rate_gap


def flags(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_the_chance_of_a_gap_is_that_of_all_dealings():
    called, groups = flags(1, 1, 0, 0, 0, 1), torch.tensor([0, 0, 0, 1, 1, 2])
    every = []
    for dealt in permutations(called.tolist()):
        rates = [np.mean([f for f, g in zip(dealt, groups.tolist(), strict=True) if g == k]) for k in range(3)]
        every.append(max(rates) - min(rates))
    found = gap(called, groups, np.random.default_rng(0), 20_000, least=1)
    assert found is not None
    assert found.value == pytest.approx(1.0)
    scatter = np.std(every) / np.sqrt(20_000)
    assert found.chance.mean == pytest.approx(np.mean(every), abs=5 * scatter)
    share = np.mean(np.array(every) >= 1 - 1e-12)
    assert found.chance.p_value == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / 20_000) + 1e-4)


def test_the_value_is_that_of_rate_gap_and_small_groups_are_left_out():
    rng = np.random.default_rng(3)
    called = torch.from_numpy((rng.random(400) < 0.2).astype(np.float64))
    groups = torch.from_numpy(rng.integers(0, 6, 400))
    groups[:3] = 99
    called[:3] = 1
    found, other = gap(called, groups, rng, 99), rate_gap(called, groups, rng, 99)
    assert found is not None
    assert other is not None
    assert found.value == pytest.approx(other.value)
    assert found.n == 397
    assert found.bounds.low <= found.value <= found.bounds.high
    assert gap(called, torch.zeros(400, dtype=torch.int64), rng) is None


def test_the_level_holds_and_a_planted_gap_is_found():
    runs, low = 400, 0
    for seed in range(runs):
        rng = np.random.default_rng([1, seed])
        called = torch.from_numpy((rng.random(120) < 0.1).astype(np.float64))
        found = gap(called, torch.arange(120) % 4, rng, 199)
        assert found is not None
        low += found.chance.p_value <= 0.1
    assert low / runs <= 0.1 + 4 * np.sqrt(0.09 / runs)
    groups = torch.arange(400) % 4
    planted = gap((groups == 2).double(), groups, np.random.default_rng(0), 999)
    assert planted is not None
    assert planted.value == 1.0
    assert planted.chance.p_value == pytest.approx(1e-3)
    assert planted.bounds.low > 0.8


def test_the_worst_of_overlapping_groupings_is_dealt_jointly():
    rng = np.random.default_rng(5)
    called = torch.from_numpy((rng.random(60) < 0.3).astype(np.float64))
    first, some = torch.arange(60) % 3, torch.arange(0, 60, 2)
    second = torch.where(some % 4 == 0, 0, -1)
    found = chance_of_worst(called, [(torch.arange(60), first), (some, second)], np.random.default_rng(0), 4000)
    dealt = []
    for _ in range(4000):
        shuffled = rng.permutation(called.numpy())
        rates = [shuffled[first.numpy() == g].mean() for g in range(3)] + [shuffled[::4].mean()]
        dealt.append(max(rates))
    assert found.mean == pytest.approx(np.mean(dealt), abs=6 * np.std(dealt) / np.sqrt(4000))


def test_what_is_no_flag_is_refused():
    with pytest.raises(ValueError, match="other than 0 and 1"):
        gap(flags(0, 2), torch.tensor([0, 1]), np.random.default_rng(0))
    with pytest.raises(ValueError, match="memberships"):
        chance_of_worst(flags(0, 1), [(torch.arange(2), torch.tensor([-1, -1]))], np.random.default_rng(0))
