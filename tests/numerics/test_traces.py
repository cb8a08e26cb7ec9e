"""Traces of single images against plain loops and known answers."""

import itertools

import numpy as np
import pytest
import torch

from ganaudit.numerics.augmentations import shifted
from ganaudit.numerics.traces import border_energy, centroid, constant_border, constant_square, spread


def noise(n, shape=(2, 9, 11), seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, *shape))).float()


def test_border_energy_by_a_plain_loop():
    x = noise(3)
    for image, found in zip(x.double().numpy(), border_energy(x), strict=True):
        edge, inner = [], []
        rows, columns = image.shape[1:]
        for i, j in itertools.product(range(rows), range(columns)):
            for a, b in ((i + 1, j), (i, j + 1)):
                if a < rows and b < columns:
                    outer = any(p in (0, rows - 1) or q in (0, columns - 1) for p, q in ((i, j), (a, b)))
                    (edge if outer else inner).append(np.abs(image[:, i, j] - image[:, a, b]).mean())
        b, i = np.mean(edge), np.mean(inner)
        assert float(found) == pytest.approx(b / (b + i), abs=1e-12)
    assert border_energy(torch.ones(1, 1, 8, 8)).tolist() == [0.5]


@pytest.mark.parametrize(("down", "right"), [(3, 0), (-2, 1), (0, -4), (2, 5), (0, 0)])
def test_filled_borders_are_counted(down, right):
    x = shifted(noise(4), torch.full((4,), down), torch.full((4,), right), 300.0)
    share = 1 - (1 - abs(down) / 9) * (1 - abs(right) / 11)
    torch.testing.assert_close(constant_border(x), torch.full((4,), share, dtype=torch.float64))


def test_an_image_of_one_value_is_border_throughout():
    assert constant_border(torch.full((2, 3, 6, 6), 7.0)).tolist() == [1, 1]


@pytest.mark.parametrize("eighths", [2, 4, 6])
def test_a_square_is_found_at_its_size(eighths):
    x, side = noise(2, (3, 16, 20)), 2 * eighths
    x[0, :, 1 : 1 + side, 2 : 2 + side] = torch.tensor([10.0, 20.0, 30.0])[:, None, None]
    assert constant_square(x).tolist() == [eighths / 8, 0]
    x[0, 0, 2, 3] += 5
    assert float(constant_square(x)[0]) < eighths / 8
    assert float(constant_square(x, 5.0)[0]) == eighths / 8


def test_uniform_moves_inflate_the_variance_of_the_centroid_as_they_should():
    """A dot moved by every move within k has a variance of k (k + 1) / 3 on each axis."""
    k, side = 3, 20
    moves = torch.tensor(list(itertools.product(range(-k, k + 1), repeat=2)))
    dot = torch.zeros(len(moves), 1, side, side)
    dot[:, :, 9, 11] = 255
    found = centroid(shifted(dot, moves[:, 0], moves[:, 1], 0.0)) * side
    torch.testing.assert_close(found.var(0, correction=0), torch.full((2,), k * (k + 1) / 3, dtype=torch.float64))
    torch.testing.assert_close(found.mean(0), torch.tensor([9.5, 11.5], dtype=torch.float64))


def test_spread_of_a_square_is_that_of_the_uniform_law_and_doubles_with_it():
    x = torch.zeros(3, 1, 32, 32)
    for image, side in zip(x, (4, 8, 16), strict=True):
        image[:, 8 : 8 + side, 6 : 6 + side] = 90
    found = spread(x) * 32
    expected = [np.sqrt(2 * (side**2 - 1) / 12) for side in (4, 8, 16)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert spread(torch.ones(1, 1, 8, 8)).tolist() == [0]
    assert centroid(torch.ones(1, 1, 8, 8)).tolist() == [[0.5, 0.5]]
