"""Features given as an array, used as they stand."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import Activations, ExtractorOptions

__all__ = ["Identity"]


class Identity:
    """Takes feature arrays (N, D), float32 or float64, and returns them unchanged."""

    id: ClassVar[str] = "identity"
    digest = "identity/1"
    classes = 0
    preprocessing = "none: the array is the features, in its own precision"
    caution = "ganaudit did not make these features and cannot say what they stand for"

    def __init__(self, options: ExtractorOptions) -> None:
        if len(options.shape) != 1:
            raise ExtractorError(f"identity: takes arrays of features (N, D); found samples of shape {options.shape}")
        self.dimensions = options.shape[0]

    def extract(self, images: Tensor) -> Activations:
        """Return the rows as they are."""
        return Activations(images)
