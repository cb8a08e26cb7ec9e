"""Processes that share a sweep, played by threads that meet at a barrier."""

import threading
from concurrent.futures import ThreadPoolExecutor

import torch


class _Meeting:
    def __init__(self, size):
        self.barrier = threading.Barrier(size, timeout=60)
        self.slots = [None] * size


class ThreadWorld:
    """One of ``size`` processes; like gloo's, its sums are made in the order of the ranks."""

    def __init__(self, rank, size, meeting):
        self.rank, self.size, self.meeting = rank, size, meeting

    def mine(self, parts):
        return iter(range(self.rank, parts, self.size))

    def total(self, values):
        return self._combined(values, lambda found: torch.stack(found).sum(0).to(values.dtype))

    def least(self, values):
        return self._combined(values, lambda found: torch.stack(found).amin(0))

    def _combined(self, values, combine):
        meeting = self.meeting
        meeting.slots[self.rank] = values.clone()
        meeting.barrier.wait()
        found = combine(list(meeting.slots))
        meeting.barrier.wait()
        return found


def in_world(size, work):
    """Return what each of ``size`` ranks gets from ``work(world)``."""
    meeting = _Meeting(size)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, [ThreadWorld(rank, size, meeting) for rank in range(size)]))
