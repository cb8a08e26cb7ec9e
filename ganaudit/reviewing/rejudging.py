"""Judges a document again from its numbers by the policy that it carries, and holds the answer against its verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ganaudit.document.baselines import Baseline
from ganaudit.document.errors import ConfigError
from ganaudit.document.gates import Policy, Verdict
from ganaudit.document.judge import judge
from ganaudit.document.model import AuditDocument
from ganaudit.document.policy import parse_policy

__all__ = ["Rejudged", "expired_waivers", "policy_of", "rejudged"]

_COMPARED = ("gate", "slice", "measure", "level", "outcome", "blocking", "value", "low", "high", "limit", "n")


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What judging again came to."""

    differing: list[str]
    """A sentence on every verdict that is not the one in the document."""
    unjudged: list[str]
    """The gates that cannot be judged again without the audits they compare with."""


def policy_of(document: AuditDocument) -> Policy | None:
    """Return the policy that the document carries; raises ConfigError where it is none that can be read."""
    return None if document.policy is None else parse_policy(document.policy, "the policy in document.json")


def rejudged(document: AuditDocument, baseline: AuditDocument | Baseline | None = None) -> Rejudged:
    """Return in which verdicts the document differs from what its own numbers and policy come to.

    Waivers are judged as of the day of the audit; ``expired_waivers`` tells which have run out since.
    """
    try:
        policy = policy_of(document)
        if policy is None:
            found = ["the document has verdicts and no policy they could come from"] if document.verdicts else []
            return Rejudged(found, [])
        tries = [_differing(document, policy, baseline, day) for day in _days(document)]
    except ConfigError as error:
        return Rejudged([f"the document cannot be judged again: {error}"], [])
    return min(tries, key=lambda found: len(found.differing))


def expired_waivers(document: AuditDocument, today: date) -> list[str]:
    """Return a sentence on every waiver for this subject that has expired by ``today``."""
    policy = policy_of(document)
    return [
        f"the waiver of {waiver.owner} for gate {waiver.gate!r} expired on {waiver.expires.isoformat()}"
        for waiver in (policy.waiver if policy is not None else [])
        if waiver.subject == document.subject.digest and today > waiver.expires
    ]


def _days(document: AuditDocument) -> list[date]:
    """Return the days on which the audit may have been judged: that of its start, that of its end."""
    try:
        started = datetime.fromisoformat(document.started).astimezone(UTC)
        ended = started + timedelta(seconds=document.seconds)
    except (ValueError, OverflowError):
        return [datetime.now(UTC).date()]
    return list(dict.fromkeys((started.date(), ended.date())))


def _differing(
    document: AuditDocument, policy: Policy, baseline: AuditDocument | Baseline | None, day: date
) -> Rejudged:
    judged = {v.name: v for v in judge(document, policy, baseline, day).verdicts}
    stored = {v.name: v for v in document.verdicts}
    compares = {g.id for g in policy.gate if (g.baseline and baseline is None) or g.replicates > 1}
    differing, unjudged = [], []
    for name in dict.fromkeys((*judged, *stored)):
        ours, theirs = judged.get(name), stored.get(name)
        if _core(ours) == _core(theirs):
            continue
        if any(one is not None and one.gate in compares for one in (ours, theirs)):
            unjudged.append(name)
        else:
            differing.append(f"gate {name!r} comes to {_word(ours)}, the document says {_word(theirs)}")
    return Rejudged(differing, unjudged)


def _core(verdict: Verdict | None) -> dict[str, object] | None:
    return None if verdict is None else {name: getattr(verdict, name) for name in _COMPARED}


def _word(verdict: Verdict | None) -> str:
    if verdict is None:
        return "no verdict"
    numbers = ", ".join(f"{k} {getattr(verdict, k)!r}" for k in ("value", "low", "high", "limit", "n"))
    return f"{verdict.outcome} ({'blocking' if verdict.blocking else 'not blocking'}; {numbers})"
