"""How numbers, directions and strings are written in every report."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from ganaudit.document.gates import Verdict
from ganaudit.document.model import Interval, Measurement, Null

__all__ = [
    "brief",
    "count",
    "direction",
    "duration",
    "flatten",
    "number",
    "plain",
    "short",
    "slug",
    "span",
    "split_measure",
]

_MINUS = "\N{MINUS SIGN}"
_THIN = "\N{NARROW NO-BREAK SPACE}"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_BLANKS = "\n\t"


def plain(text: str, limit: int | None = None) -> str:
    """Return ``text`` with everything that is invisible or reorders its neighbours spelt out, cut at ``limit``.

    Control characters, bidirectional overrides and lone surrogates can make a page say something else than the
    document does, and XML forbids most of them.
    """
    text = text.replace("\r\n", "\n")
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]} … (cut here: {count(len(text))} characters in the document)"
    if text.isascii() and text.isprintable():
        return text
    hidden = {ord(c): shown for c in set(text) if (shown := _visible(c)) != c}  # a long text has few characters
    return text.translate(hidden) if hidden else text


def _visible(character: str) -> str:
    if character in _BLANKS or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return character
    return f"⟨U+{ord(character):04X}⟩"


def number(value: float, digits: int = 4) -> str:
    """Write a measured number with ``digits`` significant digits; whole numbers stay whole."""
    if value == int(value) and abs(value) < 1e6:
        return count(int(value))
    exponent = _exponent(value, digits)
    if -4 <= exponent < 6:
        return _signed(f"{abs(value):,.{max(0, digits - 1 - exponent)}f}".replace(",", _THIN), value)
    mantissa = f"{abs(value):.{digits - 1}e}".partition("e")[0]
    return _signed(f"{mantissa} × 10{str(exponent).translate(_SUPERSCRIPTS)}", value)


def short(value: float) -> str:
    """Write a number somebody chose (a limit, a level): no zeros behind it."""
    if value == int(value) and abs(value) < 1e6:
        return count(int(value))
    text = number(value, 6)
    head, mark, tail = text.partition(" ×")
    return (head.rstrip("0").rstrip(".") if "." in head else head) + mark + tail


def count(n: int) -> str:
    """Write a whole number, thousands set apart."""
    return _signed(f"{abs(n):,}".replace(",", _THIN), n)


def _exponent(value: float, digits: int = 4) -> int:
    return int(f"{value:.{digits - 1}e}".partition("e")[2])


def _signed(text: str, value: float) -> str:
    return _MINUS + text if value < 0 else text


def span(what: Interval | Null | Verdict | None) -> str:
    """Write the two ends of an interval or of a null's range, alike in decimals; empty when there is none."""
    if what is None or what.low is None or what.high is None:
        return ""
    low, high = what.low, what.high
    exponent = _exponent(max(abs(low), abs(high)))
    if exponent >= 4 and exponent < 6:
        return f"[{number(low)}, {number(high)}]"
    power, decimals = (0, 3 - exponent) if -4 <= exponent < 4 else (exponent, 3)
    ends = ", ".join(_signed(f"{abs(end) / 10.0**power:.{decimals}f}", end) for end in (low, high))
    return f"[{ends}]" + (f" × 10{str(power).translate(_SUPERSCRIPTS)}" if power else "")


def direction(measurement: Measurement) -> tuple[str, str]:
    """Return the arrow and the words for the better direction."""
    if measurement.better == "target":
        ideal = "its target" if measurement.target is None else short(measurement.target)
        return "→", f"nearer to {ideal} is better"
    return {
        "lower": ("↓", "lower is better"),
        "higher": ("↑", "higher is better"),
        "none": ("·", "no better direction"),
    }[measurement.better]


def duration(seconds: float) -> str:
    """Write a time span."""
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 120:
        return f"{short(round(seconds, 1 if seconds < 10 else 0))} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def brief(digest: str) -> str:
    """Return a digest cut to twelve characters after its name, whole where it is no longer."""
    name, colon, rest = digest.rpartition(":")
    return f"{name}{colon}{rest[:12]}…" if len(rest) > 12 else digest


def slug(text: str) -> str:
    """Return ``text`` as a part of an HTML id: letters, digits and hyphens only, never empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "x"


def split_measure(measure: str) -> tuple[str, str]:
    """Return the evaluator and the key of ``<evaluator>/<key>``."""
    evaluator, _, key = measure.partition("/")
    return evaluator, key


def flatten(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return keys and values of a free-form record as text; one level of nesting becomes dotted keys."""
    rows = []
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            rows += [(f"{key}.{inner}", _text(v)) for inner, v in value.items()]
        else:
            rows.append((str(key), _text(value)))
    return rows


def _text(value: Any) -> str:
    if value is None or value == {} or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(v, str | int | float) for v in value):
        return ", ".join(str(v) for v in value)
    return json.dumps(value, ensure_ascii=False, default=str)
