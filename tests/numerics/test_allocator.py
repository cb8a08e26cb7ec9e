"""Memory that is kept: freed blocks of megabytes are found again without the system's help."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from ganaudit.numerics.allocator import keep_memory
torch.set_num_threads(1)
told = keep_memory() if sys.argv[1] == "keep" else None

def work():
    kept = [torch.ones(3 * 2**20) for _ in range(8)]  # 12 MB each, as the maps of a step are
    del kept

for _ in range(3):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    work()
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True)
    told, count = done.stdout.split()
    return told, int(count)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is the one that is told")
def test_steps_take_no_new_pages() -> None:
    told, kept = faults("keep")
    # What is freed goes back to the system mostly, not always: once is enough to show that the count sees it.
    without = max(faults("leave")[1] for _ in range(4))
    assert told == "True"
    assert kept < 100
    assert without > 100 * max(kept, 1) or without > 10_000  # 8 blocks of 3,072 pages in each of five rounds


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from ganaudit.numerics import allocator

    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: object())
    assert allocator.keep_memory() is False
