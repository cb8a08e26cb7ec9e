"""Fetches a weights file into the cache: download, checksum, and only then the rename that makes it usable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ganaudit.document.errors import ConfigError, WeightsError, nearest
from ganaudit.progress import Progress
from ganaudit.weights.cache import Held, WeightsCache
from ganaudit.weights.download import Patience, discard, download
from ganaudit.weights.files import disk_may_fill, hashed
from ganaudit.weights.manifest import checked_name, checked_sha256, hashes_differ, suffix_of
from ganaudit.weights.transport import check_url

try:
    import fcntl
except ImportError:  # no such locks on this system; the checksum still decides
    fcntl = None  # type: ignore[assignment]

__all__ = ["fetch"]

_MOST = 8 * 10**9
"""Bytes that are taken of a file whose size nobody told."""


def fetch(
    cache: WeightsCache,
    name: str,
    *,
    url: str | None = None,
    base: str | None = None,
    sha256: str | None = None,
    patience: Patience,
    progress: Progress,
) -> Held:
    """Bring ``name`` into the cache and return what is held; a verified file is not fetched again.

    The manifest says where from; ``url`` names another address, ``base`` a folder that holds the files under their
    published names. A name that the manifest does not have needs ``url`` and ``sha256``. Raises ConfigError for an
    unknown name and WeightsError when the file cannot be had or is not the right one.
    """
    entry = cache.entries.get(checked_name(name))
    expected = checked_sha256(sha256) if sha256 else None
    if entry is None and (url is None or expected is None):
        raise ConfigError(
            f"weights fetch {name!r}: not in the manifest; {nearest(name, cache.entries)}; another file needs "
            "--url URL and --sha256 HEX, by which it is checked"
        )
    if entry is not None and expected not in (None, entry.sha256):
        raise WeightsError(f"weights fetch {name}: --sha256 {expected} is not that of the manifest, {entry.sha256}")
    source = _source(url, base, entry.file if entry else "", entry.url if entry else "")
    check_url(source)
    held = cache.held(name)
    wanted = entry.sha256 if entry else expected
    assert wanted is not None
    if held.state == "verified" and held.record and wanted in (held.record.sha256, held.record.converted_from):
        return held
    file = entry.file if entry else name + suffix_of(unquote(urlsplit(source).path))
    part = cache.root / name / f"{file}.part"
    with _alone(part.parent, name):
        _checked(source, part, wanted, entry.size if entry else None, patience, progress, name)
        kept = cache.keep(name, part, file, sha256=wanted, origin=source)
        discard(part)  # what is left of it: the note of where it came from
        return kept


def _source(url: str | None, base: str | None, file: str, published: str) -> str:
    if url is not None and base is not None:
        raise ConfigError("weights fetch: --url and --from both say where from; give one of them")
    if base is not None:
        if not file:
            raise ConfigError("weights fetch: --from needs a name of the manifest; give --url")
        return f"{base.rstrip('/')}/{file}"
    return url or published


def _checked(
    source: str, part: Path, wanted: str, size: int | None, patience: Patience, progress: Progress, name: str
) -> None:
    """Download until the file has the hash it should have; a part that does not lead there is given up once."""
    for again in (True, False):
        resumed = download(
            source, part, size=size, most=_MOST, patience=patience, progress=progress, label=f"fetching {name}"
        )
        found, _ = hashed(part)
        if found == wanted:
            return
        discard(part)
        # Bytes of an earlier try may be those of another version; bytes that came in one go are what the server has.
        if not (again and resumed):
            raise WeightsError(
                f"{source}: the file is not {name}; nothing of it was kept:\n{hashes_differ(found, wanted)}"
            )


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Let one process at a time write the part of a file."""
    with disk_may_fill(folder, 0, f"weights {name}"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("ab")
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise WeightsError(f"weights {name}: another process fetches it now; wait for that one") from None
        yield
