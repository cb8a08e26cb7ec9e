"""GA0: what holds for every number, whatever it measures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace

from ganaudit.linting.claim import Claim, Oddity, Sheet
from ganaudit.linting.metrics import METRICS
from ganaudit.linting.rule import Found, Rule, each

__all__ = ["RULES"]

_EXACT = ("flops", "macs", "step-flops", "parameters")
_DIGITS_OF_A_PROGRAM = 15
"""So many digits and more are a float written out by a program, not a claim of precision."""


def _not_finite(claim: Claim) -> str | None:
    if claim.value is not None and not math.isfinite(claim.value):
        return f"the value is {claim.text or claim.value}"
    spread = [end for end in (claim.std, claim.se, claim.low, claim.high) if end is not None and not math.isfinite(end)]
    return f"its spread is {spread[0]}" if spread else None


def _outside(claim: Claim) -> str | None:
    value, metric = claim.value, METRICS[claim.metric]
    if value is None or not math.isfinite(value):
        return None
    high = metric.high * (100 if claim.unit and ("%" in claim.unit or "cent" in claim.unit) else 1)
    # A Fréchet distance of equal sets comes out a rounding error below 0.
    slack = 1e-3 if metric.low == 0 and metric.biased else 0.0
    if metric.low - slack <= value <= high:
        return None
    hint = "; if it is in per cent, the unit is missing" if metric.high == 1 and 1 < value <= 100 else ""
    return f"{claim.text or value} is outside the range of a {metric.title}, {metric.low:g} to {high:g}{hint}"


def _no_n(claim: Claim) -> str | None:
    if claim.metric in _EXACT or claim.metric in ("latency", "throughput", "energy", "other") or claim.n is not None:
        return None
    return "no number of samples is stated"


def _no_spread(claim: Claim) -> str | None:
    if claim.metric in _EXACT or claim.half_width is not None:
        return None
    return "neither an interval nor a standard error is stated"


def _zero_width(claim: Claim) -> str | None:
    width = claim.half_width
    if width != 0 or claim.metric in _EXACT:
        return None
    what = "interval" if claim.low is not None else "spread"
    over = [f"{n} {name}" for n, name in _counted(claim)]
    return f"the {what} has width 0" + (f", over {', '.join(over)}" if over else "")


def _counted(claim: Claim) -> list[tuple[int, str]]:
    named = ((claim.repeats, "repetition"), (claim.splits, "split"), (claim.subsets, "subset"))
    return [(n, name if n == 1 else f"{name}s") for n, name in named if n is not None]


def _spread_of_one(claim: Claim) -> str | None:
    if claim.half_width and any(n == 1 for n, _ in _counted(claim)) and claim.covers is None:
        one = next(name for n, name in _counted(claim) if n == 1)
        return f"a spread of {claim.half_width:g} is stated over 1 {one}"
    return None


def _turned_round(claim: Claim) -> str | None:
    if claim.low is not None and claim.high is not None and claim.low > claim.high:
        return f"the interval goes from {claim.low:g} to {claim.high:g}"
    return f"the standard deviation is {claim.std:g}" if claim.std is not None and claim.std < 0 else None


def _outside_its_interval(claim: Claim) -> str | None:
    low, high, value = claim.low, claim.high, claim.value
    if low is None or high is None or value is None or low > high or low <= value <= high:
        return None
    return f"{claim.text or value} does not lie between {low:g} and {high:g}" if math.isfinite(value) else None


def _more_digits(claim: Claim) -> str | None:
    width = claim.half_width
    written = re.fullmatch(r"[-+]?(\d*)\.(\d+)", claim.text)
    if width is None or not 0 < width < math.inf or written is None:
        return None
    digits = len((written[1] + written[2]).lstrip("0"))
    carried = -math.floor(math.log10(width)) + 1  # decimals that show the width with two digits
    if digits >= _DIGITS_OF_A_PROGRAM or len(written[2]) <= max(carried, 0) + 1:
        return None
    return f"{claim.text} has {len(written[2])} decimals; ± {width:.2g} carries {max(carried, 0)}"


def _unsaid_spread(claim: Claim) -> str | None:
    if claim.std is None or claim.covers or claim.repeats or claim.metric in _EXACT:
        return None
    if claim.subsets is not None or claim.splits is not None:
        return None  # the rules of KID and IS say what that spread is over
    return f"± {claim.std:g} with no word on what it is over"


def _odd(kind: str, sheet: Sheet) -> Iterator[Found]:
    for oddity in sheet.oddities:
        if oddity.kind == kind:
            yield _found(oddity)


def _found(oddity: Oddity) -> Found:
    return Found(oddity.where, oddity.name, oddity.told)


def _said_twice(sheet: Sheet) -> Iterator[Found]:
    yield from _odd("said-twice", sheet)
    seen: dict[Claim, Claim] = {}
    for claim in sheet.foreign:
        key = _setting(claim)
        first = seen.setdefault(key, claim)
        if first is not claim and first.value != claim.value:
            yield Found(claim.where, claim.name, f"{claim.text or claim.value} here, {first.text} at {first.where}")


def _setting(claim: Claim) -> Claim:
    drawn = {"value": None, "text": "", "where": "", "std": None, "se": None, "low": None, "high": None}
    return replace(claim, name=claim.metric, **drawn)  # type: ignore[arg-type]


RULES = (
    Rule("GA001", "not-finite", "error",
         "NaN and infinity are no measurements. Every comparison with NaN is false, so NaN > limit passes a gate.",
         "Find out why it came about and state the number as missing, with the reason.",
         "IEEE 754; RFC 8259, which has no such tokens", each(_not_finite, own=True)),
    Rule("GA002", "outside-range", "error",
         "A value that the metric cannot take is a wrong unit, a wrong sign or another metric under this name.",
         "Check unit and formula; state shares as 0 to 1, or name the unit %.",
         "the definitions of the metrics", each(_outside, own=True)),
    Rule("GA003", "no-sample-size", "warning",
         "Most of these numbers move with the number of samples: a Fréchet distance by about 1/n, and none has a "
         "meaning without its spread at that n.",
         "State n_real and n_fake with every number.",
         "Chong and Forsyth 2020, arXiv:1911.07023; Binkowski et al. 2018, arXiv:1801.01401", each(_no_n)),
    Rule("GA004", "no-uncertainty", "note",
         "Without an interval nobody can tell a difference from chance.",
         "State an interval and what it covers: other samples, other seeds, other trainings.",
         "JCGM 100:2008 (GUM), 7.1.4", each(_no_spread)),
    Rule("GA005", "zero-width", "error",
         "A spread of exactly 0 is what the formula gives of one repetition, or of the same one repeated; it says "
         "nothing of how far the number would move.",
         "Repeat with other samples or other trainings, or state that there is no spread.",
         "a standard deviation needs two values", each(_zero_width)),
    Rule("GA006", "spread-of-one", "error",
         "One repetition has no spread, so the number beside it comes from somewhere else than it says.",
         "State what the spread is over, and of how many.",
         "a standard deviation needs two values", each(_spread_of_one)),
    Rule("GA007", "unknown-metric", "note",
         "What has no known name was not checked, which is not the same as being sound.",
         "Use the standard name; `ganaudit explain GA007` says where the list is.",
         "docs/reference/lint-rules.md has all names", lambda sheet: _odd("unknown-metric", sheet)),
    Rule("GA008", "said-twice", "error",
         "The same number under the same conditions has two values; readers take the one that suits.",
         "Name what differs, such as the seed, or keep one.",
         "RFC 8259, section 4, on names that are not unique", _said_twice),
    Rule("GA009", "unread-field", "warning",
         "What is stated in this cell could not be read, so no rule has seen it.",
         "Write numbers as numbers, ranges as two numbers, yes or no as these words.",
         "docs/reference/lint-rules.md has all fields", lambda sheet: _odd("unread-field", sheet)),
    Rule("GA010", "interval-turned-round", "error",
         "An interval with its ends exchanged, or a negative spread, meets every limit between them.",
         "Put the lower end first.",
         "the definition of an interval", each(_turned_round)),
    Rule("GA011", "outside-its-interval", "warning",
         "A bootstrap of a biased number, such as a Fréchet distance, lies to one side of it: such an interval covers "
         "neither the number nor its expectation.",
         "Use an interval for a number whose bias is removed, or say what the interval is of.",
         "Efron and Tibshirani 1993, chapter 10", each(_outside_its_interval)),
    Rule("GA012", "more-digits-than-known", "note",
         "Digits that lie far below the spread are chance, and suggest a precision that is not there.",
         "Write the spread with two digits and the value with as many decimals.",
         "JCGM 100:2008 (GUM), 7.2.6", each(_more_digits)),
    Rule("GA013", "spread-of-what", "note",
         "A bare ± may be the spread of samples, seeds, trainings or subsets, which differ by orders of magnitude.",
         "State what it is over (covers) and of how many (repeats).",
         "EleutherAI/lm-evaluation-harness issue 4019 asks for the same", each(_unsaid_spread)),
)  # fmt: skip
