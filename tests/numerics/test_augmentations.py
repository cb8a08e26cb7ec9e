"""Operations against those that train (a peer), and filled borders against counts by hand (K15)."""

import itertools

import numpy as np
import pytest
import torch

from ganaudit.numerics.augmentations import DRAWS, MIDDLE, OPERATIONS, shifted
from ganaudit.training.augmentation.operations import OPERATIONS as TRAINED


def images(n, shape=(3, 12, 12), seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((n, *shape))).float(), torch.from_numpy(rng.random((n, DRAWS))).float()


@pytest.mark.parametrize("name", ["shift", "crop", "cutout", "colour"])
@pytest.mark.parametrize("shape", [(3, 12, 12), (1, 16, 24)])
def test_operations_are_those_of_training(name, shape):
    x, u = images(40, shape)
    (trained,) = OPERATIONS[name].trained[:1]
    peer = TRAINED[trained]
    options = {key: option.default for key, option in peer.options.items()}
    theirs = peer.function(2 * x - 1, u[:, : peer.draws], **options)
    (ours,) = OPERATIONS[name].apply(x, u, MIDDLE)
    torch.testing.assert_close(2 * ours - 1, theirs.clamp(-1, 1), atol=2e-6, rtol=0)


def test_mirrors_and_turns_by_hand():
    x = torch.arange(9.0).view(1, 1, 3, 3)
    u = torch.zeros(1, DRAWS)
    assert OPERATIONS["hflip"].apply(x, u, 0)[0].flatten().tolist() == [2, 1, 0, 5, 4, 3, 8, 7, 6]
    assert OPERATIONS["vflip"].apply(x, u, 0)[0].flatten().tolist() == [6, 7, 8, 3, 4, 5, 0, 1, 2]
    turns = OPERATIONS["rot90"].apply(x, u, 0)
    assert turns[0].flatten().tolist() == [2, 5, 8, 1, 4, 7, 0, 3, 6]
    assert torch.equal(turns[1], x.flip(2, 3))
    assert len(turns) == 3


def filled(side, reach):
    """Share of images with any filled pixel, and mean share of filled pixels, over all moves within the reach."""
    moves = torch.tensor(list(itertools.product(range(-reach, reach + 1), repeat=2)))
    x = shifted(torch.ones(len(moves), 1, side, side), moves[:, 0], moves[:, 1], 0.0)
    empty = (x == 0).flatten(1).double()
    return float(empty.any(1).double().mean()), float(empty.mean())


def test_moves_fill_what_arithmetic_says():
    some, share = filled(32, 4)
    assert some == pytest.approx(1 - 1 / 81, abs=1e-6)
    assert some == pytest.approx(0.987654, abs=1e-6)
    assert share == pytest.approx(0.134066, abs=1e-6)
    assert filled(64, 8)[1] == pytest.approx(0.127974, abs=1e-6)


def test_a_move_beyond_the_side_leaves_the_fill():
    x, _ = images(2, (1, 5, 5))
    assert bool((shifted(x, torch.tensor([5, -9]), torch.zeros(2, dtype=torch.int64), 0.25) == 0.25).all())


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("shift", (1, 3, 9), "3 x 9 are too small: shift needs sides of 4"),
        ("hflip", (1, 8, 1), "too small"),
        ("rot90", (1, 8, 10), "no squares"),
    ],
)
def test_what_does_not_suit_is_told(name, shape, told):
    assert told in OPERATIONS[name].problem(shape)
    assert OPERATIONS[name].problem((1, 16, 16)) is None


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_images_stay_images(name):
    x, u = images(5)
    for state in OPERATIONS[name].apply(x, u, MIDDLE):
        assert state.shape == x.shape
        assert float(state.min()) >= 0
        assert float(state.max()) <= 1 + 1e-6
