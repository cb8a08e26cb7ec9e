"""Failures that somebody accepted: which waiver holds, what is wrong with one that does not, and which are idle."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ganaudit.document.gates import Policy, Verdict, Waiver

__all__ = ["idle_waivers", "waived"]


def waived(verdict: Verdict, waivers: Sequence[Waiver], subject: str, today: date) -> Verdict:
    """Return the verdict waived by the first waiver that holds, else failed with what is wrong with each."""
    problems = [waiver_problem(waiver, verdict, subject, today) for waiver in waivers]
    if None not in problems:
        told = "; ".join(dict.fromkeys(p for p in problems if p))
        return verdict.model_copy(update={"message": f"{verdict.message}; {told}"})
    waiver = waivers[problems.index(None)]
    message = f"{verdict.message}; waived by {waiver.owner} until {waiver.expires.isoformat()}: {waiver.reason}"
    return verdict.model_copy(update={"outcome": "waived", "message": message, "waiver": waiver})


def waiver_problem(waiver: Waiver, verdict: Verdict, subject: str, today: date) -> str | None:
    """Return why a waiver does not cover a failed verdict on the subject of that digest, or None where it does."""
    assert verdict.value is not None
    lower_is_better = verdict.direction == "lower"
    if waiver.slice is not None and waiver.slice != verdict.slice:
        return f"its waiver is for the slice {waiver.slice}"
    if waiver.subject != subject:
        return "its waiver is for another subject"
    if today > waiver.expires:
        return f"its waiver expired on {waiver.expires.isoformat()}"
    if verdict.value > waiver.ceiling if lower_is_better else verdict.value < waiver.ceiling:
        return f"its waiver covers values {'up' if lower_is_better else 'down'} to {waiver.ceiling:g}"
    return None


def _why_idle(waiver: Waiver, verdicts: Sequence[Verdict], subject: str, today: date) -> str:
    judged = [v for v in verdicts if v.gate == waiver.gate and waiver.slice in (None, v.slice)]
    failed = [p for v in judged if v.outcome == "failed" and (p := waiver_problem(waiver, v, subject, today))]
    if failed:
        return f"its gate failed, and {failed[0]}"
    outcomes = ", ".join(dict.fromkeys(v.outcome for v in judged)) or "not judged"
    return f"its gate is {outcomes}; take it out of the policy"


def idle_waivers(policy: Policy, verdicts: Sequence[Verdict], subject: str, today: date) -> list[str]:
    """Return a sentence on every waiver that covered nothing: what nobody needs is taken out, not left for later."""
    used = [verdict.waiver for verdict in verdicts if verdict.waiver is not None]
    told = []
    for waiver in policy.waiver:
        if waiver in used:
            continue
        where = f"{waiver.gate}[{waiver.slice}]" if waiver.slice else waiver.gate
        named = f"the waiver of {waiver.owner} for gate {where!r} covered nothing"
        if waiver.subject != subject:
            told.append(f"{named}: it is granted to {waiver.subject}, this subject is {subject}")
        elif today > waiver.expires:
            told.append(f"{named}: it expired on {waiver.expires.isoformat()}")
        else:
            told.append(f"{named}: {_why_idle(waiver, verdicts, subject, today)}")
    return told
