"""Poor samples between good ones: chances by counting places, paths by plain loops, ranges by drawing."""

import itertools
import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.holes import Cut, broken, chance_below, poor_below, predicted_share


def counted(rank, n, points):
    """The same by counting: of all places that ``points`` new draws can have among n + points, those below."""
    places = list(itertools.combinations(range(n + points), points))
    # Known draws keep their order: the rank-th of them is reached after rank known and all new ones before it.
    below = 0
    for new in places:
        known = [place for place in range(n + points) if place not in new]
        below += any(place < known[rank - 1] for place in new)
    return below / len(places)


@pytest.mark.parametrize(("rank", "n", "points"), [(1, 5, 3), (2, 5, 3), (5, 5, 2), (3, 8, 1), (4, 9, 4)])
def test_the_chance_is_that_of_counting_places(rank, n, points):
    assert chance_below(rank, n, points) == pytest.approx(counted(rank, n, points), abs=1e-12)


def test_the_chance_of_one_point_is_conformal():
    assert chance_below(25, 499, 1) == pytest.approx(0.05)
    for rank, n in ((0, 5), (6, 5)):
        with pytest.raises(ValueError, match="rank"):
            chance_below(rank, n, 3)


@pytest.mark.parametrize("n", [500, 2000])
def test_the_cut_is_the_highest_that_keeps_to_the_chance(n):
    scores = torch.from_numpy(np.random.default_rng(0).standard_normal(n))
    cut = poor_below(scores, 9, 0.05)

    def chance(rank):
        return 1 - math.comb(n + 9 - rank, 9) / math.comb(n + 9, 9)

    assert chance(cut.rank) <= 0.05 < chance(cut.rank + 1)
    assert cut.score == sorted(scores.tolist())[cut.rank - 1]
    assert cut.chance == pytest.approx(chance(cut.rank))


def test_few_reals_give_their_least_score_and_say_so():
    cut = poor_below(torch.tensor([3.0, 1.0, 2.0]), 9, 0.05)
    assert (cut.score, cut.rank) == (1.0, 1)
    assert cut.chance == pytest.approx(9 / 12)
    with pytest.raises(ValueError, match="scores"):
        poor_below(torch.tensor([math.nan]), 9, 0.05)


def test_broken_paths_have_good_ends_and_a_poor_middle():
    scores = torch.from_numpy(np.random.default_rng(1).integers(0, 6, (5, 400)).astype(float))
    good, poor = broken(scores, 1.0)
    for path in range(400):
        own = scores[:, path].tolist()
        ends = own[0] >= 1 and own[-1] >= 1
        assert bool(good[path]) == ends
        assert bool(poor[path]) == (ends and min(own[1:-1]) < 1)
    assert 0 < int(poor.sum()) < int(good.sum()) < 400
    with pytest.raises(ValueError, match="3 or more points"):
        broken(scores[:2], 1.0)


@pytest.mark.parametrize(("rank", "n"), [(1, 60), (2, 500)])
def test_the_range_holds_the_share_of_unrelated_reals(rank, n):
    rng, paths, points, audits = np.random.default_rng(2), 100, 9, 4000
    cuts = np.sort(rng.random((audits, n)), axis=1)[:, rank - 1]
    shares = np.array([(rng.random((paths, points)) < cut).any(1).mean() for cut in cuts])
    found = predicted_share(Cut(0.0, rank, n, points), paths)
    # Tails of 2.5 % of 4,000 audits have a standard error of 0.0025; steps of 1/100 make them smaller.
    assert (shares < found.low).mean() <= 0.025 + 0.01
    assert (shares > found.high).mean() <= 0.025 + 0.01
    assert (shares >= found.high).mean() >= 0.025 - 0.01
    # The mean of a share is its chance: 4,000 audits of a share that varies by at most 0.15.
    assert shares.mean() == pytest.approx(chance_below(rank, n, points), abs=0.01)
