"""Where decoded samples lie: memory, or an unlinked temporary file when they are many."""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

from ganaudit.document.errors import SourceError

__all__ = ["IN_MEMORY_BYTES", "allocate", "size_words"]

IN_MEMORY_BYTES = 2**30


def allocate(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an uninitialised array; above ``IN_MEMORY_BYTES`` it lies in a temporary file that has no name.

    Raises SourceError when neither memory nor the temporary folder has room.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    try:
        if size <= IN_MEMORY_BYTES:
            return np.empty(shape, dtype)
        return _mapped(shape, dtype, size)
    except (MemoryError, OSError) as error:
        raise SourceError(
            f"decoded samples of shape {shape} need {size_words(size)}, and there is no room for them "
            f"({error or 'out of memory'}); use fewer samples, a smaller --resize, or point TMPDIR at a larger disk"
        ) from None


def _mapped(shape: tuple[int, ...], dtype: npt.DTypeLike, size: int) -> npt.NDArray[Any]:
    with tempfile.TemporaryFile(prefix="ganaudit-") as file:
        if hasattr(os, "posix_fallocate"):
            # A hole in a sparse file that cannot be filled later kills the process; asked for now, it is an error.
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape)  # the mapping outlives the file's handle


def size_words(size: int) -> str:
    """Return a number of bytes as a person reads it: ``64 GiB``, ``1.5 MiB``, ``12 bytes``."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << power:
            return f"{size / (1 << power):.3g} {unit}"
    return f"{size} bytes"
