"""GA9: audit documents, policies and plans of ganaudit."""

from __future__ import annotations

from collections.abc import Iterator

from ganaudit.document.confidence import at_confidence
from ganaudit.document.judge import targets
from ganaudit.document.noise import lint_policy
from ganaudit.linting.claim import Claim, Sheet
from ganaudit.linting.rule import Found, Rule

__all__ = ["RULES"]

_FEW = 100
_SIDES_OF_SHARES = ("share of samples", "probability")


def _warnings(sheet: Sheet) -> Iterator[Found]:
    for where, text in sheet.audited.warnings if sheet.audited else ():
        yield Found(where, "", text)


def _unanswered(sheet: Sheet) -> Iterator[Found]:
    for evaluator, status, reason in sheet.audited.unanswered if sheet.audited else ():
        asked = "failed" if status == "failed" else f"was asked for and is {status.replace('_', ' ')}"
        yield Found(evaluator, "", f"it {asked}: {reason}")


def _few_samples(sheet: Sheet) -> Iterator[Found]:
    for claim in sheet.claims:
        n = claim.n
        if claim.own and claim.unit in _SIDES_OF_SHARES and n is not None and 0 < n < _FEW:
            spread = f", ± {claim.half_width:.2g}" if claim.half_width is not None else ""
            yield Found(claim.where, claim.name, f"{n} samples{spread}")


def _newer(sheet: Sheet) -> Iterator[Found]:
    if sheet.audited and sheet.audited.newer:
        yield Found("schema", "", f"its schema is {sheet.audited.newer!r}; {len(sheet.claims)} numbers could be read")


def _smoke(sheet: Sheet) -> Iterator[Found]:
    if sheet.audited and sheet.audited.profile == "quick":
        yield Found("plan", "", "the audit ran with the profile quick")
    if sheet.plan is not None and sheet.plan.profile == "quick":
        yield Found("profile", "", "the plan asks for the profile quick")


def _selftest(sheet: Sheet) -> Iterator[Found]:
    if sheet.audited and sheet.audited.selftest_passed is False:
        yield Found("environment", "", "the last self-test on the machine failed")


def _gated(sheet: Sheet) -> Iterator[tuple[str, Claim]]:
    known = {claim.name: claim for claim in sheet.claims}
    for gate in sheet.gates:
        measures = [measure for _, measure in targets(gate, sheet.document)] if sheet.document else [gate.measure]
        for measure in measures:
            if measure in known:
                yield gate.id, known[measure]


def _below_the_floor(sheet: Sheet) -> Iterator[Found]:
    if sheet.document is None or sheet.policy is None:
        return
    for remark in lint_policy(sheet.policy, sheet.document):
        if remark.level == "error" and not remark.undecidable:
            yield Found(f"gate {remark.gate}", "", remark.message)


def _undecidable(sheet: Sheet) -> Iterator[Found]:
    document = sheet.document
    if document is None:
        return
    asked = [(gate, measure) for gate in sheet.gates for _, measure in targets(gate, document)]
    for gate, measure in asked:
        found = document.measurement(measure)
        # Of a number without any interval another rule tells.
        lacks = "" if found is None or found.interval is None else at_confidence(found, gate.confidence)[1]
        if lacks:
            told = f"the gate asks for confidence {gate.confidence:.12g}, and the number {lacks}"
            yield Found(f"gate {gate.id}", measure, told)


def _volatile(sheet: Sheet) -> Iterator[Found]:
    for gate, claim in _gated(sheet):
        if claim.volatile:
            yield Found(f"gate {gate}", claim.name, "it is measured anew in each run and depends on the machine's load")


def _no_null(sheet: Sheet) -> Iterator[Found]:
    for gate, claim in _gated(sheet):
        if claim.null is None:
            yield Found(f"gate {gate}", claim.name, "it has no null: the same number of reals is not known")


def _no_interval(sheet: Sheet) -> Iterator[Found]:
    for gate, claim in _gated(sheet):
        if claim.half_width is None:
            yield Found(f"gate {gate}", claim.name, "it has no interval, so the gate judges the value alone")


def _no_confidence(sheet: Sheet) -> Iterator[Found]:
    for gate in sheet.gates if not sheet.claims else ():
        if gate.confidence is None:
            yield Found(f"gate {gate.id}", gate.measure, "the gate asks for no confidence")


