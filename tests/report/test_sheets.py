"""Contact sheets show every sample as it is, or say which one cannot be shown and why."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import pytest
from PIL import Image

from ganaudit.document.model import Gallery, GalleryItem
from ganaudit.report.sheets import Sheet, contact_sheet


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def of(contents: dict[str, bytes], width: int, height: int) -> Gallery:
    items = [
        GalleryItem(file=name, sha256=hashlib.sha256(content).hexdigest(), index=i)
        for i, (name, content) in enumerate(contents.items())
    ]
    return Gallery(title="Some", rule="all", side="fake", width=width, height=height, items=items)


def opened(sheet: Sheet) -> Image.Image:
    image = Image.open(io.BytesIO(sheet.png)).convert("RGB")
    assert image.size == (sheet.width, sheet.height)
    return image


def grey(size: tuple[int, int], value: int = 200) -> Image.Image:
    image = Image.new("L", size, value)
    image.putpixel((0, 0), 10)
    return image


def test_small_samples_are_magnified_with_square_pixels_and_set_apart() -> None:
    files = {f"{i}.png": encoded(grey((16, 16), 100 + i)) for i in range(10)}
    sheet = contact_sheet(of(files, 16, 16), files)
    image = opened(sheet)
    assert sheet.warnings == ()
    assert sheet.scale == "magnified 4 times, pixels kept as squares"
    assert image.size == (8 * 64 + 9 * 4, 2 * 64 + 3 * 4)
    ground = image.getpixel((0, 0))
    for i in range(10):
        left, top = 4 + (i % 8) * 68, 4 + (i // 8) * 68
        assert all(image.getpixel((left + x, top + y)) == (10, 10, 10) for x in range(4) for y in range(4))
        assert image.getpixel((left + 4, top)) == (100 + i,) * 3
        assert image.getpixel((left + 63, top + 63)) == (100 + i,) * 3
        assert image.getpixel((left + 64, top)) == image.getpixel((left - 1, top)) == ground
    assert image.getpixel((400, 100)) == ground, "the second row ends after two samples"


@pytest.mark.parametrize(
    ("size", "cell", "words"),
    [
        ((8, 8), (64, 64), "magnified 8 times, pixels kept as squares"),
        ((28, 28), (56, 56), "magnified 2 times, pixels kept as squares"),
        ((64, 32), (64, 32), "at their own size"),
        ((100, 100), (100, 100), "at their own size"),
        ((256, 128), (128, 64), "reduced to 128 pixels"),
    ],
)
def test_the_cell_follows_the_sample(size: tuple[int, int], cell: tuple[int, int], words: str) -> None:
    files = {"a.png": encoded(grey(size))}
    sheet = contact_sheet(of(files, *size), files)
    assert opened(sheet).size == (cell[0] + 8, cell[1] + 8)
    assert sheet.scale == words


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("1", "PNG"), ("L", "PNG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("I;16", "PNG"), ("RGB", "WEBP")],
)
def test_every_common_mode_is_shown(mode: str, kind: str) -> None:
    files = {"a": encoded(Image.new(mode, (64, 64)), kind)}
    sheet = contact_sheet(of(files, 64, 64), files)
    assert sheet.warnings == ()
    assert opened(sheet).getpixel((10, 10)) == (0, 0, 0)


def bomb() -> bytes:
    def chunk(tag: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "not found beside the document, or larger than 2 MB"),
        (b"tampered", "changed since the audit: its sha256 is not the one in the document"),
    ],
)
def test_a_missing_or_changed_sample_is_crossed_out(content: bytes | None, reason: str) -> None:
    files = {f"{i}.png": encoded(grey((16, 16))) for i in range(3)}
    gallery = of(files, 16, 16)
    given = {name: data for name, data in files.items() if name != "1.png"}
    if content is not None:
        given["1.png"] = content
    sheet = contact_sheet(gallery, given)
    assert sheet.warnings == (f"Some: 1 sample is shown as a crossed cell: {reason} (1.png)",)
    cell = opened(sheet).crop((72, 4, 136, 68))
    assert cell.getpixel((32, 32)) == cell.getpixel((0, 0)) == (232, 232, 232)
    assert cell.getpixel((32, 8)) == (92, 92, 92)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"GIF89a not allowed", "not a readable image"),
        (encoded(grey((16, 16)))[:50], "not a readable image"),
        (bomb(), "not a readable image|too large"),
        (encoded(grey((8, 16))), "8 by 16 pixels; the document says 16 by 16"),
        (b"", "not a readable image"),
    ],
    ids=["another format", "cut off", "bomb", "another size", "empty"],
)
def test_a_file_that_is_no_such_image_is_crossed_out(content: bytes, reason: str) -> None:
    files = {"a": content}
    (warning,) = contact_sheet(of(files, 16, 16), files).warnings
    assert any(part in warning for part in reason.split("|"))


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.png", "a/../../b.png", "..\\a.png", "C:\\a.png", "a\0.png", ""])
def test_a_path_out_of_the_folder_is_refused_even_when_bytes_are_given(name: str) -> None:
    files = {name: encoded(grey((16, 16)))}
    (warning,) = contact_sheet(of(files, 16, 16), files).warnings
    assert "refused: its path leaves the folder of the document" in warning


@pytest.mark.parametrize("size", [(1, 1), (10**9, 10**9)])
def test_an_absurd_declared_size_costs_nothing(size: tuple[int, int]) -> None:
    files = {"a": encoded(grey((16, 16)))}
    sheet = contact_sheet(of(files, *size), files)
    assert opened(sheet).size == (72, 72)
    assert sheet.warnings


def test_fewer_and_smaller_on_request_and_equal_bytes() -> None:
    files = {f"{i}.png": encoded(grey((256, 256))) for i in range(20)}
    sheet = contact_sheet(of(files, 256, 256), files, most=16, largest=64)
    assert (sheet.shown, sheet.width) == (16, 8 * 64 + 9 * 4)
    assert sheet == contact_sheet(of(files, 256, 256), files, most=16, largest=64)
    assert contact_sheet(of({}, 16, 16), {}).shown == 0
