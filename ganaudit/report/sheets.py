"""Contact sheets: the samples of a gallery side by side in one PNG, and the safe reader that fetches their bytes.

A document is hostile input: its paths may point anywhere and its files may be anything.
"""

from __future__ import annotations

import hashlib
import io
import stat
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image, ImageDraw

from ganaudit.document.model import AuditDocument, Gallery, GalleryItem
from ganaudit.report.words import plain

__all__ = ["Sheet", "cell_size", "contact_sheet", "galleries", "read_samples"]

COLUMNS = 8
_SMALL = 64
"""Samples below this are magnified by whole numbers to about this many pixels."""
_GAP = 4
# A middle grey: neither black nor white samples run into it, and it stands on light and dark pages alike.
_GROUND = (132, 132, 132)
_CELL = (92, 92, 92)
_CROSS = (232, 232, 232)
_MOST_BYTES = 2_000_000
_MOST_FILES = 2_000
_MOST_TOTAL = 128_000_000
_MOST_PIXELS = 16_000_000
_FORMATS = ("PNG", "JPEG", "WEBP")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A contact sheet and what a reader must know about it."""

    png: bytes
    width: int
    height: int
    shown: int
    scale: str
    """How the samples were scaled, in words."""
    warnings: tuple[str, ...]


class _UnusableError(Exception):
    """A sample that cannot be shown; the message says why."""


def galleries(document: AuditDocument) -> Iterator[Gallery]:
    """Yield every gallery of the document: its own and those inside results."""
    yield from document.galleries
    for result in document.results:
        yield from (d for d in result.details if isinstance(d, Gallery))


def read_samples(document: AuditDocument, folder: Path) -> dict[str, bytes]:
    """Return the bytes of the gallery files that lie in ``folder``, by their path in the document.

    What is missing, leaves the folder (also through a link), is no regular file or is larger than 2 MB is left out;
    the report then shows a crossed cell and says so.
    """
    found: dict[str, bytes] = {}
    root = folder.resolve()
    total = 0
    for file in dict.fromkeys(item.file for gallery in galleries(document) for item in gallery.items):
        content = _read(root, file) if len(found) < _MOST_FILES and total < _MOST_TOTAL else None
        if content is not None:
            found[file] = content
            total += len(content)
    return found


def _read(root: Path, file: str) -> bytes | None:
    if not _stays_inside(file):
        return None
    try:
        path = (root / file).resolve()
        # A pipe or device would block or never end; a link may lead out of the folder.
        if not path.is_relative_to(root) or not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as handle:
            content = handle.read(_MOST_BYTES + 1)
    except (OSError, ValueError, RuntimeError):
        return None
    return content if len(content) <= _MOST_BYTES else None


def _stays_inside(file: str) -> bool:
    path = PurePosixPath(file)
    unfit = path.is_absolute() or ".." in path.parts or "\\" in file or ":" in file or "\0" in file
    return bool(path.parts) and not unfit and len(file) < 500


def contact_sheet(gallery: Gallery, samples: Mapping[str, bytes], most: int = 64, largest: int = 128) -> Sheet:
    """Return the first ``most`` samples of the gallery in rows of eight; none becomes larger than ``largest`` pixels.

    A sample that is missing, was changed since the audit (its sha256 differs) or is no image of the declared size
    becomes a crossed cell, and a warning says which and why.
    """
    items = gallery.items[:most]
    size, scale = cell_size(gallery, largest)
    problems: list[tuple[GalleryItem, str]] = []
    columns = max(1, min(COLUMNS, len(items)))
    rows = max(1, -(-len(items) // columns))
    width = columns * size[0] + (columns + 1) * _GAP
    height = rows * size[1] + (rows + 1) * _GAP
    sheet = Image.new("RGB", (width, height), _GROUND)
    for place, item in enumerate(items):
        try:
            cell = _scaled(_opened(item, gallery, samples), size)
        except _UnusableError as error:
            problems.append((item, str(error)))
            cell = _crossed(size)
        row, column = divmod(place, columns)
        sheet.paste(cell, (_GAP + column * (size[0] + _GAP), _GAP + row * (size[1] + _GAP)))
    return Sheet(_png(sheet), width, height, len(items), scale, _told(gallery, problems))


def cell_size(gallery: Gallery, largest: int) -> tuple[tuple[int, int], str]:
    """Return width and height of one sample on a sheet where none is larger than ``largest``, and that in words."""
    width, height = gallery.width, gallery.height
    if not (0 < width <= 16384 and 0 < height <= 16384):
        return (_SMALL, _SMALL), "at an undeclared size"
    side = max(width, height)
    if side < _SMALL:
        factor = max(1, round(min(_SMALL, largest) / side))
        told = "at their own size" if factor == 1 else f"magnified {factor} times, pixels kept as squares"
        return (width * factor, height * factor), told
    if side <= largest:
        return (width, height), "at their own size"
    shrink = largest / side
    return (max(1, round(width * shrink)), max(1, round(height * shrink))), f"reduced to {largest} pixels"


def _opened(item: GalleryItem, gallery: Gallery, samples: Mapping[str, bytes]) -> Image.Image:
    if not _stays_inside(item.file):
        raise _UnusableError("refused: its path leaves the folder of the document")
    content = samples.get(item.file)
    if content is None:
        raise _UnusableError("not found beside the document, or larger than 2 MB")
    if hashlib.sha256(content).hexdigest() != item.sha256.removeprefix("sha256:"):
        raise _UnusableError("changed since the audit: its sha256 is not the one in the document")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
            if image.width * image.height > _MOST_PIXELS:
                raise _UnusableError(f"too large to show: {image.width} by {image.height} pixels")
            image.load()
    except _UnusableError:
        raise
    except Exception as error:  # a decoder fed hostile bytes can raise anything
        raise _UnusableError(f"not a readable image ({type(error).__name__})") from None
    if image.size != (gallery.width, gallery.height):
        found = f"{image.width} by {image.height}"
        raise _UnusableError(f"{found} pixels; the document says {gallery.width} by {gallery.height}")
    return image


def _scaled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        image = image.convert("I").point(lambda v: v / 256).convert("L")
    method = Image.Resampling.NEAREST if size[0] >= image.width else Image.Resampling.LANCZOS
    return image.convert("RGB").resize(size, method)


def _crossed(size: tuple[int, int]) -> Image.Image:
    cell = Image.new("RGB", size, _CELL)
    pen = ImageDraw.Draw(cell)
    right, bottom = size[0] - 1, size[1] - 1
    pen.rectangle((0, 0, right, bottom), outline=_CROSS)
    pen.line((0, 0, right, bottom), fill=_CROSS, width=2)
    pen.line((0, bottom, right, 0), fill=_CROSS, width=2)
    return cell


def _png(sheet: Image.Image) -> bytes:
    red, green, blue = sheet.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        sheet = red
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _told(gallery: Gallery, problems: list[tuple[GalleryItem, str]]) -> tuple[str, ...]:
    by_reason: dict[str, list[GalleryItem]] = {}
    for item, reason in problems:
        by_reason.setdefault(reason, []).append(item)
    title = plain(gallery.title, 200)
    told = []
    for reason, items in by_reason.items():
        names = ", ".join(plain(i.file, 120) for i in items[:3]) + (", ..." if len(items) > 3 else "")
        samples = "1 sample is" if len(items) == 1 else f"{len(items)} samples are"
        told.append(f"{title}: {samples} shown as a crossed cell: {reason} ({names})")
    return tuple(told)
