"""Verdicts as JUnit XML: one test case a gate, as CI systems read it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument
from ganaudit.report.summary import broken, summarise
from ganaudit.report.words import plain

__all__ = ["render_junit"]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(document: AuditDocument) -> str:
    """Return the verdicts as JUnit XML.

    A blocking gate that failed is a ``failure``, one that is missing or inconclusive an ``error``. What does not block
    is ``skipped``, with the outcome in its message. An evaluator that failed or was asked for in vain is an error
    too, and so is an audit that is incomplete for any other reason: nothing run is never a pass.
    """
    cases = [_case(v) for v in document.verdicts]
    cases += [_element(r.evaluator, "measured", "error", r.status, r.reason or "") for r in broken(document)]
    summary = summarise(document)
    if summary.outcome == "incomplete" and all(c.find("error") is None for c in cases):
        cases.append(_element("audit", "complete", "error", "incomplete", summary.sentence))
    counts = {
        "tests": len(cases),
        "failures": sum(c.find("failure") is not None for c in cases),
        "errors": sum(c.find("error") is not None for c in cases),
        "skipped": sum(c.find("skipped") is not None for c in cases),
    }
    told = {key: str(n) for key, n in counts.items()}
    root = ET.Element("testsuites", {"name": "ganaudit", **told})
    suite = ET.SubElement(root, "testsuite", {"name": _clean(document.subject.name), **told})
    suite.set("timestamp", _clean(document.started))
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("subject", document.subject.digest),
        ("reference", document.reference.digest),
        ("comparability", document.comparability.digest),
    ):
        ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    suite.extend(cases)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(verdict: Verdict) -> ET.Element:
    evaluator = verdict.measure.partition("/")[0]
    name = f"{verdict.gate} ({verdict.measure})"
    if verdict.outcome == "passed":
        return _element(evaluator, name, None, "passed", verdict.message)
    if not verdict.blocking:
        return _element(evaluator, name, "skipped", verdict.outcome, verdict.message)
    tag = "failure" if verdict.outcome == "failed" else "error"
    return _element(evaluator, name, tag, verdict.outcome, verdict.message)


def _element(group: str, name: str, tag: str | None, outcome: str, message: str) -> ET.Element:
    case = ET.Element("testcase", {"classname": _clean(f"ganaudit.{group}"), "name": _clean(name), "time": "0"})
    if tag is not None:
        told = ET.SubElement(case, tag, {"message": _clean(f"{outcome}: {message}", 1_000)})
        if tag != "skipped":
            told.set("type", outcome)
    ET.SubElement(case, "system-out").text = _clean(f"{outcome}: {message}", 20_000)
    return case


def _clean(text: str, limit: int | None = None) -> str:
    return _NOT_XML.sub("", plain(text, limit))
