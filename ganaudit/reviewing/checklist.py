"""What must hold before an audit can be approved, a row for each; ``sign`` and the reviewer's page show the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from ganaudit.config import PROFILES, ReviewPlan
from ganaudit.document.baselines import Baseline
from ganaudit.document.digests import bytes_digest
from ganaudit.document.errors import ConfigError, DocumentError, GanauditError
from ganaudit.document.files import dumps
from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument
from ganaudit.document.names import same_person
from ganaudit.report.html import render_html
from ganaudit.report.sheets import pictures, read_samples
from ganaudit.report.summary import broken
from ganaudit.reviewing.binding import NONE, differences, digest_of
from ganaudit.reviewing.policy_at_hand import PolicyAtHand
from ganaudit.reviewing.record import Bound, Decision, Review, Row
from ganaudit.reviewing.rejudging import expired_waivers, policy_of, rejudged
from ganaudit.reviewing.subject_files import SubjectFiles

__all__ = ["ACKNOWLEDGED", "Case", "answers", "checklist", "open_gates", "review_plan", "standing"]

ACKNOWLEDGED = ("environment",)
"""Rows that a reviewer may accept as they are, knowingly."""
_PAGE_NAMES = re.compile(rb'<meta name="ganaudit-document-sha256" content="([0-9a-f]{64})">')
_TOLD = 5
_KEPT = 4
_PAGES: dict[tuple[str, str, str], str] = {}


@dataclass(frozen=True, slots=True)
class Case:
    """An audit as it lies there, and who is about to sign it."""

    folder: Path
    document: AuditDocument
    changed: str | None
    """How the document was changed since the audit wrote it, in words."""
    review: Review
    bound: Sequence[Bound]
    subject: SubjectFiles
    policy: PolicyAtHand
    today: date
    reviewer: str | None = None
    """None while nobody signs: the row on authors then only tells."""
    acknowledged: Sequence[str] = ()
    baseline: AuditDocument | Baseline | None = None
    plan: ReviewPlan = field(default_factory=ReviewPlan)


def checklist(case: Case) -> list[Row]:
    """Return every row with its state; an approval needs that none is unmet."""
    rows: list[Callable[[Case], Row]] = [
        _document, _complete, _smoke, _waivers, _policy, _verdicts, _gates, _report, _samples, _subject, _environment,
        _authors,
    ]  # fmt: skip
    return [row(case) for row in rows]


def review_plan(document: AuditDocument) -> ReviewPlan:
    """Return who is to sign, as the audit's plan says; raises DocumentError where that is not readable."""
    try:
        return ReviewPlan.model_validate(document.plan.get("review") or {})
    except ValidationError as error:
        raise DocumentError(f"the plan in document.json: review: cannot be read: {error.errors()[0]['msg']}") from None


def open_gates(document: AuditDocument) -> list[Verdict]:
    """Return the verdicts that a reviewer must answer: failed, missing or inconclusive, whatever their level."""
    return [v for v in document.verdicts if v.outcome in ("failed", "missing", "inconclusive")]


def answers(review: Review, verdict: Verdict, document: str) -> list[str]:
    """Return the texts of all comments on one gate that were made on the document of that digest."""
    names = (verdict.gate, verdict.name)
    return [c.text for c in review.comments if c.gate in names and c.document == document]


def standing(review: Review, bound: Sequence[Bound]) -> list[Decision]:
    """Return the decisions that are bound to what lies there now, the latest one of each reviewer."""
    latest: list[Decision] = []
    for decision in review.decisions:
        if not differences(decision.bound, bound, None):
            latest = [one for one in latest if not same_person(one.reviewer, decision.reviewer)] + [decision]
    return latest


def _row(id: str, question: str, problems: Sequence[str], fine: str, todo: str) -> Row:
    if not problems:
        return Row(id=id, question=question, state="met", found=fine)
    more = f"; and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
    return Row(id=id, question=question, state="unmet", found="; ".join(problems[:_TOLD]) + more, todo=todo)


def _document(case: Case) -> Row:
    problems = [case.changed] if case.changed else []
    words = "its content has the digest that the audit gave it"
    row = _row("document", "Is the document as the audit wrote it?", problems, words, "restore it, or audit again")
    if row.state == "met" and case.document.integrity is None:
        told = "an early version of ganaudit wrote it, without a digest of itself: this cannot be told"
        return row.model_copy(update={"state": "told", "found": told})
    return row


