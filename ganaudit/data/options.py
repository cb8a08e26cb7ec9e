"""How samples are read, and how much of them is too much."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ganaudit.data.storage import size_words
from ganaudit.document.errors import SourceError

__all__ = ["ReadOptions", "printable"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What to make of samples while reading; the limits hold before anything is decoded."""

    resize: tuple[int, int] | None = None
    """Width and height that every image is brought to."""
    skip_unreadable: bool = False
    value_range: tuple[float, float] = (-1.0, 1.0)
    """What float images span; uint8 images span 0..255."""
    features: bool = False
    """Whether (N, D) arrays are wanted, used as they stand."""
    max_pixels: int = 64_000_000
    max_files: int = 2_000_000
    max_total_bytes: int = 64 * 2**30
    max_file_bytes: int = 2**30
    """How large one encoded image or sound may be."""

    def __post_init__(self) -> None:
        low, high = self.value_range
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise SourceError(f"--range {low:g},{high:g}: needs two finite numbers, the lower one first, such as -1,1")
        if self.resize is not None and (min(self.resize) < 1 or math.prod(self.resize) > self.max_pixels):
            width, height = self.resize
            raise SourceError(
                f"--resize {width}x{height}: width and height must be at least 1 and their product at most "
                f"{self.max_pixels} pixels"
            )

    def check_total(self, path: Path, size: int, what: str) -> None:
        """Raise SourceError when ``size`` bytes of ``what`` are more than all samples together may take."""
        if size > self.max_total_bytes:
            raise SourceError(
                f"{path}: {what} would take {size_words(size)}; at most {size_words(self.max_total_bytes)} are read; "
                "use fewer samples, or images made smaller with --resize WxH"
            )

    def check_count(self, path: Path, count: int) -> None:
        """Raise SourceError when there are more image files than are read."""
        if count > self.max_files:
            raise SourceError(f"{path}: holds more than {self.max_files} image files, the most that are read")


def printable(name: str) -> str:
    """Return a file's name with everything escaped that a terminal would obey or could not show."""
    return name if name.isprintable() else repr(name)[1:-1]
