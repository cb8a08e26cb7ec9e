"""One image file: its header before anything is decoded, then its pixels as uint8.

Two kinds of trouble are told apart. An image that cannot be decoded within the limits (broken, truncated, too large)
is *unreadable* and may be skipped on request. An image that can be decoded but would need a decision about its pixels
(transparency, more than 8 bits, several frames, another colour space) is refused, for the decision is its owner's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ganaudit.data.files import UnreadableFileError, is_hidden
from ganaudit.document.errors import SourceError

__all__ = ["SUFFIXES", "ImageHeader", "decode", "is_image", "read_header", "resized"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")

# Pillow is asked for these decoders only: the fewer, the fewer flaws of decoders a hostile file can reach.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
_CHANNELS = {"1": 1, "L": 1, "LA": 1, "P": 3, "PA": 3, "RGB": 3, "RGBA": 3}
_WIDE = {"I": "32-bit integers", "F": "32-bit floats"}


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """Size and channels that an image has once it is decoded."""

    width: int
    height: int
    channels: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the decoded array: (H, W, C)."""
        return (self.height, self.width, self.channels)

    def __str__(self) -> str:
        colour = "grey" if self.channels == 1 else "colour"
        return f"{self.channels}x{self.height}x{self.width} ({colour}, {self.width} wide, {self.height} high)"


def is_image(name: str) -> bool:
    """Return whether a relative path names an image by its suffix; hidden and macOS companion files do not count."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not is_hidden(name)


def read_header(file: IO[bytes], name: str, max_pixels: int) -> ImageHeader:
    """Return what the header says, without decoding; checksums of a PNG are verified.

    Raises UnreadableFileError, or SourceError for pixels that need a decision.
    """
    try:
        image = _open(file)
        width, height = image.size
        if width * height > max_pixels:
            raise Image.DecompressionBombError
        refusal = _refusal(image)
        if image.format == "PNG":
            image.verify()  # Pillow's decoder would not notice a missing end or a wrong checksum
    except Exception as error:  # hostile bytes make Pillow raise nearly anything
        raise UnreadableFileError(name, _reason(error, max_pixels)) from None
    if refusal:
        raise SourceError(f"{name}: {refusal}")
    return ImageHeader(width, height, _CHANNELS[image.mode])


def decode(file: IO[bytes], name: str, target: ImageHeader, resize: bool, max_pixels: int) -> npt.NDArray[np.uint8]:
    """Return the pixels, uint8 of ``target.shape``; with ``resize`` any other size is brought to it.

    Raises UnreadableFileError, or SourceError for transparency.
    """
    try:
        image = _open(file)
        image.load()
        image = _flatten(image)
    except _TransparentError as error:
        raise SourceError(
            f"{name}: {error}; ganaudit does not choose a background: composite the images first "
            "(for instance over white), then audit those"
        ) from None
    except Exception as error:
        raise UnreadableFileError(name, _reason(error, max_pixels)) from None
    if target.channels == 3 and image.mode == "L":
        image = image.convert("RGB")
    if resize:
        image = resized(image, (target.width, target.height))
    pixels = np.asarray(image, dtype=np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.shape != target.shape:
        raise UnreadableFileError(
            name, "its size is not the one that its header declared; did it change while being read?"
        )
    return pixels


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an image brought to (width, height) by antialiased bicubic; a size that fits already is left alone."""
    return image if image.size == size else image.resize(size, Image.Resampling.BICUBIC)


class _TransparentError(Exception):
    pass


def _open(file: IO[bytes]) -> Image.Image:
    return Image.open(file, formats=_FORMATS)


def _refusal(image: Image.Image) -> str | None:
    """Return why 8 bits, one frame, grey or RGB cannot hold the pixels, or None when they can."""
    # An MPO is a JPEG photograph with previews behind it; its first frame is the photograph.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        return "holds several frames; one frame per file is allowed: save the frames as files"
    depth = _WIDE.get(image.mode) or ("16-bit values" if _is_16_bit(image) else None)
    if depth:
        return (
            f"holds {depth}; images have 8 bits per channel: convert them to 8 bits, or give float values in an .npz "
            "of shape (N, C, H, W) with --range"
        )
    if image.mode not in _CHANNELS:
        return f"its colour space is {image.mode}; grey and RGB are allowed: convert it first"
    return None


def _is_16_bit(image: Image.Image) -> bool:
    # Pillow opens 16-bit colour as 8-bit RGB and drops the lower half silently; the decoder's raw mode tells.
    if image.mode.startswith("I;16"):
        return True
    return image.format in {"PNG", "TIFF"} and any(";16" in str(tile[3]) for tile in getattr(image, "tile", []))


def _flatten(image: Image.Image) -> Image.Image:
    """Return a loaded image as L or RGB; raises _TransparentError when that would drop transparency."""
    grey = image.mode in {"1", "L", "LA"}
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        image = image.convert("LA" if grey else "RGBA")
        alpha: Any = image.getchannel("A").getextrema()
        if alpha[0] < 255:
            raise _TransparentError(f"has transparent pixels (alpha goes down to {alpha[0]} of 255)")
    return image.convert("L" if grey else "RGB")


def _reason(error: Exception, max_pixels: int) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "cannot be read as an image: its content is none of " + ", ".join(_FORMATS)
    if isinstance(error, Image.DecompressionBombError):
        return f"its header declares more pixels than the {max_pixels} that are decoded"
    words = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return f"cannot be read as an image: {words}"
