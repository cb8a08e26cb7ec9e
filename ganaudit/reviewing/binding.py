"""What a decision is bound to: subject, document, policy, report and samples, each by its digest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ganaudit.document.digests import file_digest, json_digest
from ganaudit.document.model import AuditDocument
from ganaudit.report.sheets import pictures
from ganaudit.reviewing.policy_at_hand import PolicyAtHand
from ganaudit.reviewing.record import Bound
from ganaudit.reviewing.subject_files import SubjectFiles, files_below, folder_digest

__all__ = ["ELSEWHERE", "NONE", "bindings", "differences", "digest_of", "document_digest", "recorded", "unchecked"]

NONE = "none"
ELSEWHERE = {"subject files": "--subject PATH", "policy file": "--policy FILE"}
"""What need not lie where the review does, and the option that says where it lies."""
_FEW = 64
_TOLD = 3


def bindings(folder: Path, document: AuditDocument, subject: SubjectFiles, policy: PolicyAtHand) -> list[Bound]:
    """Return the digests of everything a decision on this audit is bound to, as it lies there now."""
    return [
        Bound(what="subject", digest=document.subject.digest, words="as the audit recorded it"),
        _subject_files(subject),
        Bound(what="document", digest=document_digest(folder), words="document.json"),
        _policy(document),
        _policy_file(policy),
        _report(folder),
        _samples(folder),
    ]


def document_digest(folder: Path) -> str:
    """Return the sha256 of document.json; none where it is gone or cannot be read."""
    return _file(folder / "document.json")


def digest_of(bound: Iterable[Bound], what: str) -> str:
    """Return one digest among ``bound``."""
    return next((one.digest for one in bound if one.what == what), NONE)


def recorded(bound: Iterable[Bound]) -> list[Bound]:
    """Return the bindings as a decision keeps them: the digest of a folder with many files stands for all of them."""
    return [one if len(one.files) <= _FEW else one.model_copy(update={"files": {}}) for one in bound]


def differences(then: Sequence[Bound], now: Sequence[Bound], document: AuditDocument | None) -> list[str]:
    """Return a sentence on everything that is no longer as it was bound; empty where all of it is.

    What is ``ELSEWHERE`` need not lie where the review does: where its files were not at hand then, or are not now,
    they are no difference. ``unchecked`` tells of the latter.
    """
    found = {one.what: one for one in now}
    told = []
    for bound in then:
        other = found.get(bound.what)
        if other is None or (bound.what in ELSEWHERE and NONE in (bound.digest, other.digest)):
            continue
        if bound.digest != other.digest:
            told.append(f"{bound.what} changed: {_which(bound, other, document)}")
    return told


def unchecked(then: Sequence[Bound], now: Sequence[Bound]) -> dict[str, str]:
    """Return a sentence on everything that was bound and cannot be looked at now, by what it is."""
    found = {one.what: one for one in now}
    return {
        bound.what: f"{bound.what} bound and not at hand: {found[bound.what].words}; {ELSEWHERE[bound.what]} says where"
        for bound in then
        if bound.what in ELSEWHERE and bound.digest != NONE and found[bound.what].digest == NONE
    }


def _which(then: Bound, now: Bound, document: AuditDocument | None) -> str:
    """Return what differs in words: the files, where they are known, and both digests."""
    names: list[str] = []
    if then.files and now.files:
        every = {**then.files, **now.files}
        names = [name for name in every if then.files.get(name) != now.files.get(name)]
    elif then.what == "samples" and document is not None:
        shown = _pictured(document)
        names = sorted(name for name, digest in shown.items() if now.files.get(name, NONE) != digest)
        names += sorted(set(now.files) - set(shown)) if not names else []
    told = ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
    return f"{told + ': ' if told else ''}{then.digest} was signed, {now.digest} lies there now"


def _pictured(document: AuditDocument) -> dict[str, str]:
    found = {picture.file: picture.sha256.removeprefix("sha256:") for picture in pictures(document)}
    return {name.removeprefix("samples/"): f"sha256:{digest}" for name, digest in found.items()}


def _subject_files(subject: SubjectFiles) -> Bound:
    if not subject.files:
        return Bound(what="subject files", digest=NONE, words=subject.words)
    files = dict(subject.files)
    words = f"{len(files)} file{'s' if len(files) > 1 else ''}: {subject.words}"
    return Bound(what="subject files", digest=folder_digest(files), words=words, files=files)


def _policy(document: AuditDocument) -> Bound:
    if document.policy is None:
        return Bound(what="policy", digest=NONE, words="the audit was not judged by a policy")
    return Bound(what="policy", digest=json_digest(document.policy), words="canonical JSON of document.json's policy")


def _policy_file(policy: PolicyAtHand) -> Bound:
    if not policy.digest:
        return Bound(what="policy file", digest=NONE, words=policy.words)
    return Bound(what="policy file", digest=policy.digest, words=policy.words, files={policy.name: policy.digest})


def _report(folder: Path) -> Bound:
    digest = _file(folder / "report.html")
    return Bound(what="report", digest=digest, words="report.html" if digest != NONE else "there is no report.html")


def _samples(folder: Path) -> Bound:
    files = files_below(folder / "samples")
    if not files:
        return Bound(what="samples", digest=NONE, words="there are no files in samples/")
    return Bound(what="samples", digest=folder_digest(files), words=f"{len(files)} files in samples/", files=files)


def _file(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError:
        return NONE
