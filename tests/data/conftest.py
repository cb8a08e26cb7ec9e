"""Real files in tmp_path, good and bad."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image


def pixels(seed=0, height=6, width=5, channels=3):
    array = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return array[:, :, 0] if channels == 1 else array


def encoded(array, form="PNG", **options):
    buffer = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png(width, height, depth=8, colour=2, rows=b""):
    """A PNG by hand: any header, with pixels that need not exist."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture
def folder(tmp_path):
    """Write ``{relative path: bytes}`` into a folder and return it."""

    def write(files, name="images"):
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for relative, content in files.items():
            path = root / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return root

    return write


@pytest.fixture
def zipped(tmp_path):
    """Write ``{member name: bytes}`` into a zip archive and return its path."""

    def write(files, name="images.zip", compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", compression) as archive:
            for member, content in files.items():
                archive.writestr(member, content)
        return path

    return write


@pytest.fixture
def npy(tmp_path):
    """Save an array and return the file's path."""

    def write(array, name="array.npy", **options):
        np.save(tmp_path / name, array, **options)
        return tmp_path / name

    return write


@pytest.fixture
def npz(tmp_path):
    """Save arrays by name and return the file's path."""

    def write(*unnamed, **arrays):
        np.savez(tmp_path / "arrays.npz", *unnamed, **arrays)
        return tmp_path / "arrays.npz"

    return write


@pytest.fixture(name="pixels")
def _pixels():
    return pixels


@pytest.fixture(name="encoded")
def _encoded():
    return encoded


@pytest.fixture(name="png")
def _png():
    return png
