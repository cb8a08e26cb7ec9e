"""The files of an audited subject: where they lie, which of them count, and whether they are the audited ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ganaudit.document.digests import bytes_digest, file_digest, json_digest
from ganaudit.document.errors import SubjectError
from ganaudit.document.model import AuditDocument
from ganaudit.locations import reference_model
from ganaudit.subjects.description import SubjectFile, identity_digest, read_subject_file

__all__ = ["SubjectFiles", "files_below", "folder_digest", "subject_files"]

_DESCRIPTIONS = ("subject.toml", "control.toml")


@dataclass(frozen=True, slots=True)
class SubjectFiles:
    """What was found of a subject's files."""

    where: Path | None
    """The file or folder; None where it is not known or not there."""
    words: str
    """Which files they are, or why there are none."""
    files: Mapping[str, str] = field(default_factory=dict)
    """sha256 by name below ``where``."""
    problem: str = ""
    """Why they are not the ones that were audited."""
    is_known: bool = False
    """Whether they could be held against the audit: without torch, only a train directory's can."""


def subject_files(document: AuditDocument, given: Path | None = None) -> SubjectFiles:
    """Return the files of the subject, at ``given`` or where the document says.

    Raises SubjectError where ``given`` is not there.
    """
    where = given if given is not None else _recorded(document)
    if where is None:
        return SubjectFiles(None, "the document does not say where the subject lies")
    if not where.exists():
        if given is not None:
            raise SubjectError(f"--subject {given}: no such file or folder")
        return SubjectFiles(None, "the subject does not lie where the audit found it")
    try:
        return _found(document, where)
    except OSError as error:
        return SubjectFiles(None, f"the subject cannot be read: {error.strerror or 'no permission'}")


def _recorded(document: AuditDocument) -> Path | None:
    if document.subject.path:
        return Path(document.subject.path).expanduser()
    asked = document.plan.get("subject")
    return reference_model(asked) if isinstance(asked, str) else None


def _found(document: AuditDocument, where: Path) -> SubjectFiles:
    if where.is_file():
        return SubjectFiles(where, "the file that was audited, as it lies there now", {where.name: file_digest(where)})
    described = next((name for name in _DESCRIPTIONS if (where / name).is_file()), None)
    if described is None:
        words = "all files of the folder, as they lie there now"
        return SubjectFiles(where, words, files_below(where))
    if described != "subject.toml":
        return SubjectFiles(where, "the description of the control", {described: file_digest(where / described)})
    return _directory(document, where)


def _directory(document: AuditDocument, where: Path) -> SubjectFiles:
    """Return the description and the weights of a train directory, held against the audit."""
    words = "subject.toml and the weights that it names"
    files = {"subject.toml": file_digest(where / "subject.toml")}
    try:
        described = read_subject_file(where / "subject.toml")
    except SubjectError as error:
        return SubjectFiles(where, words, files, str(error).replace(str(where), "the subject"), is_known=True)
    problems = []
    for network in (described.generator, described.discriminator):
        if network is None:
            continue
        if Path(network.file).name != network.file or not (where / network.file).is_file():
            problems.append(f"{network.file} is not there")
            continue
        files[network.file] = file_digest(where / network.file)
        if files[network.file] != f"sha256:{network.sha256}":
            problems.append(f"{network.file} is not the one that subject.toml names")
    found = _audited_digest(document, described)
    if found != document.subject.digest:
        problems.append(f"the subject there is {found}, {document.subject.digest} was audited")
    return SubjectFiles(where, words, files, "; ".join(problems), is_known=True)


def _audited_digest(document: AuditDocument, described: SubjectFile) -> str:
    digest = identity_digest(described)
    sign = document.plan.get("score_sign")
    return digest if sign != "smaller-real" else json_digest({"subject": digest, "score_sign": sign})


def files_below(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file below ``folder``, by its path from there; no link is followed.

    A link counts as the text it holds, and what is neither file nor link as an empty one.
    """
    found = {}
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in [*names, *links]:
            path = Path(parent) / name
            found[path.relative_to(folder).as_posix()] = _content(path)
    return dict(sorted(found.items(), key=lambda item: os.fsencode(item[0])))


def _content(path: Path) -> str:
    if path.is_symlink():
        return bytes_digest(b"link to " + os.fsencode(path.readlink()))
    return file_digest(path) if path.is_file() else bytes_digest(b"")


def folder_digest(files: Mapping[str, str]) -> str:
    """Return the sha256 over a line for each file, its sha256, two blanks and its name, as ``sha256sum`` prints them.

    Lines are in the order of the names' bytes, so that the same command run in the folder, with its files sorted in the
    C locale, gives the same digest again.
    """
    ordered = sorted(files.items(), key=lambda item: os.fsencode(item[0]))
    return bytes_digest(b"".join(_line(name, digest) for name, digest in ordered))


def _line(name: str, digest: str) -> bytes:
    raw = os.fsencode(name)
    spelt = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    mark = b"\\" if spelt != raw else b""
    return mark + digest.removeprefix("sha256:").encode() + b"  " + spelt + b"\n"
