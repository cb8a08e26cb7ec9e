"""Does a signature still hold? Every digest taken again, the verdicts judged again, the decisions counted."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ganaudit.config import ReviewPlan
from ganaudit.document.baselines import Baseline
from ganaudit.document.errors import ConfigError, DocumentError, UserError
from ganaudit.document.model import AuditDocument
from ganaudit.reviewing.binding import NONE, bindings, differences, document_digest, unchecked
from ganaudit.reviewing.checklist import review_plan, same_person, standing
from ganaudit.reviewing.folder import load_audit, load_review
from ganaudit.reviewing.record import Bound, Decision, Review
from ganaudit.reviewing.rejudging import expired_waivers, rejudged
from ganaudit.reviewing.subject_files import SubjectFiles, subject_files

__all__ = ["State", "Verification", "verify"]

State = Literal["approved", "approved with conditions", "rejected", "void", "incomplete", "unsigned"]


@dataclass(frozen=True, slots=True)
class Verification:
    """What the review of an audit comes to."""

    state: State
    exit_code: int
    """0 approved, nothing changed since; 1 something changed, or rejected; 3 nothing signed, or not enough of it."""
    words: str
    """The state and why, in one line."""
    review: Review
    stands: tuple[Decision, ...] = ()
    """The decisions that hold for what lies there now, the latest one of each reviewer."""
    void: dict[int, list[str]] = field(default_factory=dict)
    """What changed since, by the number of each decision that no longer holds."""
    problems: tuple[str, ...] = ()
    """Everything that keeps the state from being approved."""


def verify(
    folder: Path,
    *,
    subject: Path | None = None,
    baseline: AuditDocument | Baseline | None = None,
    head: str | None = None,
    now: datetime | None = None,
) -> Verification:
    """Return what the review of the audit in ``folder`` comes to now.

    Every digest is taken again and the document judged again from its raw numbers. ``head`` is the digest of an entry,
    noted elsewhere, that the chain must hold: without it nobody can tell that the last entries were cut off.
    """
    try:
        review = load_review(folder)
    except DocumentError as error:
        return Verification("void", 1, f"void: {error}", Review(), problems=(str(error),))
    missing = head is not None and all(entry.digest != head for entry in review.entries)
    if missing:
        words = f"review.json changed: no entry has the digest {head}; entries were cut off or written anew"
        return Verification("void", 1, f"void: {words}", review, problems=(words,))
    if not review.decisions:
        return Verification("unsigned", 3, "unsigned: nobody has decided on it yet", review)
    return _decided(folder, review, subject, baseline, now or datetime.now(UTC))


def _decided(
    folder: Path,
    review: Review,
    subject: Path | None,
    baseline: AuditDocument | Baseline | None,
    now: datetime,
) -> Verification:
    try:
        document, _ = load_audit(folder)
    except UserError as error:
        return _unreadable(folder, review, str(error))
    files = subject_files(document, subject)
    bound = bindings(folder, document, files)
    stands = standing(review, bound)
    void = {d.number: told for d in review.decisions if (told := differences(d.bound, bound, document))}
    if not stands:
        problems = tuple(void[review.decisions[-1].number])
        return Verification("void", 1, f"void: {problems[0]}", review, void=void, problems=problems)
    problems = tuple(_problems(document, files, baseline, now))
    if problems:
        return Verification("void", 1, f"void: {problems[0]}", review, tuple(stands), void, problems)
    return _counted(review, tuple(stands), void, document, bound)


def _unreadable(folder: Path, review: Review, reason: str) -> Verification:
    """Return what to say of a document that cannot be read any more: it was when it was signed."""
    digest = document_digest(folder)
    void = {
        d.number: [f"document changed: {was} was signed, {digest} lies there now"]
        for d in review.decisions
        if (was := next((b.digest for b in d.bound if b.what == "document"), NONE)) != digest
    }
    problems = (*(void.get(review.decisions[-1].number) or ["document changed"]), reason)
    return Verification("void", 1, f"void: {problems[0]}", review, void=void, problems=problems)


def _problems(
    document: AuditDocument, files: SubjectFiles, baseline: AuditDocument | Baseline | None, now: datetime
) -> list[str]:
    """Return what is wrong although every digest is as it was signed."""
    problems = [f"verdicts do not follow from the numbers: {told}" for told in rejudged(document, baseline).differing]
    with contextlib.suppress(ConfigError):  # a policy that cannot be read is among them already
        problems += expired_waivers(document, now.date())
    return problems + ([f"subject changed: {files.problem}"] if files.problem else [])


def _counted(
    review: Review,
    stands: tuple[Decision, ...],
    void: dict[int, list[str]],
    document: AuditDocument,
    bound: Sequence[Bound],
) -> Verification:
    rejections = [d for d in stands if d.decision == "reject"]
    if rejections:
        words = f"rejected by {', '.join(d.reviewer for d in rejections)}; nothing changed since"
        return Verification("rejected", 1, words, review, stands, void, (words,))
    plan = review_plan(document)
    problems = _too_few(plan, stands)
    problems += list(dict.fromkeys(told for d in stands for told in unchecked(d.bound, bound)))
    if problems:
        words = f"incomplete: {problems[0]}"
        return Verification("incomplete", 3, words, review, stands, void, tuple(problems))
    conditions = any(d.decision == "conditions" for d in stands)
    state: State = "approved with conditions" if conditions else "approved"
    names = ", ".join(d.reviewer for d in stands)
    return Verification(state, 0, f"{state} by {names}; nothing changed since", review, stands, void)


def _too_few(plan: ReviewPlan, stands: Sequence[Decision]) -> list[str]:
    problems = []
    if len(stands) < plan.approvals:
        problems.append(f"{len(stands)} of {plan.approvals} approvals that the audit's plan asks for")
    by_author = [any(same_person(d.reviewer, author) for author in plan.authors) for d in stands]
    if all(by_author) and not plan.author_alone:
        problems.append(f"only authors have approved ({', '.join(d.reviewer for d in stands)})")
    return problems
