"""The log of a run once more, as TensorBoard reads it."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganaudit.document.errors import ConfigError

__all__ = ["Board"]


class Board:
    """Writes numbers and grids to ``folder``/tensorboard, by real samples shown.

    Raises ConfigError when TensorBoard is not installed.
    """

    def __init__(self, folder: Path, from_images: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError(
                "tensorboard: TensorBoard is not installed; pip install 'ganaudit[tensorboard]', or set "
                "tensorboard = false"
            ) from None
        # What was written after the checkpoint that the run goes on from is hidden: it will be written again.
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=from_images + 1 if from_images else None)

    def write(self, entry: Mapping[str, Any]) -> None:
        """Write the numbers of an entry of the log; names of nested ones are joined by strokes."""
        step = int(entry["images"])
        for name, value in _numbers(entry):
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def picture(self, images: int, png: bytes) -> None:
        """Write a grid of samples."""
        with Image.open(io.BytesIO(png)) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image("samples", pixels, images, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Write what is left and let the file go."""
        self._writer.close()


def _numbers(entry: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    for key, value in entry.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{above}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and key != "images":
            # One that is not finite is shown as such: a gap would look like a pause.
            yield f"{above}{key}", float(value) if math.isfinite(value) else math.nan
