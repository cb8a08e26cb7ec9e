"""Halving: every row is done once, in order, at a size that fitted; other errors pass through."""

import pytest
import torch

from ganaudit.numerics.memory import Room, in_parts, is_out_of_memory

CPU = "[enforce fail at alloc_cpu.cpp:114] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"


def worker(most, error=CPU):
    done = []

    def work(start, stop):
        if stop - start > most:
            raise RuntimeError(error)
        done.append((start, stop))

    return done, work


def test_what_torch_itself_raises_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert not is_out_of_memory(caught.value)
    assert not is_out_of_memory(ValueError(CPU))


@pytest.mark.parametrize(("count", "batch", "most"), [(37, 32, 5), (1, 64, 1), (16, 16, 16), (7, 3, 1), (0, 4, 1)])
def test_every_row_is_done_once_in_order(count, batch, most):
    done, work = worker(most)
    fitted = in_parts(count, batch, work)
    assert [row for start, stop in done for row in range(start, stop)] == list(range(count))
    assert fitted in {batch // 2**k for k in range(10)}
    assert fitted <= most or count <= most


def test_what_does_not_fit_at_the_least_size_is_raised():
    _, work = worker(0)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        in_parts(8, 8, work)
    done, work = worker(3)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        in_parts(8, 8, work, least=4)
    assert not done
    _, work = worker(1, "mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="shapes"):
        in_parts(8, 8, work)


def test_a_room_tries_no_more_than_fitted_before_and_tells():
    room = Room()
    done, work = worker(5)
    room.parts("judging", 16, work)
    assert done == [(0, 4), (4, 8), (8, 12), (12, 16)]
    assert Room().told() == []
    (told,) = room.told()
    assert "judging was done with 4 at once in place of 16" in told
    tried = []
    room.parts("judging", 10, lambda a, b: tried.append(b - a))
    assert tried == [4, 4, 2]
    room.parts("generating", 10, lambda a, b: tried.append(b - a))
    assert tried[-1] == 10
    assert room.told() == [told]
