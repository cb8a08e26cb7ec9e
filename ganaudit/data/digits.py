"""The handwritten digits that come with scikit-learn: small, real, and there without a network."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from PIL import Image

from ganaudit.data.samples import Samples
from ganaudit.data.splits import Reference
from ganaudit.document.errors import SourceError

__all__ = ["load_digits"]

_SIDE = 8
_MAX_SCALE = 32
_CLASSES = tuple("0123456789")
_LICENCE = (
    "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, "
    "CC BY 4.0; scikit-learn ships a copy of its test set of 1797 images"
)
_RULE = (
    "built in: indices i in the order of sha256('digits/i'), whatever their class; the first half is train, the next "
    "sixth calibration, the rest test"
)


def load_digits(scale: int = 2, size: tuple[int, int] | None = None) -> Reference:
    """Return the digits as grey images of 8·``scale`` squares with fixed train, calibration and test splits.

    ``size`` is the height and width of a subject's samples; where it is given it decides the scale. Raises SourceError
    when the digits do not come in that size.
    """
    if size is not None:
        scale = _scale_of(size)
    if isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= _MAX_SCALE:
        raise SourceError(f"digits: scale {scale!r} was asked for; allowed are whole numbers from 1 to {_MAX_SCALE}")
    from sklearn.datasets import load_digits as load_sklearn  # takes a second to import, and few verbs need it

    bundle = load_sklearn()
    labels = np.asarray(bundle.target, dtype=np.int64)
    everything = Samples.of(
        _scaled(bundle.images, scale), "images", "digits", "built-in", labels=labels, classes=_CLASSES
    )
    splits = {name: everything.take(rows, f"digits/{name}") for name, rows in _split(len(labels)).items()}
    return Reference.of(
        "digits",
        "built-in",
        splits,
        seen={"train": "seen", "calibration": "unseen", "test": "unseen"},
        rule=_RULE,
        licence=_LICENCE,
        extractor="digits-cnn",
    )


def _scale_of(size: tuple[int, int]) -> int:
    height, width = size
    if height == width and height % _SIDE == 0 and 1 <= height // _SIDE <= _MAX_SCALE:
        return height // _SIDE
    raise SourceError(
        f"digits: the subject's samples are {width} wide and {height} high; the built-in digits come as squares of "
        f"8, 16, 24, ... {_SIDE * _MAX_SCALE} pixels; name other real samples with --reference PATH, and --resize if "
        "their size differs too"
    )


def _scaled(images: npt.NDArray[np.float64], scale: int) -> npt.NDArray[np.uint8]:
    """Return (N, H, W, 1) uint8: 0..16 to 0..255, bicubic, clipped, rounded half up.

    The trained models and the extractor depend on every one of these values; tests hold their digest.
    """
    side = _SIDE * scale
    grey = (images * 255 / 16).astype(np.float32)
    large = np.stack(
        [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)) for image in grey]
    )
    rounded: npt.NDArray[np.uint8] = np.floor(np.clip(large, 0, 255) + 0.5).astype(np.uint8)
    return rounded[..., None]


def _split(count: int) -> dict[str, npt.NDArray[np.int64]]:
    """Return the indices of each split in ascending order.

    Drawn without regard to class: splits balanced by class would be more alike than two independent draws, and every
    null that compares them too low.
    """
    order = sorted(range(count), key=lambda index: hashlib.sha256(f"digits/{index}".encode()).hexdigest())
    first, second = round(count / 2), round(count / 2) + round(count / 6)
    parts = {"train": order[:first], "calibration": order[first:second], "test": order[second:]}
    return {name: np.array(sorted(rows), dtype=np.int64) for name, rows in parts.items()}
