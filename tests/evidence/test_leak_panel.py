"""The panel of leaks on plane normal laws: true leaks are seldom withheld, and strangers are."""

import numpy as np
import pytest
import torch

from ganaudit.evidence.leak_panel import Leak, Panel
from ganaudit.numerics.label_shift import Share


def panel(seed, share, strangers=0):
    """Reals about 0 and changed reals about 4 on the first axis; strangers between the two, on its side."""
    rng = np.random.default_rng(seed)

    def points(n):
        return torch.from_numpy(rng.normal(0, 1, (n, 2)))

    moved = torch.tensor([4.0, 0.0], dtype=torch.float64)
    known, fake = points(120), points(600)
    fake[: round(600 * share)] += moved
    fake[600 - strangers :] = torch.tensor([2.6, 0.0]) + 0.05 * points(strangers)
    states = torch.stack([known, points(120) + moved], 1)
    return Panel({"moved": states}, fake, points(300), 5, 0.2, np.random.default_rng(seed + 1))


@pytest.mark.parametrize("share", [0.05, 0.2, 1.0])
def test_a_true_leak_is_seldom_taken_for_another_defect(share):
    found = [panel(seed, share).leak("moved") for seed in range(0, 120, 2)]
    # At 5 % 3 of 60 are expected at most; more than 9 come once in a thousand times.
    assert sum(one.fit < 0.05 for one in found) <= 9
    # Their intervals hold the share as promised: below 51 of 60 once in a thousand times.
    bounds = [one.fake.interval(0.95) for one in found]
    assert sum(b.low <= share <= b.high for b in bounds) >= 51


def test_strangers_are_no_leak():
    found = [panel(seed, 0.0, strangers=90).leak("moved") for seed in range(0, 20, 2)]
    # To the judge they are on the changed side; but changed ones lie about 4, not all between.
    assert all(one.p_value < 1e-3 for one in found)
    assert all(one.fit < 0.01 for one in found)


def leak(value, error, misfit, among=(0.0, 1.0), isometry=True):
    """A leak of given numbers, of a judge without errors."""
    share = Share(value, 1.0, value, error, 2000, torch.tensor([0.0, 1.0]))
    return Leak(share, None, misfit, among, None, corrected=1e-9 if value > 3 * error else 1.0, isometry=isometry)


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (leak(0.3, 0.01, (0.05, 0.5)), "claimed"),
        # The low end is 0.280: what a distance of 0.1 can carry over the boundary is less.
        (leak(0.3, 0.01, (0.1, 1e-9)), "claimed"),
        (leak(0.3, 0.01, (0.29, 1e-9)), "withheld"),
        # Of 0.280 half is like changed reals: 0.140.
        (leak(0.3, 0.01, (0.13, 1e-9), (0.5, 1e-9)), "claimed"),
        (leak(0.3, 0.01, (0.15, 1e-9), (0.5, 1e-9)), "withheld"),
        # Looks that other defects share need changed ones that are alike but for a tenth.
        (leak(0.3, 0.01, (0.05, 1e-9), (0.11, 1e-9), isometry=False), "withheld"),
        (leak(0.3, 0.01, (0.05, 1e-9), (0.09, 1e-9), isometry=False), "claimed"),
        (leak(0.0, 0.01, (0.05, 0.5)), "none"),
        (leak(0.0, 0.01, (0.05, 1e-9)), "none"),
        (leak(0.0, 0.01, (0.15, 1e-9)), "withheld"),
    ],
)
def test_a_poor_fit_counts_by_its_size(one, word):
    assert (one.is_claimed, one.is_withheld) == (word == "claimed", word == "withheld")


def both(seed, share, strangers):
    """As ``panel``, of two operations: one moves along the first axis, one along the second."""
    rng = np.random.default_rng(seed)
    east, north = torch.tensor([4.0, 0.0]).double(), torch.tensor([0.0, 4.0]).double()

    def points(n):
        return torch.from_numpy(rng.normal(0, 1, (n, 2)))

    known, fake = points(120), points(600)
    fake[: round(600 * share)] += east
    fake[600 - strangers :] = 3 * (east + north) / 4 + 0.05 * points(strangers)
    states = {name: torch.stack([known, points(120) + move], 1) for name, move in (("east", east), ("north", north))}
    return Panel(states, fake, points(300), 5, 0.4, np.random.default_rng(seed + 1), ("east", "north"))


def test_nothing_is_asked_beside_what_strangers_look_like():
    for seed in range(0, 10, 2):
        found = both(seed, 0.0, 90).leaks()
        assert all(one.is_withheld and one.beside == () for one in found.values())


def test_a_leak_among_strangers_is_not_ruled_out():
    told = [both(seed, 0.3, 30).leaks()["east"] for seed in range(0, 10, 2)]
    assert all(one.is_claimed or one.is_withheld for one in told)


def test_a_share_above_one_is_no_mixture():
    one = panel(0, 1.0).leak("moved")
    beyond = type(one.fake)(1.5, 1.0, 1.5, 0.1, 600, one.fake.weights)
    sure = type(one)(beyond, None, (0.0, 1.0), (0.0, 1.0), None)
    # Five standard errors above 1: 2.87e-7, three times.
    assert sure.fit == pytest.approx(3 * 2.866516e-7, rel=1e-5)
