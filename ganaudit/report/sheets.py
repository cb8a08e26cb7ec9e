"""Contact sheets, pictures of changes, and the safe reader that fetches their bytes.

A contact sheet shows the samples of a gallery side by side in one PNG; before and after a change each is one PNG.

A document is hostile input: its paths may point anywhere and its files may be anything.
"""

from __future__ import annotations

import hashlib
import io
import stat
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image, ImageDraw

from ganaudit.document.model import AuditDocument, Gallery, GalleryItem, Picture, Triplets
from ganaudit.report.words import plain

__all__ = ["Sheet", "Strip", "Strips", "cell_size", "contact_sheet", "pair_sheet", "pictures", "read_samples", "strips"]

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


@dataclass(frozen=True, slots=True)
class Strip:
    """One sample before a change, the change and the sample after it, as PNG."""

    before: bytes
    change: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Strips:
    """The first samples before and after a change, all pictures of one size."""

    strips: tuple[Strip, ...]
    width: int
    height: int
    scale: str
    """How the samples were scaled, in words."""
    warnings: tuple[str, ...]


class _UnusableError(Exception):
    """A sample that cannot be shown; the message says why."""


def pictures(document: AuditDocument) -> Iterator[Picture]:
    """Yield every picture that is named: in galleries of the document, then in galleries and triplets of results."""
    for gallery in document.galleries:
        yield from gallery.items
    for detail in (d for result in document.results for d in result.details):
        if isinstance(detail, Gallery):
            yield from detail.items
        elif isinstance(detail, Triplets):
            yield from (picture for item in detail.items for picture in (item.before, item.change, item.after))


def read_samples(document: AuditDocument, folder: Path) -> dict[str, bytes]:
    """Return the bytes of the pictures that lie in ``folder``, by their path in the document.

    What is missing, leaves the folder (also through a link), is no regular file or is larger than 2 MB is left out;
    the report then shows a crossed cell and says so.
    """
    found: dict[str, bytes] = {}
    root = folder.resolve()
    total = 0
    for file in dict.fromkeys(picture.file for picture in pictures(document)):
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
    problems: list[tuple[Picture, str]] = []
    columns = max(1, min(COLUMNS, len(items)))
    rows = max(1, -(-len(items) // columns))
    width = columns * size[0] + (columns + 1) * _GAP
    height = rows * size[1] + (rows + 1) * _GAP
    sheet = Image.new("RGB", (width, height), _GROUND)
    for place, item in enumerate(items):
        cell = _cell(item, gallery, samples, size, problems)
        row, column = divmod(place, columns)
        sheet.paste(cell, (_GAP + column * (size[0] + _GAP), _GAP + row * (size[1] + _GAP)))
    return Sheet(_png(sheet), width, height, len(items), scale, _told(gallery, problems))


def pair_sheet(
    pairs: Sequence[tuple[GalleryItem, GalleryItem]],
    galleries: tuple[Gallery, Gallery],
    samples: tuple[Mapping[str, bytes], Mapping[str, bytes]],
    largest: int = 128,
) -> Sheet:
    """Return samples of two galleries side by side, one pair a cell, four pairs in a row, the first gallery's left.

    No sample becomes larger than ``largest`` pixels; those that cannot be shown become crossed cells, as on a contact
    sheet, and the warnings say of which gallery, A or B.
    """
    sizes, scales = zip(*(cell_size(gallery, largest) for gallery in galleries), strict=True)
    problems: tuple[list[tuple[Picture, str]], ...] = ([], [])
    half, between, apart = sizes[0][0], _GAP // 2, 3 * _GAP
    width, height = half + between + sizes[1][0], max(size[1] for size in sizes)
    columns = max(1, min(COLUMNS // 2, len(pairs)))
    rows = max(1, -(-len(pairs) // columns))
    across, down = columns * (width + apart) + apart, rows * (height + apart) + apart
    sheet = Image.new("RGB", (across, down), _GROUND)
    for place, pair in enumerate(pairs):
        row, column = divmod(place, columns)
        for side, item in enumerate(pair):
            cell = _cell(item, galleries[side], samples[side], sizes[side], problems[side])
            x = apart + column * (width + apart) + side * (half + between)
            sheet.paste(cell, (x, apart + row * (height + apart)))
    scale = scales[0] if scales[0] == scales[1] else f"A {scales[0]}, B {scales[1]}"
    told = [f"{name}: {w}" for name, g, p in zip("AB", galleries, problems, strict=True) for w in _told(g, p)]
    return Sheet(_png(sheet), across, down, len(pairs), scale, tuple(told))


def strips(triplets: Triplets, samples: Mapping[str, bytes], most: int = 16, largest: int = 128) -> Strips:
    """Return the first ``most`` samples before and after a change; no picture becomes larger than ``largest`` pixels.

    Pictures that cannot be shown become crossed cells, as on a contact sheet.
    """
    size, scale = cell_size(triplets, largest)
    problems: list[tuple[Picture, str]] = []
    made = tuple(
        Strip(*(_png(_cell(p, triplets, samples, size, problems)) for p in (item.before, item.change, item.after)))
        for item in triplets.items[:most]
    )
    return Strips(made, *size, scale, _told(triplets, problems))


def _cell(
    item: Picture,
    shown: Gallery | Triplets,
    samples: Mapping[str, bytes],
    size: tuple[int, int],
    problems: list[tuple[Picture, str]],
) -> Image.Image:
    """Return the picture at ``size``, or a crossed cell and one problem more."""
    try:
        return _scaled(_opened(item, shown, samples), size)
    except _UnusableError as error:
        problems.append((item, str(error)))
        return _crossed(size)


def cell_size(gallery: Gallery | Triplets, largest: int) -> tuple[tuple[int, int], str]:
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


def _opened(item: Picture, gallery: Gallery | Triplets, samples: Mapping[str, bytes]) -> Image.Image:
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
    sheet.save(buffer, "PNG", compress_level=6)  # the next steps take ten times as long for a tenth of the bytes
    return buffer.getvalue()


def _told(gallery: Gallery | Triplets, problems: list[tuple[Picture, str]]) -> tuple[str, ...]:
    by_reason: dict[str, list[Picture]] = {}
    for item, reason in problems:
        by_reason.setdefault(reason, []).append(item)
    title = plain(gallery.title, 200)
    told = []
    for reason, items in by_reason.items():
        names = ", ".join(plain(i.file, 120) for i in items[:3]) + (", ..." if len(items) > 3 else "")
        shown = "picture" if isinstance(gallery, Triplets) else "sample"
        how_many = f"1 {shown} is" if len(items) == 1 else f"{len(items)} {shown}s are"
        told.append(f"{title}: {how_many} shown as a crossed cell: {reason} ({names})")
    return tuple(told)
