"""What benchmarks say of a process is said of that process, whatever the one that starts it holds."""

import sys

import pytest

from benchmarks.measuring import run

PYTHON = [sys.executable, "-I", "-S", "-c"]


def test_the_memory_of_whoever_starts_a_process_is_not_its_own() -> None:
    held = bytearray(200_000_000)
    held[::4096] = b"x" * len(held[::4096])  # touched, so that it is resident
    small = run([*PYTHON, "print('done')"])
    large = run([*PYTHON, "held = bytearray(120_000_000); held[::4096] = b'x' * len(held[::4096])"])
    assert len(held) == 200_000_000
    assert small.output == "done\n"
    assert small.peak_bytes < 60_000_000
    assert 120_000_000 < large.peak_bytes < 180_000_000


def test_time_of_the_processor_and_of_the_clock_are_told_apart() -> None:
    slept = run([*PYTHON, "import time; time.sleep(0.5)"])
    assert slept.seconds >= 0.5
    assert slept.cpu_seconds < 0.4


def test_a_process_that_fails_is_an_error_with_its_words() -> None:
    with pytest.raises(RuntimeError, match=r"exit 7\nsaid before"):
        run([*PYTHON, "import sys; print('said before'); sys.exit(7)"])
