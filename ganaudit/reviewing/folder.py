"""The folder of an audit as a review sees it, and ``review.json`` in it: read, and appended to under a lock."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ganaudit.document.errors import DocumentError, OutputError
from ganaudit.document.files import check_writable, read_document, write_atomically
from ganaudit.document.model import AuditDocument
from ganaudit.reviewing.record import Comment, Decision, Review, parse_review, review_text

try:
    import fcntl
except ImportError:  # not on every system; the chain then shows what two writers at once have done
    fcntl = None  # type: ignore[assignment]

__all__ = ["append", "audit_folder", "check_review_writable", "load_audit", "load_review", "review_path"]

_MOST_BYTES = 64_000_000


def audit_folder(path: Path) -> Path:
    """Return the folder of an audit, given itself or its document.json; raises DocumentError where there is none."""
    folder = path.parent if path.is_file() and path.name == "document.json" else path
    if not folder.is_dir():
        raise DocumentError(f"review {path}: no such folder; give one that `ganaudit audit` has written")
    if not (folder / "document.json").is_file():
        raise DocumentError(f"review {path}: holds no document.json; give a folder that `ganaudit audit` has written")
    return folder


def load_audit(folder: Path) -> tuple[AuditDocument, str | None]:
    """Return the document of the folder, and in words how it was changed since the audit wrote it, or None.

    Raises DocumentError saying what is wrong with it.
    """
    return read_document(folder / "document.json")


def review_path(folder: Path) -> Path:
    """Return where the review of an audit lies."""
    return folder / "review.json"


def load_review(folder: Path) -> Review:
    """Return the review, empty where there is none yet; raises DocumentError where it was changed by other hands."""
    path = review_path(folder)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise DocumentError(f"{path}: is larger than {_MOST_BYTES} bytes, which no review is")
        return parse_review(content.decode("utf-8"), str(path))
    except FileNotFoundError:
        return Review()
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: was changed, it is no text any more: {error}") from None
    except OSError as error:
        raise DocumentError(f"{path}: cannot be read: {error.strerror or error}") from None


def append(folder: Path, make: Callable[[Review], Comment | Decision]) -> Comment | Decision:
    """Append the entry that ``make`` returns for the review as it stands, and return it; whoever comes second waits.

    Raises DocumentError where the review was changed by other hands, OutputError where it cannot be written.
    """
    check_review_writable(folder)
    with _locked(folder):
        review = load_review(folder)
        entry = make(review)
        longer = review.model_copy(update={"entries": [*review.entries, entry]})
        write_atomically(review_path(folder), review_text(longer).encode())
    return entry


def check_review_writable(folder: Path) -> None:
    """Prove that a review can be written; raises OutputError before any work."""
    try:
        check_writable(folder)
    except OutputError:
        raise OutputError(
            f"review {folder}: the folder cannot be written, and review.json is kept in it beside the document; "
            "ask for the right to write there, or copy the whole folder and review the copy"
        ) from None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other writers; nothing is left behind, and the lock goes with the process."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
