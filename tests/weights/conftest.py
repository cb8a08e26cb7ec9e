"""A cache with a manifest of its own, and a server that holds the file it names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ganaudit.weights.cache import WeightsCache
from ganaudit.weights.manifest import Entry

from .site import Site, running

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ENTRY = Entry(
    name="net",
    file="net-published.pth",
    size=len(CONTENT),
    sha256=SHA256,
    url="https://weights.invalid/net-published.pth",
    licence="MIT",
    purpose="a network",
    also=("net-elsewhere.pth",),
)


@pytest.fixture
def cache(tmp_path: Path) -> WeightsCache:
    return WeightsCache(tmp_path / "cache", {"net": ENTRY})


@pytest.fixture
def site() -> Iterator[Site]:
    with running(CONTENT) as found:
        yield found


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """The right file under a name of its own."""
    path = tmp_path / "downloads" / "a file.pth"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path
