"""Does a signature still hold? Every digest taken again, the verdicts judged again, the decisions counted."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ganaudit.config import ReviewPlan
from ganaudit.document.baselines import Baseline
from ganaudit.document.errors import ConfigError, DocumentError, UserError
from ganaudit.document.model import AuditDocument
from ganaudit.document.names import same_person
from ganaudit.reviewing.binding import NONE, bindings, differences, document_digest, unchecked
from ganaudit.reviewing.checklist import review_plan, standing
from ganaudit.reviewing.folder import load_audit, load_review
from ganaudit.reviewing.policy_at_hand import PolicyAtHand, policy_at_hand
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
    told: tuple[str, ...] = ()
    """What changes no state, and a reader should know: how the policy's file stands, or that it is not at hand."""


def verify(
    folder: Path,
    *,
    subject: Path | None = None,
    policy: Path | None = None,
    baseline: AuditDocument | Baseline | None = None,
    head: str | None = None,
    now: datetime | None = None,
) -> Verification:
    """Return what the review of the audit in ``folder`` comes to now.

    Every digest is taken again and the document judged again from its raw numbers. ``subject`` and ``policy`` say where
    these lie, if not where the audit found them; a policy's file that is not the one that judged voids, one that is not
    at hand is told. ``head`` is the digest of an entry, noted elsewhere, that the chain must hold: without it nobody
    can tell that the last entries were cut off.
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
    try:
        document, _ = load_audit(folder)
    except UserError as error:
        return _unreadable(folder, review, str(error))
    files, rules = subject_files(document, subject), policy_at_hand(document, folder, policy)
    found = _decided(folder, review, document, (files, rules), baseline, now or datetime.now(UTC))
    return replace(found, told=(*found.told, *([f"policy: {rules.words}"] if document.policy is not None else [])))


def _decided(
    folder: Path,
    review: Review,
    document: AuditDocument,
    at_hand: tuple[SubjectFiles, PolicyAtHand],
    baseline: AuditDocument | Baseline | None,
    now: datetime,
) -> Verification:
    bound = bindings(folder, document, *at_hand)
    stands = standing(review, bound)
    void = {d.number: told for d in review.decisions if (told := differences(d.bound, bound, document))}
    if not stands:
        # What a changed policy asks now says more than its digest.
        more = [f"policy changed: {at_hand[1].problem}"] if at_hand[1].problem else []
        problems = (*void[review.decisions[-1].number], *more)
        return Verification("void", 1, f"void: {problems[0]}", review, void=void, problems=problems)
    problems = tuple(_problems(document, *at_hand, baseline, now))
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
    document: AuditDocument,
    files: SubjectFiles,
    rules: PolicyAtHand,
    baseline: AuditDocument | Baseline | None,
    now: datetime,
) -> list[str]:
    """Return what is wrong although every digest is as it was signed."""
    problems = [f"verdicts do not follow from the numbers: {told}" for told in rejudged(document, baseline).differing]
    with contextlib.suppress(ConfigError):  # a policy that cannot be read is among them already
        problems += expired_waivers(document, now.date())
    problems += [f"policy changed: {rules.problem}"] if rules.problem else []
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
    lost = {what: words for d in stands for what, words in unchecked(d.bound, bound).items()}
    # The policy itself stands in the document and is bound with it; nothing else tells of the subject's files.
    told = (lost.pop("policy file"),) if "policy file" in lost else ()
    problems += lost.values()
    if problems:
        words = f"incomplete: {problems[0]}"
        return Verification("incomplete", 3, words, review, stands, void, tuple(problems), told)
    conditions = any(d.decision == "conditions" for d in stands)
    state: State = "approved with conditions" if conditions else "approved"
    names = ", ".join(d.reviewer for d in stands)
    return Verification(state, 0, f"{state} by {names}; nothing changed since", review, stands, void, (), told)


def _too_few(plan: ReviewPlan, stands: Sequence[Decision]) -> list[str]:
    problems = []
    if len(stands) < plan.approvals:
        problems.append(f"{len(stands)} of {plan.approvals} approvals that the audit's plan asks for")
    by_author = [any(same_person(d.reviewer, author) for author in plan.authors) for d in stands]
    if all(by_author) and not plan.author_alone:
        problems.append(f"only authors have approved ({', '.join(d.reviewer for d in stands)})")
    return problems