def _no_least_n(sheet: Sheet) -> Iterator[Found]:
    for gate in sheet.gates:
        if not gate.min_n:
            yield Found(f"gate {gate.id}", gate.measure, "the gate asks for no min_n")


def _toothless(sheet: Sheet) -> Iterator[Found]:
    policy = sheet.policy
    if policy is None:
        return
    if policy.fail_on == "never":
        yield Found("fail_on", "", 'fail_on = "never": no gate can fail the build')
    if policy.on_inconclusive == "pass":
        yield Found("on_inconclusive", "", 'on_inconclusive = "pass": too few samples pass every gate')


def _no_gates(sheet: Sheet) -> Iterator[Found]:
    if sheet.policy is not None and not sheet.policy.gate and sheet.kind == "policy":
        yield Found("gate", "", "the policy has no gate")


RULES = (
    Rule("GA901", "warned-of", "warning",
         "The audit itself says what weakens its numbers; a reader of the numbers alone does not see it.",
         "Answer each warning: repair its cause, or quote it beside the number.",
         "docs/explanation/numbers.md", _warnings),
    Rule("GA902", "not-answered", "warning",
         "What did not run is not what passed.",
         "Repair it or take it out of the plan, with the reason.",
         "docs/explanation/numbers.md", _unanswered),
    Rule("GA903", "few-samples-in-audit", "note",
         "Below 100 samples a share is known to a tenth at best.",
         "Use more samples, or quote the interval.",
         "a binomial share of 0.5 at n = 100 has a 95 % interval of ± 0.1", _few_samples),
    Rule("GA904", "newer-document", "warning",
         "It was written by a newer ganaudit; what this version does not know was passed over.",
         "Lint it with that version.",
         "docs/reference/document.md", _newer),
    Rule("GA905", "quick-audit", "warning",
         "The profile quick is there to try things out: few samples and weak attacks.",
         "Decide by the profile standard or full.",
         "docs/reference/audit-toml.md", _smoke),
    Rule("GA906", "self-test-failed", "error",
         "On that machine ganaudit did not get the known answers, so its numbers there are not to be trusted.",
         "Run `ganaudit selftest`, repair what it names and audit again.",
         "docs/reference/cli.md", _selftest),
    Rule("GA911", "gate-on-load", "warning",
         "Equal audits differ in such a number, so the gate judges the machine.",
         "Gate operations, parameters or bytes, or give the limit room for the slowest machine.",
         "docs/reference/document.md, on volatile", _volatile),
    Rule("GA912", "gate-without-null", "note",
         "Without the number of real against real, nobody knows whether the limit asks more than real data gives.",
         "Gate a number with a null, or give the reason for the limit in a comment.",
         "docs/how-to/gate-in-ci.md", _no_null),
    Rule("GA913", "gate-without-interval", "warning",
         "A value on the good side by chance passes; one on the bad side by chance fails.",
         "Gate the number whose bias is removed and that has an interval, and ask for a confidence.",
         "docs/how-to/gate-in-ci.md", _no_interval),
    Rule("GA914", "gate-without-confidence", "note",
         "Without one, a number that has no interval is judged by its value.",
         "Set confidence = 0.95.",
         "docs/how-to/gate-in-ci.md", _no_confidence),
    Rule("GA915", "gate-without-least-n", "note",
         "Without one, the gate judges any number of samples, down to two.",
         "Set min_n to what the decision needs.",
         "docs/how-to/gate-in-ci.md", _no_least_n),
    Rule("GA916", "policy-cannot-fail", "warning",
         "The gates are judged and nothing follows from it.",
         "Leave it out, or give single gates the level warn or info.",
         "docs/reference/policy.md", _toothless),
    Rule("GA917", "policy-without-gates", "error",
         "Nothing is judged, so nothing can pass: `ganaudit gate` ends with code 3.",
         "Add a [[gate]].",
         "docs/reference/policy.md", _no_gates),
    Rule("GA918", "limit-below-noise-floor", "error",
         "Real against real does not pass such a limit at this n, so it judges the number of samples.",
         "Ask for less or audit more samples; `ganaudit policy lint` says what can be asked for, also of baselines.",
         "docs/how-to/limits-and-baselines.md", _below_the_floor),
    Rule("GA919", "gate-never-decides", "error",
         "The gate asks for a confidence that the interval of its number cannot be made at, so it is never decided.",
         "Ask for at most the confidence that is named, or gate a number whose interval can be made wider.",
         "docs/explanation/intervals-and-nulls.md", _undecidable),
)  # fmt: skip
