"""Nearest samples of another set against all pairs, written out."""

import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.nearest import nearest


def drawn(n, d, seed, dtype=torch.float32):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d))).to(dtype)


def plainly(x, among, k):
    """Return what sorting every row of all distances gives, of distinct rows of ``among`` only."""
    rows = [tuple(row) for row in (among.double() + 0.0).tolist()]
    first = {row: i for i, row in reversed(list(enumerate(rows)))}
    kept = sorted(first.values())
    apart = [[math.dist(a, rows[j]) for j in kept] for a in (x.double() + 0.0).tolist()]
    order = [sorted(range(len(kept)), key=row.__getitem__)[:k] for row in apart]
    return (
        torch.tensor([[row[j] for j in nearby] for row, nearby in zip(apart, order, strict=True)], dtype=torch.float64),
        torch.tensor([[kept[j] for j in nearby] for nearby in order]),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("d", "k"), [(1, 1), (3, 4), (40, 2)])
def test_it_is_what_all_pairs_say(d, k, dtype):
    x, among = drawn(90, d, 0, dtype), drawn(70, d, 1, dtype)
    found = nearest(x, among, k)
    distances, numbers = plainly(x, among, k)
    torch.testing.assert_close(found.distances, distances, rtol=1e-12, atol=0)
    assert torch.equal(found.numbers, numbers)


def test_copies_lie_at_exactly_0_and_count_once():
    among = drawn(50, 30, 0) + 1000  # far from 0, where expanded products would leave a rest
    among[[7, 20]] = among[3].clone()
    x = torch.cat([among[20:21], among[45:46], drawn(5, 30, 1) + 1000, among[20:21]])
    found = nearest(x, among, 3)
    assert found.distances[[0, 1, 7], 0].tolist() == [0.0, 0.0, 0.0]
    assert found.numbers[[0, 1, 7], 0].tolist() == [3, 45, 3]
    assert float(found.distances[:, 1].min()) > 0
    torch.testing.assert_close(found.distances, plainly(x, among, 3)[0], rtol=1e-12, atol=0)


@pytest.mark.parametrize("memory", [1, 2**16])
def test_memory_changes_nothing(memory):
    x, among = drawn(40, 5, 0), drawn(30, 5, 1)
    found, whole = nearest(x, among, 3, memory), nearest(x, among, 3)
    assert torch.equal(found.distances, whole.distances)
    assert torch.equal(found.numbers, whole.numbers)


def test_there_are_no_more_neighbours_than_distinct_rows():
    found = nearest(drawn(4, 2, 0), torch.ones(30, 2), 5)
    assert found.distances.shape == (4, 1)
    assert found.numbers[:, 0].tolist() == [0] * 4
    assert nearest(torch.zeros(3, 2), drawn(2, 2, 0), 5).distances.shape == (3, 2)


@pytest.mark.parametrize(
    ("x", "among", "k", "match"),
    [
        (torch.ones(3), torch.ones(3, 1), 1, "x: found shape"),
        (torch.ones(3, 2), torch.ones(3, 4), 1, "4 features; allowed: 2"),
        (torch.ones(3, 2), torch.full((3, 2), torch.nan), 1, "among: found NaN"),
        (torch.ones(3, 2), torch.ones(3, 2), 0, "k: found 0"),
        (torch.ones(0, 2), torch.ones(3, 2), 1, "x: found 0 samples"),
    ],
)
def test_it_refuses_what_it_cannot_use(x, among, k, match):
    with pytest.raises(ValueError, match=match):
        nearest(x, among, k)
