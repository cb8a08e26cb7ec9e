"""Tiles, the threads that share them, and the rows that count as copies."""

import threading
import time

import numpy as np
import pytest
import torch

from ganaudit.numerics.kernel import kernel_distance, relabellings
from ganaudit.numerics.neighbours import neighbourhood
from ganaudit.numerics.sweep import across, distinct, each, within

CPU = torch.device("cpu")


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_tiles_hold_every_pair_once():
    seen = np.zeros((7, 7), dtype=int)
    for tile in within("real", 7, 3):
        seen[tile.rows, tile.columns] += 1
        if not tile.on_diagonal:
            seen[tile.columns, tile.rows] += 1
    assert (seen == 1).all()
    seen = np.zeros((7, 4), dtype=int)
    for tile in across(7, 4, 3):
        seen[tile.rows, tile.columns] += 1
    assert (seen == 1).all()
    assert [t.on_diagonal for t in within("fake", 5, 3)] == [True, True, False]
    assert not any(t.on_diagonal for t in across(3, 3, 3))


def test_copies_are_the_rows_numpy_finds_equal():
    x = torch.from_numpy(np.random.default_rng(1).integers(-1, 2, size=(200, 3)) * 1.0)
    x[::2][x[::2] == 0] = -0.0
    found = distinct(x)
    unique, counts = np.unique(x.numpy(), axis=0, return_counts=True)
    assert len(found.copies) == len(unique)
    assert sorted(found.copies.tolist()) == sorted(counts.tolist())
    assert (x[found.chosen][found.of] == x).all()
    assert found.chosen.tolist() == sorted(found.chosen.tolist())
    alone = distinct(torch.arange(6.0).reshape(3, 2))
    assert alone.chosen is None
    assert alone.copies.tolist() == [1, 1, 1]


def test_parts_come_in_order_from_several_threads_with_one_each(three_threads):
    seen = set()

    def work(part):
        seen.add((threading.get_ident(), torch.get_num_threads()))
        time.sleep(0.002 * (part % 3))
        return part

    assert list(each(work, range(40), CPU)) == list(range(40))
    assert len(seen) > 1
    assert {threads for _, threads in seen} == {1}
    assert torch.get_num_threads() == 3


def test_threads_are_given_back_when_a_part_fails_or_the_reader_stops(three_threads):
    def work(part):
        if part == 5:
            raise ZeroDivisionError
        return part

    with pytest.raises(ZeroDivisionError):
        list(each(work, range(40), CPU))
    assert torch.get_num_threads() == 3
    some = each(work, range(5), CPU)
    assert next(some) == 0
    some.close()
    assert torch.get_num_threads() == 3


def test_threads_change_no_neighbour_and_of_the_kernel_rounding_only(three_threads):
    rng = np.random.default_rng(0)
    real, fake = (torch.from_numpy(rng.integers(0, 4, (70, 6)) + 0.1 * k) for k in (0, 1))
    labels = relabellings(70, 70, rng, 20, most=50)

    def found():
        return neighbourhood(real, fake, 3, "<=", 2**17), kernel_distance(real, fake, block=16, labels=labels)

    shared, shared_kernel = found()
    torch.set_num_threads(1)
    alone, alone_kernel = found()
    for name in ("fake_counts", "real_inside", "real_covered", "realism", "real_radii", "real_to_fake", "fake_to_real"):
        assert torch.equal(getattr(shared, name), getattr(alone, name)), name
    assert shared_kernel.value == pytest.approx(alone_kernel.value, rel=1e-10)
    assert shared_kernel.test.p_value == alone_kernel.test.p_value
