"""Samples at half the size and on few levels, against plain loops."""

import numpy as np
import pytest
import torch

from ganaudit.numerics.coarser import halved, levels_of, to_levels


@pytest.mark.parametrize("shape", [(2, 3, 6, 8), (2, 1, 5, 7), (3, 2, 9), (3, 1, 10)])
def test_every_place_is_the_mean_of_what_it_covers(shape):
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape))
    found = halved(x)
    axes = shape[2:]
    assert found.shape == (*shape[:2], *[-(-side // 2) for side in axes])
    for place in np.ndindex(*found.shape):
        window = tuple(slice(2 * i, 2 * i + 2) for i in place[2:])
        assert float(found[place]) == pytest.approx(float(x[place[:2]][window].double().mean()), rel=1e-6)


def test_a_checkerboard_is_gone_at_half_the_size():
    board = torch.from_numpy(np.indices((8, 8)).sum(0) % 2 * 2.0 - 1)[None, None]
    assert bool((halved(board) == 0).all())


def test_neither_vectors_nor_volumes_are_halved():
    with pytest.raises(ValueError, match=r"found shape \(2, 3\); allowed"):
        halved(torch.zeros(2, 3))


def test_the_nearest_level_by_a_plain_search():
    levels = torch.tensor([0, 16, 100, 255], dtype=torch.uint8)
    x = torch.arange(256, dtype=torch.uint8)
    known = [min(levels.tolist(), key=lambda level: (abs(level - value), level)) for value in range(256)]
    found = to_levels(x, levels)
    assert found.tolist() == known
    assert found.dtype == torch.uint8
    assert torch.equal(to_levels(found, levels), found)


def test_levels_that_do_not_rise_are_refused():
    with pytest.raises(ValueError, match="rising"):
        to_levels(torch.zeros(2), torch.tensor([1, 1]))


def test_levels_are_told_only_where_they_are_few():
    x = torch.tensor([3, 1, 3, 2])
    assert levels_of(x, 3).tolist() == [1, 2, 3]
    assert levels_of(x, 2) is None
    assert levels_of(torch.ones(4), 3) is None
