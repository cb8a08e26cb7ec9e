"""The bounds of squared distances against extended precision."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganaudit.numerics.distances import Pairs, above, below, block_rows, points
from ganaudit.numerics.sweep import Tile


def exact_squares(x, y):
    """Squared distances with 64 bits of mantissa."""
    return np.array([((row - y.astype(np.longdouble)) ** 2).sum(axis=1) for row in x.astype(np.longdouble)])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    d=st.sampled_from([1, 2, 17, 300, 2048]),
    offset=st.sampled_from([0.0, 1.0, 1e4]),
    spread=st.sampled_from([1.0, 1e-5, 1e10, 1e-18]),
    single=st.booleans(),
)
def test_bounds_hold_and_squares_are_exact_to_their_rounding(seed, d, offset, spread, single):
    rng = np.random.default_rng(seed)
    kind = np.float32 if single else np.float64
    x = (offset + spread * rng.normal(size=(9, d)) * rng.choice([1e-3, 1.0, 30.0], size=(9, 1))).astype(kind)
    y = np.concatenate([x[:4], np.nextafter(x[4:6], kind(np.inf)), (offset - spread * rng.random((3, d))).astype(kind)])
    left, right = points([(torch.from_numpy(side), None) for side in (x, y)], 2**20)
    pairs = Pairs(left, right)
    expected = exact_squares(x, y)
    i, j = (torch.from_numpy(a.ravel()) for a in np.indices((9, 9)))
    found = pairs.squares(i, j).reshape(9, 9).numpy().astype(np.longdouble) * pairs.unit
    # D squares, each off by 2 units of the last place at most, and their sum.
    assert (abs(found - expected) <= (d + 3) * np.finfo(np.float64).eps * expected).all()
    assert (found.diagonal()[:4] == 0).all()
    for dtype in (torch.float32, torch.float64):
        low = pairs.low(Tile("across", slice(0, 9), slice(0, 9)), dtype)
        high = low.double() + pairs.gap(i, j, dtype).reshape(9, 9)
        assert (low.double().numpy() * pairs.unit <= found).all()
        assert (high.numpy() * pairs.unit >= found).all()
        by_row, by_column = pairs.most_gap(Tile("across", slice(0, 9), slice(0, 9)), dtype)
        gap = pairs.gap(i, j, dtype).reshape(9, 9)
        assert (by_row == gap.amax(1)).all()
        assert (by_column == gap.amax(0)).all()


def test_rounding_up_never_lowers():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=1000) * 10.0 ** np.arange(-20, 20).repeat(25))
    assert (above(values, torch.float32).double() >= values).all()
    assert torch.equal(above(values, torch.float64), values)


def test_places_below_a_limit():
    values = torch.tensor([[1.0, 5.0], [3.0, 0.0]])
    by_row, by_column = torch.tensor([1.0, -1.0]).double(), torch.tensor([-1.0, 0.0]).double()
    assert [a.tolist() for a in below(values, by_row, by_column)] == [[0, 1], [0, 1]]
    assert [a.tolist() for a in below(values, by_row, None)] == [[0], [0]]
    assert [a.tolist() for a in below(values, None, by_column)] == [[1], [1]]


@pytest.mark.parametrize("features", [1, 64, 2048, 200_000])
@pytest.mark.parametrize("memory", [1, 2**20, 2**28])
def test_blocks_fit_into_their_memory(features, memory):
    rows = block_rows(torch.empty(0, features), memory)
    assert rows == 1 or rows * 32 * (features + rows) <= memory / 2
