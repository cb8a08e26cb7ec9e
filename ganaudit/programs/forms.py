"""What a model file is, told by its bytes alone: nothing is unpickled or run."""

from __future__ import annotations

import io
import itertools
import pickletools
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

__all__ = ["Pickled", "form_words", "is_pickled", "is_script", "pickled"]

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
# The magic number that torch.save wrote, as a pickle of its own, before it wrote zip archives.
_LEGACY = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_LEGACY_HEAD = 3
"""Pickles before the one that counts: magic number, version, properties of the machine."""
_FIRST = (b"c", b"(", b"]", b"}", b")", b"i")
"""What a pickle without a mark of its own begins with: an import, or the begin of a container."""
_STEPS = 64
_IMPORT = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")
_SHOWN = 32
"""Bytes from the begin of a file that are enough to tell its form."""
_MOST = 4 * 2**20
"""Bytes of a pickle that are looked through, which takes seconds at most: tensors lie beside it, names are short."""
# What a pickle names that holds tensors in containers: torch reads it with weights_only, and no network is in it.
_OF_WEIGHTS = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor(_v2)?|parameter)|torch (\w+Storage|Size|device)"
    r"|torch\.storage UntypedStorage|torch (float|bfloat|int|uint|complex)\d+|torch bool"
)
_TENSOR = re.compile(r"[A-Za-z_]\w*(\.\w+)+")
"""The name of a tensor of a network inside another, as main.0.weight."""


@dataclass(frozen=True, slots=True)
class Pickled:
    """What a pickled file names, as far as that can be told without unpickling."""

    form: Literal["archive", "legacy", "bare"]
    """A zip archive by ``torch.save``, a file by an old ``torch.save``, a pickle by Python itself."""
    names: tuple[str, ...] = ()
    """What it would import, as models.Generator, sorted; without what tensors and containers need."""
    tensors: tuple[str, ...] = ()
    """Strings in it that look like names of a network's tensors, in order."""
    is_weights: bool = False
    """Whether it holds tensors in containers and nothing else: a state dict, say."""


def is_script(path: Path) -> bool:
    """Return whether the archive holds compiled code: a checkpoint written by ``torch.save`` has none."""
    return any("/code/" in name for name in _entries(path))


def is_pickled(path: Path) -> bool:
    """Return whether a file is a pickle or an archive around one, which could run code while being unpickled."""
    if zipfile.is_zipfile(path):
        names = _entries(path)
        return not any("/code/" in name for name in names) and any(name.endswith("data.pkl") for name in names)
    return _begin(path).startswith(_PICKLE) or _is_text_pickle(path)


def pickled(path: Path) -> Pickled:
    """Return what a pickled file names; of one that is broken or very large, no more than its form."""
    form: Literal["archive", "legacy", "bare"] = "bare"
    if zipfile.is_zipfile(path):
        form = "archive"
    elif _begin(path).startswith(_LEGACY):
        form = "legacy"
    try:
        found = list(_arguments(path, form))
    except Exception:  # a broken pickle raises anything; reading it will tell what is wrong
        return Pickled(form)
    names = {text for is_name, text in found if is_name}
    tensors = tuple(dict.fromkeys(text for is_name, text in found if not is_name and _TENSOR.fullmatch(text)))
    foreign = {name for name in names if not _OF_WEIGHTS.fullmatch(name)}
    is_weights = form != "bare" and not foreign and any("_rebuild_tensor" in name for name in names)
    return Pickled(form, tuple(sorted(name.replace(" ", ".") for name in foreign if name)), tensors, is_weights)


def form_words(path: Path) -> str:
    """Return in words what a file that is no TorchScript may be."""
    begin = _begin(path)
    if is_pickled(path):
        return "it is a pickled checkpoint, which could run code while being read, and was never opened"
    if not begin:
        return "it is empty, or no file: make or copy it again"
    if begin.startswith(_ZIP) and not zipfile.is_zipfile(path):
        return "it begins as a zip archive and has no end, so it was cut off: copy or save it again"
    if begin.startswith(_ZIP):
        names = _entries(path)
        if any(re.fullmatch(r"[^/]+/models/\w+\.json", name) for name in names):
            return "it holds an exported program: let its name end in .pt2"
        return f"it is a zip archive, but none that torch writes; it holds {', '.join(names[:3]) or 'nothing'}"
    return f"it begins with {begin!r}, as no model file does"


def _entries(path: Path) -> list[str]:
    if not zipfile.is_zipfile(path):
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _is_text_pickle(path: Path) -> bool:
    """Return whether a file is a pickle of protocol 0 or 1, which has no mark: an import is among its first steps."""
    if not _begin(path).startswith(_FIRST):
        return False
    names = 0
    try:
        for opcode, argument, _ in itertools.islice(pickletools.genops(_head(path, "bare")), _STEPS):
            names += opcode.name in ("GLOBAL", "INST") and bool(_IMPORT.fullmatch(str(argument)))
    except Exception:  # any text may stand there
        return False
    return names > 0


def _begin(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_SHOWN)


def _arguments(path: Path, form: str) -> Iterator[tuple[bool, str]]:
    """Yield what the pickle imports, as (True, "module name"), and its strings, as (False, text)."""
    file = io.BytesIO(_head(path, form))
    for _ in range(_LEGACY_HEAD if form == "legacy" else 0):
        list(_of_pickle(file))
    yield from _of_pickle(file)


def _head(path: Path, form: str) -> bytes:
    """Return the begin of the pickle in a file; one that goes on ends in the middle, and cannot be looked through."""
    if form != "archive":
        with path.open("rb") as file:
            return file.read(_MOST)
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        with archive.open(name) as entry:
            return entry.read(_MOST)


def _of_pickle(file: IO[bytes]) -> Iterator[tuple[bool, str]]:
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("GLOBAL", "INST"):
            yield True, str(argument)
        elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            yield True, ""  # a name made on the stack, which cannot be told without running the pickle
        elif isinstance(argument, str):
            yield False, argument
