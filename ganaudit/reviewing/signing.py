"""Comments and signatures: what a reviewer says, checked and appended to the review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import ganaudit
from ganaudit.document.baselines import Baseline
from ganaudit.document.errors import ConfigError, nearest
from ganaudit.document.model import AuditDocument
from ganaudit.document.names import unseen_in
from ganaudit.reviewing.binding import bindings, document_digest, recorded
from ganaudit.reviewing.checklist import ACKNOWLEDGED, Case, checklist, review_plan
from ganaudit.reviewing.folder import append, load_audit, load_review
from ganaudit.reviewing.policy_at_hand import policy_at_hand
from ganaudit.reviewing.record import Comment, Decision, Review, Row, linked
from ganaudit.reviewing.subject_files import subject_files

__all__ = ["DECISIONS", "MOST_TEXT", "NotSignedError", "Signature", "StaleError", "case_of", "comment", "sign"]

DECISIONS = ("approve", "conditions", "reject")
MOST_TEXT = 20_000
_MOST_NAME = 200


class NotSignedError(Exception):
    """Rows of the checklist are unmet, so the audit is not approved; nothing was written."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = tuple(rows)
        """The unmet ones."""
        super().__init__("; ".join(f"{row.question} {row.found}" for row in rows))


class StaleError(Exception):
    """What the reviewer saw is no longer what lies there; nothing was written."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a reviewer asks to be written down."""

    reviewer: str
    decision: Literal["approve", "conditions", "reject"]
    comment: str
    role: str = ""
    acknowledged: tuple[str, ...] = ()


def case_of(
    folder: Path,
    review: Review,
    subject: Path | None = None,
    baseline: AuditDocument | Baseline | None = None,
    now: datetime | None = None,
    policy: Path | None = None,
) -> Case:
    """Return the audit in ``folder`` as it lies there, for a checklist before anybody signs."""
    document, changed = load_audit(folder)
    files, rules = subject_files(document, subject), policy_at_hand(document, folder, policy)
    return Case(
        folder=folder,
        document=document,
        changed=changed,
        review=review,
        bound=bindings(folder, document, files, rules),
        subject=files,
        policy=rules,
        today=(now or datetime.now(UTC)).date(),
        baseline=baseline,
        plan=review_plan(document),
    )


def comment(
    folder: Path,
    *,
    reviewer: str,
    text: str,
    gate: str = "",
    role: str = "",
    now: datetime | None = None,
) -> Comment:
    """Append a remark on the audit, or on one gate of it, and return it.

    Raises ConfigError when name or text are empty or too long, when the name holds what nobody sees, or when no gate
    has this name.
    """
    document, _ = load_audit(folder)
    problems = _problems(reviewer, role) + _text_problems(text, "a comment needs its text")
    names = {v.gate for v in document.verdicts} | {v.name for v in document.verdicts}
    if gate and gate not in names:
        problems.append(f"--gate {gate!r}: the audit has no verdict on it; {nearest(gate, names)}")
    if problems:
        raise ConfigError(problems)
    content = _said(reviewer, role, text, now) | {"gate": gate}

    def made(review: Review) -> Comment | Decision:
        return linked(review, Comment, content | {"document": document_digest(folder)})

    entry = append(folder, made)
    assert isinstance(entry, Comment)
    return entry


def sign(
    folder: Path,
    asked: Signature,
    *,
    subject: Path | None = None,
    policy: Path | None = None,
    baseline: AuditDocument | Baseline | None = None,
    seen: tuple[str | None, str] | None = None,
    now: datetime | None = None,
) -> Decision:
    """Append a decision, bound to the digests of everything as it lies there, and return it.

    ``seen`` holds the head of the review and the digest of document.json that the reviewer was shown, where they were.
    Raises NotSignedError with the unmet rows where the checklist does not allow an approval (a rejection is always
    allowed), StaleError where something was changed since it was shown, ConfigError when something asked is no use.
    """
    problems = _sign_problems(asked)
    if problems:
        raise ConfigError(problems)

    def made(review: Review) -> Comment | Decision:
        if seen is not None and seen != (review.head, document_digest(folder)):
            raise StaleError(
                "the audit or its review was changed since you were shown it: read what is new, sign again"
            )
        case = replace(
            case_of(folder, review, subject, baseline, now, policy),
            reviewer=asked.reviewer,
            acknowledged=asked.acknowledged,
        )
        rows = checklist(case)
        unmet = [row for row in rows if row.state == "unmet"]
        if unmet and asked.decision != "reject":
            raise NotSignedError(unmet)
        content = _said(asked.reviewer, asked.role, asked.comment, now) | {
            "decision": asked.decision,
            "bound": recorded(case.bound),
            "checklist": rows,
            "acknowledged": list(asked.acknowledged),
            "ganaudit": ganaudit.__version__,
        }
        return linked(review, Decision, content)

    load_review(folder)  # a review that was changed is told before any work
    entry = append(folder, made)
    assert isinstance(entry, Decision)
    return entry


def _said(reviewer: str, role: str, text: str, now: datetime | None) -> dict[str, object]:
    time = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
    return {"reviewer": reviewer.strip(), "role": role.strip(), "text": text.strip(), "time": time}


def _problems(reviewer: str, role: str) -> list[str]:
    problems = []
    if not reviewer.strip():
        problems.append("--reviewer: a name is needed; found only blanks")
    problems += [
        f"--{what}: at most {_MOST_NAME} characters are allowed; found {len(value)}"
        for what, value in (("reviewer", reviewer), ("role", role))
        if len(value) > _MOST_NAME
    ]
    # Blanks and ends of lines around a name are taken off anyway.
    problems += [
        f"--{what} {value!r}: {unseen}"
        for what, value in (("reviewer", reviewer), ("role", role))
        if (unseen := unseen_in(value.strip()))
    ]
    return problems


def _text_problems(text: str, needed: str | None) -> list[str]:
    if len(text) > MOST_TEXT:
        return [f"--comment: at most {MOST_TEXT} characters are allowed; found {len(text)}"]
    return [f"--comment: {needed}; found only blanks"] if needed and not text.strip() else []


def _sign_problems(asked: Signature) -> list[str]:
    problems = _problems(asked.reviewer, asked.role)
    if asked.decision not in DECISIONS:
        problems.append(f"--decision {asked.decision!r}: no such decision; {nearest(asked.decision, DECISIONS)}")
    needed = {"conditions": "list the conditions", "reject": "say why it is rejected"}.get(asked.decision)
    problems += _text_problems(asked.comment, needed)
    problems += [
        f"--acknowledge {name!r}: cannot be acknowledged; {nearest(name, ACKNOWLEDGED)}"
        for name in asked.acknowledged
        if name not in ACKNOWLEDGED
    ]
    return problems
