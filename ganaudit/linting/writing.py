"""Reads what people write into cells: ``12.3 ± 0.4``, ``8/255``, ``50k``, ``[-1, 1]``, ``91 %``, ``1,5``."""

from __future__ import annotations

import re
from typing import Any

from ganaudit.linting.claim import Written

__all__ = ["count", "measured", "pair", "real_number", "text", "truth", "unsaid", "whole_number", "written"]

_NUMBER = r"[-+−]?(?:\d+(?:[.,]\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_PLAIN = re.compile(_NUMBER)
_SPREAD = re.compile(rf"({_NUMBER})\s*(?:±|\+/-|\+-)\s*({_NUMBER})\s*(%?)")
_BRACKET = re.compile(rf"({_NUMBER})\s*[\[(]\s*({_NUMBER})\s*(?:,\s+|;|\.\.|–| to )\s*({_NUMBER})\s*[\])]")
_FRACTION = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)")
_RANGE = re.compile(rf"[\[(]?\s*({_NUMBER})\s*(?:,\s*|;\s*|\.\.|–| to )\s*({_NUMBER})\s*[\])]?")
_THOUSANDS = re.compile(r"\d{1,3}(?:[, _ \u202f]\d{3})+")
_UNSAID = {"", "-", "–", "—", "n/a", "na", "null", "?", "unknown", "not stated", "not told"}
_YES = {"yes", "true", "1", "on", "y", "done", "passed", "pass"}
_NO = {"no", "false", "0", "off", "n", "none", "not done", "without"}


def written(value: Any, commas: bool = False) -> Written | None:
    """Return a value as a number that keeps its text, or None where it is no number.

    ``commas``: whether a comma is the decimal mark, as in tables whose columns are set apart by semicolons.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, Written):
        return value
    if isinstance(value, int | float):
        return Written(_float(value), repr(value))
    if not isinstance(value, str):
        return None
    plain = value.strip().replace("−", "-")
    if plain.lower().lstrip("+-") in ("nan", "inf", "infinity", "∞"):
        return Written(_float(plain.replace("∞", "inf")), plain)
    if commas and re.fullmatch(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?", plain):
        plain = plain.replace(",", ".")
    elif _THOUSANDS.fullmatch(plain):
        plain = re.sub(r"\D", "", plain)
    if _PLAIN.fullmatch(plain) and "," not in plain:
        return Written(_float(plain), plain)
    fraction = _FRACTION.fullmatch(plain)
    if fraction and float(fraction[2]):
        return Written(float(fraction[1]) / float(fraction[2]), plain)
    return None


def measured(value: Any, commas: bool = False) -> dict[str, Any] | None:
    """Return the fields of a claim that one cell tells: value, std, ends and unit; None where it is no number."""
    number = written(value, commas)
    if number is not None:
        return {"value": float(number), "text": number.text}
    if not isinstance(value, str):
        return None
    plain = value.strip()
    spread, bracket = _SPREAD.fullmatch(plain), _BRACKET.fullmatch(plain)
    if spread:
        centre, std = (written(part, commas) for part in spread.groups()[:2])
        if centre is not None and std is not None:
            unit = {"unit": "%"} if spread[3] else {}
            return {"value": float(centre), "text": centre.text, "std": float(std), **unit}
    if bracket:
        centre, low, high = (written(part, commas) for part in bracket.groups())
        if centre is not None and low is not None and high is not None:
            return {"value": float(centre), "text": centre.text, "low": float(low), "high": float(high)}
    if plain.endswith("%"):
        number = written(plain[:-1].strip(), commas)
        return None if number is None else {"value": float(number), "text": number.text, "unit": "%"}
    return None


def count(value: Any, commas: bool = False) -> int | None:
    """Return a number of samples, such as 50000, ``50k`` or ``50,000``; None where it is none."""
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?\s*[kK]", value.strip()):
        return round(float(value.strip()[:-1]) * 1000)
    if isinstance(value, str) and _THOUSANDS.fullmatch(value.strip()):
        value = re.sub(r"\D", "", value)
    return whole_number(value, commas)


def real_number(value: Any, commas: bool = False) -> float | None:
    """Return a number, a share in per cent as a share, or None."""
    if isinstance(value, str) and value.strip().endswith("%"):
        share = written(value.strip()[:-1], commas)
        return None if share is None else float(share) / 100
    number = written(value, commas)
    return None if number is None else float(number)


def whole_number(value: Any, commas: bool = False) -> int | None:
    """Return a whole number of at least 0, or None."""
    number = written(value, commas)
    if number is None or not 0 <= number < 1e15 or not float(number).is_integer():
        return None
    return int(number)


def pair(value: Any, commas: bool = False) -> tuple[float, float] | None:
    """Return two numbers, such as ``[-1, 1]``, ``-1..1`` or a list of two; None where there are none."""
    if isinstance(value, str):
        found = _RANGE.fullmatch(value.strip())
        value = list(found.groups()) if found else []
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = (written(end, commas) for end in value)
    return None if low is None or high is None else (float(low), float(high))


def truth(value: Any, commas: bool = False) -> bool | None:
    """Return yes or no, or None where it is neither."""
    del commas
    if isinstance(value, bool):
        return value
    plain = str(value).strip().lower()
    return True if plain in _YES else False if plain in _NO else None


def text(value: Any, commas: bool = False) -> str | None:
    """Return a word or a number as text, or None where it holds more than that."""
    del commas
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Written):
        return value.text
    return str(value).strip() if isinstance(value, str | int | float) else None


def unsaid(value: Any) -> bool:
    """Return whether a cell says nothing, as ``-`` and ``n/a`` do."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _UNSAID)


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