def _complete(case: Case) -> Row:
    document = case.document
    problems = [f"{r.evaluator} {r.status.replace('_', ' ')}: {r.reason}" for r in broken(document)]
    if not any(r.status == "measured" for r in document.results):
        problems.append("nothing was measured")
    problems += [f"gate {v.name!r} is {v.outcome}" for v in document.verdicts if v.blocking and v.outcome != "failed"]
    if document.policy is not None and not document.verdicts:
        problems.append("the policy has no gate")
    if document.verdicts and all(v.outcome == "missing" for v in document.verdicts):
        problems.append("no gate met a number")
    words = "every evaluator asked for has answered and every blocking gate could be decided"
    row = _row("complete", "Is the audit complete?", problems, words, "audit again until nothing is missing")
    if row.state == "met" and document.policy is None:
        return row.model_copy(update={"state": "told", "found": "no policy was given: nothing was judged"})
    return row


def _smoke(case: Case) -> Row:
    # What a smoke run is: the profile quick, fewer samples than it would draw, or a gated number below its min_n.
    document, plan = case.document, case.document.plan
    problems = ["the profile was quick"] if plan.get("profile") == "quick" else []
    samples, split = plan.get("samples"), document.reference.splits.get(document.reference.against)
    reals = split.n if split is not None else PROFILES["quick"]
    fewest = min(PROFILES["quick"], reals)
    if document.subject.has_generator and isinstance(samples, int) and samples < fewest:
        problems.append(f"{samples} samples were generated; even the profile quick draws {fewest} here")
    try:
        policy = policy_of(document)
        least = {g.id: g.min_n for g in policy.gate} if policy is not None else {}
    except ConfigError:
        least = {}  # told by the row on verdicts
    small = [v for v in document.verdicts if v.n is not None and v.n < least.get(v.gate, 0)]
    problems += [f"gate {v.name!r} rests on n = {v.n}, its min_n is {least[v.gate]}" for v in small]
    words = "it drew no fewer samples than a quick audit, and no gated number rests on fewer than its gate asks for"
    return _row("smoke", "Is it more than a smoke run?", problems, words, "audit again with more samples")


def _waivers(case: Case) -> Row:
    try:
        problems = expired_waivers(case.document, case.today)
    except ConfigError as error:
        problems = [str(error)]
    todo = "renew the waiver or take it out, then audit again"
    return _row("waivers", "Does no expired waiver cover it?", problems, "no waiver for this subject has expired", todo)


def _policy(case: Case) -> Row:
    policy, question = case.policy, "Is the policy file at hand the one that judged?"
    problems = [policy.problem] if policy.problem else []
    todo = "restore it, name the right one with --policy FILE, or audit again by it as it is now"
    row = _row("policy", question, problems, policy.words, todo)
    return row if row.state == "unmet" or policy.name else row.model_copy(update={"state": "told"})


def _verdicts(case: Case) -> Row:
    again = rejudged(case.document, case.baseline)
    words = "judging its numbers again by its policy gives the same verdicts"
    words = words if case.document.verdicts else "there are none"
    todo = "the document was edited, or judged by another version of ganaudit: audit again"
    row = _row("verdicts", "Do the verdicts follow from the numbers?", again.differing, words, todo)
    if row.state == "met" and again.unjudged:
        told = f"not judged again without what they compare with: {', '.join(again.unjudged)} (--baseline FILE)"
        return row.model_copy(update={"state": "told", "found": told})
    return row


def _gates(case: Case) -> Row:
    document = digest_of(case.bound, "document")
    silent = [v for v in open_gates(case.document) if not answers(case.review, v, document)]
    problems = [f"gate {v.name!r} is {v.outcome} and nobody has answered it" for v in silent]
    count = len(open_gates(case.document))
    words = f"{count} failed, missing or inconclusive, each with an answer" if count else "none failed or is undecided"
    todo = f"say why it is acceptable: ganaudit review comment DIR --gate {silent[0].name if silent else 'ID'} ..."
    return _row("gates", "Is every gate that did not pass answered?", problems, words, todo)


