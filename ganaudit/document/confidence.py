"""An interval at a higher confidence than it was made at, where the document holds enough of it.

The document keeps two ends and the method. Where the method has one free quantity left, as a standard error or a number
of trials, the ends give it back, and with it the ends at another confidence. What rests on resamples, on order
statistics or on several statements at once cannot be made anew from two ends, and is not guessed at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from ganaudit.document.error_parts import ErrorParts
from ganaudit.document.model import Interval, Measurement

__all__ = ["MOST", "at_confidence", "quantile", "student"]

MOST = 0.999
"""The highest confidence at which an approximate law is believed: farther out no simulation or theory at hand has
tried its tails. Exact intervals have no such bound."""
_TOLERANCE = 1e-6

_Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A number with its interval, and the confidence it is wanted at."""

    found: Measurement
    interval: Interval
    level: float
    freedom: float
    """Degrees of freedom of the quantile; infinite for a normal law."""

    @property
    def value(self) -> float:
        assert self.found.value is not None
        return self.found.value

    @property
    def ratio(self) -> float:
        """By how much the quantile grows."""
        return quantile(self.level, self.freedom) / quantile(self.interval.level, self.freedom)


def at_confidence(found: Measurement, asked: float | None) -> tuple[Measurement, str]:
    """Return a number with an interval of at least the confidence asked for, and nothing; else as it is, and why not.

    An interval that is sure enough is left alone. Others are made anew:

    - normal, also of the logarithm or the logit (DeLong), and Student's: both reaches grow with the quantile, the
      degrees of freedom being those that the method tells; the longer reach holds for both ends, as one may be cut;
    - Wilson's: z^2/n from the ends, v the value: (v - end)^2 = z^2/n end (1 - end), then the same at the new z;
    - Clopper-Pearson: anew from the number of trials, which must give the old ends; exact, so at any confidence;
    - the score interval of a U-statistic, (v - t)^2 = q^2 (a + b max(t, 0)): q^2 a and q^2 b from the ends;
    - any other with error parts: the reaches grow with Student's quantile of as many degrees as there are groups less
      one, and none is less than that quantile times the root of the sum of squares.

    What cannot be made is told in words: the method, and what is allowed.
    """
    interval = found.interval
    if asked is None or (interval is not None and interval.level >= asked):
        return found, ""
    if interval is None or found.value is None:
        reason = f" ({found.interval_reason})" if found.interval_reason else ""
        return found, f"has no interval{reason}"
    made = _made(found, interval, asked)
    if isinstance(made, str):
        return found, f"has an interval of confidence {interval.level:g} ({interval.method}), {made}"
    low, high = made
    method = f"{interval.method}; at {asked:.12g} from that at {interval.level:g}"
    wider = interval.model_copy(update={"low": low, "high": high, "level": asked, "method": method})
    return found.model_copy(update={"interval": wider}), ""


def quantile(level: float, freedom: float = math.inf) -> float:
    """Return the quantile of Student's t, or of the normal law, between whose two signs the share ``level`` lies."""
    return NormalDist().inv_cdf((1.0 + level) / 2) if math.isinf(freedom) else student(level, freedom)


def student(level: float, freedom: float) -> float:
    """Return the quantile of Student's t between whose two signs the share ``level`` lies."""
    from scipy.special import stdtrit  # scipy.stats takes longer to load than a judgement takes

    return float(stdtrit(freedom, (1.0 + level) / 2))


def _made(found: Measurement, interval: Interval, asked: float) -> _Ends | str:
    """Return the ends at the confidence asked for, or why there are none."""
    ends = _remade(found, interval, asked)
    if ends is not None:
        return ends
    if asked > MOST > interval.level and _remade(found, interval, MOST) is not None:
        return f"whose law is an approximation that nothing bears out beyond {MOST:g}; allowed here: up to {MOST:g}"
    return f"which the document holds too little of to make it at {asked:.12g}; allowed here: up to {interval.level:g}"


def _remade(found: Measurement, interval: Interval, asked: float) -> _Ends | None:
    for pattern, freedom, make in _METHODS:
        told = pattern.fullmatch(interval.method)
        degrees = None if told is None else freedom(told, found)
        if degrees is None or (asked > MOST and make is not _clopper_pearson):
            continue
        ends = make(_Asked(found, interval, asked, degrees))
        if ends is not None:
            return ends
    if found.error_parts is None or asked > MOST:
        return None
    return _by_parts(_Asked(found, interval, asked, _groups(found.error_parts) - 1.0))


def _reaching(ask: _Asked) -> _Ends | None:
    reach = ask.ratio * max(ask.value - ask.interval.low, ask.interval.high - ask.value)
    return ask.value - reach, ask.value + reach


def _on(scale: Callable[[float], float], back: Callable[[float], float]) -> Callable[[_Asked], _Ends | None]:
    """Return how an interval is made anew that is normal for a function of the number; None where it is not."""

    def ends(ask: _Asked) -> _Ends | None:
        try:
            low, value, high = (scale(x) for x in (ask.interval.low, ask.value, ask.interval.high))
        except (ValueError, ZeroDivisionError):
            return None
        down, up = value - low, high - value
        if abs(up - down) > _TOLERANCE * (up + down):
            return None
        reach = ask.ratio * max(down, up)
        return back(value - reach), back(value + reach)

    return ends


def _logit(p: float) -> float:
    return math.log(p / (1.0 - p))


