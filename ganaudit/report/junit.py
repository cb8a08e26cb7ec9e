"""Verdicts as JUnit XML: one test case a verdict, with its numbers, as CI systems read it.

What the readers take, and so what is written: the schema of Jenkins' xUnit plug-in (junit-10.xsd) knows ``name``,
``classname`` and ``time`` on a test case and no ``properties`` below it, these belong to the suite; ``skipped`` is no
attribute of ``testsuites``. GitLab shows the text inside ``failure``, ``error`` and ``skipped``, not their
attributes, drops a case whose name was there before, and refuses files of 30 MB.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator

from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument
from ganaudit.report.summary import broken, summarise
from ganaudit.report.words import count, plain

__all__ = ["LIMIT", "MOST_CASES", "render_junit"]

LIMIT = 30_000_000
"""Bytes that a file must stay below."""
MOST_CASES = 5_000
"""Verdicts that get a case of their own; the rest are counted in one more."""
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST_NAME = 200
_SIZES = ((MOST_CASES, 20_000), (MOST_CASES, 2_000), (MOST_CASES, 200), (500, 200))
"""Cases, and characters of a message: the first that leaves the file below its limit; the last does in any case."""


def render_junit(document: AuditDocument) -> str:
    """Return the verdicts as JUnit XML, below 30 MB; texts are cut aloud.

    A blocking gate that failed is a ``failure``, one that is missing or inconclusive an ``error``. What does not block
    is ``skipped``, with the outcome in its message. An evaluator that failed or was asked for in vain is an error
    too, and so is an audit that is incomplete for any other reason: nothing run is never a pass. Numbers stand in the
    suite's properties as ``<gate>: value``, ``low``, ``high``, ``limit``, ``n``, ``held`` and ``anchor``, and in words
    in the output of the case.
    """
    page = ""
    for most, longest in _SIZES:
        if sum(min(len(v.message), longest) for v in document.verdicts[:most]) > LIMIT:
            continue  # a character is a byte at least
        page = _page(document, most, longest)
        if len(page.encode()) < LIMIT:
            break
    return page


def _page(document: AuditDocument, most: int, longest: int) -> str:
    summary = summarise(document)
    verdicts = [*summary.open, *summary.settled][:most]
    names = _distinct([f"{v.name} ({v.measure})" for v in verdicts])
    cases = [_case(v, name, longest) for v, name in zip(verdicts, names, strict=True)]
    cases += _incomplete(document, len(cases), most, longest)
    counts = {
        "tests": len(cases),
        "failures": sum(c.find("failure") is not None for c in cases),
        "errors": sum(c.find("error") is not None for c in cases),
    }
    told = {key: str(n) for key, n in counts.items()}
    root = ET.Element("testsuites", {"name": "ganaudit", **told})
    skipped = sum(c.find("skipped") is not None for c in cases)
    suite = ET.SubElement(root, "testsuite", {"name": _clean(document.subject.name, _LONGEST_NAME), **told})
    suite.set("skipped", str(skipped))
    suite.set("timestamp", _clean(document.started, _LONGEST_NAME))
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(document, verdicts):
        ET.SubElement(properties, "property", {"name": _clean(name, _LONGEST_NAME), "value": _clean(value, 1_000)})
    suite.extend(cases)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _incomplete(document: AuditDocument, shown: int, most: int, longest: int) -> list[ET.Element]:
    """Return the cases that are no verdicts: evaluators that broke, whatever else is incomplete, what was left out."""
    cases = [
        _element(r.evaluator, "measured", "error", r.status, r.reason or "", longest) for r in broken(document)[:most]
    ]
    summary = summarise(document)
    if summary.outcome == "incomplete" and not cases and not any(v.blocking for v in document.verdicts):
        cases.append(_element("audit", "complete", "error", "incomplete", summary.sentence, longest))
    if shown < len(document.verdicts):
        left = f"{count(len(document.verdicts) - shown)} more verdicts are in document.json; the worst are here"
        cases.append(_element("audit", "left out", "skipped", "cut", left, longest))
    return cases


def _properties(document: AuditDocument, verdicts: list[Verdict]) -> Iterator[tuple[str, str]]:
    yield "subject", document.subject.digest
    yield "reference", document.reference.digest
    yield "comparability", document.comparability.digest
    for verdict in verdicts:
        for field, value in _numbers(verdict):
            yield f"{plain(verdict.name, _LONGEST_NAME - 20)}: {field}", value


def _numbers(verdict: Verdict) -> Iterator[tuple[str, str]]:
    for field in ("value", "low", "high", "limit", "n", "held", "anchor"):
        value = getattr(verdict, field)
        if value is not None:
            yield field, repr(value)


def _distinct(names: list[str]) -> list[str]:
    """Return the names, each that was there before with a number behind it."""
    seen: Counter[str] = Counter()
    found = []
    for name in (_clean(name, _LONGEST_NAME) for name in names):
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return found


def _case(verdict: Verdict, name: str, longest: int) -> ET.Element:
    evaluator = verdict.measure.partition("/")[0]
    tag = "failure" if verdict.outcome == "failed" else "error"
    if verdict.outcome == "passed":
        tag = ""
    elif not verdict.blocking:
        tag = "skipped"
    numbers = "".join(f"\n{field} = {value}" for field, value in _numbers(verdict))
    return _element(evaluator, name, tag, verdict.outcome, verdict.message, longest, numbers)


def _element(
    group: str, name: str, tag: str, outcome: str, message: str, longest: int, numbers: str = ""
) -> ET.Element:
    classname = _clean(f"ganaudit.{group}", _LONGEST_NAME)
    case = ET.Element("testcase", {"classname": classname, "name": name, "time": "0"})
    text = _clean(f"{outcome}: {message}", longest)
    if tag:
        told = ET.SubElement(case, tag, {"message": _clean(f"{outcome}: {message}", min(longest, 1_000))})
        told.text = text
        if tag != "skipped":
            told.set("type", outcome)
    ET.SubElement(case, "system-out").text = text + numbers
    return case


def _clean(text: str, limit: int) -> str:
    return _NOT_XML.sub("", plain(text, limit))