def _report(case: Case) -> Row:
    question = "Does report.html show this document?"
    try:
        page = (case.folder / "report.html").read_bytes()
    except OSError:
        return _row("report", question, ["there is no report.html that can be read"], "", "ganaudit report DIR")
    named = _PAGE_NAMES.search(page)
    mine = (digest_of(case.bound, "document"), bytes_digest(dumps(case.document).encode("utf-8", "surrogatepass")))
    problems = []
    if named is None:
        problems.append("the page does not say which document it shows")
    elif f"sha256:{named[1].decode()}" not in mine:
        problems.append("the page shows another document")
    else:
        if _rendered(case) != bytes_digest(page):
            problems.append("the page is not, byte for byte, what this version of ganaudit renders from the document")
    words = "it is, byte for byte, what ganaudit renders from document.json and samples/"
    return _row("report", question, problems, words, "render it again and read it: ganaudit report DIR")


def _rendered(case: Case) -> str:
    """Return the digest of the page of the document; charts take seconds, so the last pages are remembered."""
    key = (str(case.folder), digest_of(case.bound, "document"), digest_of(case.bound, "samples"))
    if key not in _PAGES:
        try:
            page = render_html(case.document, read_samples(case.document, case.folder))
        except GanauditError:
            return NONE
        while len(_PAGES) >= _KEPT:
            _PAGES.pop(next(iter(_PAGES)), None)
        _PAGES[key] = bytes_digest(page.encode())
    return _PAGES[key]


def _samples(case: Case) -> Row:
    named = {picture.file: picture.sha256.removeprefix("sha256:") for picture in pictures(case.document)}
    lying = next((one.files for one in case.bound if one.what == "samples"), {})
    problems = []
    for name, digest in sorted(named.items()):
        found = lying.get(name.removeprefix("samples/"))
        if found != f"sha256:{digest}":
            problems.append(f"{name} {'is not there' if found is None else 'was changed'}")
    words = f"all {len(named)} pictures that the document names are as they were written"
    return _row("samples", "Are the samples those of the audit?", problems, words, "restore them, or audit again")


def _subject(case: Case) -> Row:
    # Where it lies is not told: the row is kept in review.json, which others read, and paths hold names of users.
    subject, question = case.subject, "Is the subject at hand the audited one?"
    problems = [subject.problem] if subject.problem else []
    row = _row("subject", question, problems, f"held against the audit: {subject.words}", "audit it as it is now")
    if row.state == "unmet" or (subject.where is not None and subject.is_known):
        return row
    told = f"{subject.words}; whether they are the audited ones cannot be told without loading them"
    if subject.where is None:
        told = f"{subject.words}: only the digest in the document is bound; --subject PATH says where its files lie"
    return row.model_copy(update={"state": "told", "found": told})


def _environment(case: Case) -> Row:
    test, question = case.document.environment.selftest, "Was the machine sound?"
    if test is None:
        told = "no self-test was run on the machine of the audit"
        return Row(id="environment", question=question, state="told", found=told)
    if test.passed:
        found = f"{test.checks} known answers came out right"
        return Row(id="environment", question=question, state="met", found=found)
    found = f"the last self-test before the audit failed ({test.when})"
    if "environment" in case.acknowledged:
        return Row(id="environment", question=question, state="told", found=f"{found}; acknowledged")
    todo = "run ganaudit selftest and audit again, or accept it with --acknowledge environment"
    return Row(id="environment", question=question, state="unmet", found=found, todo=todo)


def _authors(case: Case) -> Row:
    question, plan = "Does somebody else than the authors approve?", case.plan
    named = ", ".join(plan.authors)
    if not plan.authors:
        told = "the audit names no author, so this cannot be told ([review] authors in audit.toml)"
        return Row(id="authors", question=question, state="told", found=told)
    if plan.author_alone:
        told = f"authors ({named}) may approve alone, by the plan of the audit"
        return Row(id="authors", question=question, state="told", found=told)
    if case.reviewer is None:
        return Row(id="authors", question=question, state="told", found=f"authors ({named}) cannot approve alone")
    if not _is_author(plan, case.reviewer):
        return Row(id="authors", question=question, state="met", found=f"{case.reviewer} is none of them ({named})")
    approvals = [d for d in standing(case.review, case.bound) if d.decision != "reject"]
    others = [d for d in approvals if not _is_author(plan, d.reviewer)]
    if others:
        return Row(id="authors", question=question, state="met", found=f"{others[0].reviewer} has approved it as well")
    found, todo = f"{case.reviewer} is an author", "let somebody else approve first"
    return Row(id="authors", question=question, state="unmet", found=found, todo=todo)


def _is_author(plan: ReviewPlan, name: str) -> bool:
    return any(same_person(author, name) for author in plan.authors)