def _share(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > -700.0 else 0.0


def _wilson(ask: _Asked) -> _Ends | None:
    p, ends = ask.value, (ask.interval.low, ask.interval.high)
    found = [(p - end) ** 2 / (end * (1.0 - end)) for end in ends if 0.0 < end < 1.0 and end != p]
    if not 0.0 <= p <= 1.0 or not found or max(found) - min(found) > _TOLERANCE * max(found):
        return None
    k = max(found) * ask.ratio**2
    middle, reach = p + k / 2.0, math.sqrt(k * p * (1.0 - p) + k * k / 4.0)
    low, high = (middle - reach) / (1.0 + k), (middle + reach) / (1.0 + k)
    # At 0 and n successes the end is exactly 0 or 1; rounding leaves it beside.
    return 0.0 if p == 0.0 else max(0.0, low), 1.0 if p == 1.0 else min(1.0, high)


def _clopper_pearson(ask: _Asked) -> _Ends | None:
    sizes = ask.found.sizes.values()
    for n in dict.fromkeys([ask.found.n, *sizes, sum(sizes)]):
        s = round(ask.value * n)
        if n < 1 or not 0 <= s <= n or abs(s - ask.value * n) > _TOLERANCE:
            continue
        old = _beta_ends(s, n, ask.interval.level)
        pairs = zip(old, (ask.interval.low, ask.interval.high), strict=True)
        if all(abs(mine - theirs) <= _TOLERANCE for mine, theirs in pairs):
            return _beta_ends(s, n, ask.level)
    return None


def _beta_ends(s: int, n: int, level: float) -> _Ends:
    from scipy.special import betainccinv, betaincinv

    tail = (1.0 - level) / 2.0
    low = 0.0 if s == 0 else float(betaincinv(s, n - s + 1, tail))
    return low, 1.0 if s == n else float(betainccinv(s + 1, n - s, tail))


def _score(ask: _Asked) -> _Ends | None:
    """Return the ends of a score interval whose variance is a + b t at t above 0, and a below."""
    v, low, high = ask.value, ask.interval.low, ask.interval.high
    if high <= max(v, 0.0):
        return None  # the slope has left no trace
    up, down = (high - v) ** 2, (v - low) ** 2
    b = (up - down) / (high - max(low, 0.0))
    a = up - b * high
    if min(a, b * high) < -_TOLERANCE * up:
        return None
    a, b = max(0.0, a) * ask.ratio**2, max(0.0, b) * ask.ratio**2
    reach = math.sqrt(max(0.0, b * v + b * b / 4.0 + a))
    flat = v - math.sqrt(a)
    return min(v, v + b / 2.0 - reach if flat > 0.0 else flat), max(v + math.sqrt(a), v + b / 2.0 + reach)


def _by_parts(ask: _Asked) -> _Ends:
    assert ask.found.error_parts is not None
    parts = [x for part in ask.found.error_parts.parts.values() for x in part]
    least = quantile(ask.level, ask.freedom) * math.hypot(*parts)
    down, up = ask.value - ask.interval.low, ask.interval.high - ask.value
    return ask.value - max(least, ask.ratio * down), ask.value + max(least, ask.ratio * up)


def _groups(parts: ErrorParts) -> int:
    return max(2, min(map(len, parts.parts.values())))


def _normal(told: re.Match[str], found: Measurement) -> float | None:
    return math.inf


def _told(told: re.Match[str], found: Measurement) -> float | None:
    return float(told[1])


def _told_less_one(told: re.Match[str], found: Measurement) -> float | None:
    return float(told[1]) - 1.0 if 2 <= int(told[1]) <= found.n else None


def _samples_less_one(told: re.Match[str], found: Measurement) -> float | None:
    return found.n - 1.0 if found.n > 1 else None


def _groups_less_one(told: re.Match[str], found: Measurement) -> float | None:
    return None if found.error_parts is None else _groups(found.error_parts) - 1.0


_Freedom = Callable[[re.Match[str], Measurement], float | None]
_METHODS: Sequence[tuple[re.Pattern[str], _Freedom, Callable[[_Asked], _Ends | None]]] = [
    (re.compile(pattern), freedom, make)
    for pattern, freedom, make in (
        (r"normal, Student quantile, [^;]*\((\d+) halvings\)", _told, _reaching),
        (r"normal(?!.*(?:Student|Bonferroni|joined))(?:, [^;]*)?", _normal, _reaching),
        (r"normal for the logarithm(?!.*Bonferroni)(?:, [^;]*)?", _normal, _on(math.log, math.exp)),
        (r"Student t over (\d+) splits", _told_less_one, _reaching),
        (r"delete-a-group jackknife, (\d+) groups [^;]*Student", _told_less_one, _reaching),
        (r"Student(?:, cut at 0)?", _samples_less_one, _reaching),
        # Where every pair is right, or all scores are equal, it is the exact interval that stands there.
        (r"DeLong, logit scale", _normal, _clopper_pearson),
        (r"DeLong, logit scale", _normal, _on(_logit, _share)),
        (r"Clopper-Pearson", _normal, _clopper_pearson),
        (r"Wilson score, Student quantile, [^;]*\((\d+) halvings\)", _told, _wilson),
        (r"Wilson score(?: for n/2 pairs)?", _normal, _wilson),
        (r"score interval, [^;]*Student quantile", _groups_less_one, _score),
    )
]
"""Methods by what documents call them, whole; the degrees of freedom of their quantile, and how they are made anew."""
