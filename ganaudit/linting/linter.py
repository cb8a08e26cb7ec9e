"""The use case: a file in, findings out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganaudit.linting.claim import Sheet
from ganaudit.linting.reading import read_sheet
from ganaudit.linting.rule import Finding, Rule

__all__ = ["findings", "lint"]

_ORDER = {"error": 0, "warning": 1, "note": 2}


def lint(path: Path, rules: Sequence[Rule]) -> list[Finding]:
    """Return what ``rules`` find in a file, errors first; raises UserError for a file that cannot be read."""
    return findings(read_sheet(path), str(path), rules)


def findings(sheet: Sheet, file: str, rules: Sequence[Rule]) -> list[Finding]:
    """Return what ``rules`` find in a sheet, errors first, within a severity in the order of the rules."""
    told = [
        Finding(
            file=file,
            where=found.where,
            rule=rule.id,
            name=rule.name,
            severity=rule.severity,
            number=found.name,
            found=found.text,
            misleads=rule.misleads,
            advice=rule.advice,
            source=rule.source,
        )
        for rule in rules
        for found in rule.check(sheet)
    ]
    return sorted(told, key=lambda finding: _ORDER[finding.severity])
