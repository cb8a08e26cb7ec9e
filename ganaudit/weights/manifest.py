"""The weights files that ganaudit knows: name, file, size, sha256, source, licence."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath

from ganaudit.document.errors import WeightsError

__all__ = ["Entry", "checked_name", "checked_sha256", "hashes_differ", "known", "parse", "suffix_of"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One published weights file."""

    name: str
    """What the file is called here; the id of the extractor it belongs to."""
    file: str
    size: int
    """Bytes of the published file."""
    sha256: str
    """Of the published file, in full."""
    url: str
    licence: str
    purpose: str
    also: tuple[str, ...] = ()
    """Other names under which the same bytes are published."""

    def __post_init__(self) -> None:
        names = (self.file, *self.also)
        good = _NAME.fullmatch(self.name) and _SHA256.fullmatch(self.sha256) and all(map(_FILE.fullmatch, names))
        if not good or self.size < 1 or not self.url.startswith("https://"):
            raise ValueError(f"weights manifest: the entry {self.name!r} is not well formed")


@functools.cache
def known() -> Mapping[str, Entry]:
    """Return the entries of the manifest that comes with ganaudit, by name."""
    return parse(resources.files("ganaudit.weights").joinpath("manifest.toml").read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, Entry]:
    """Return the entries of a manifest; raises ValueError or TypeError when one is not well formed."""
    tables = tomllib.loads(text)
    return {name: Entry(name=name, also=tuple(t.pop("also", ())), **t) for name, t in tables.items()}


def checked_name(name: str) -> str:
    """Return ``name``; raises WeightsError unless it can be the name of a folder on every system."""
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise WeightsError(
            f"weights name {name!r}: allowed are 1 to 64 lower case letters, digits, '.', '_' and '-', the first a "
            "letter or a digit"
        )
    return name


def checked_sha256(text: str) -> str:
    """Return a sha256 in lower case; raises WeightsError unless it has 64 hexadecimal digits."""
    digits = text.strip().lower().removeprefix("sha256:")
    if not _SHA256.fullmatch(digits):
        raise WeightsError(f"--sha256 {text!r}: a sha256 has 64 hexadecimal digits; found {len(digits)} characters")
    return digits


def hashes_differ(found: str, expected: str | None) -> str:
    """Return the two lines that show why a file is refused."""
    return f"  sha256 found     {found}\n  sha256 expected  {expected}"


def suffix_of(path: str) -> str:
    """Return the suffix that a file of this path keeps in the cache, which tells readers its format; may be empty."""
    suffix = PurePath(path).suffix
    return suffix if len(suffix) <= 16 and suffix[1:].isascii() and suffix[1:].isalnum() else ""
