"""Verdicts as JUnit XML: one test case a gate, as CI systems read it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from ganaudit.document.gates import Verdict
from ganaudit.document.model import AuditDocument
from ganaudit.report.words import plain

__all__ = ["render_junit"]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(document: AuditDocument) -> str:
    """Return the verdicts as JUnit XML.

    A blocking gate that failed is a ``failure``, one that is missing or inconclusive an ``error``. What does not block
    is ``skipped``, with the outcome in its message. Evaluators that were asked for and failed are errors too, and a
    policy without gates is one: nothing run is never a pass.
    """
    cases = [_case(v) for v in document.verdicts] + _broken(document)
    if document.policy is not None and not document.verdicts:
        cases.append(_element("ganaudit", "policy", "error", "incomplete", "the policy has no gate"))
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


def _broken(document: AuditDocument) -> list[ET.Element]:
    broken = [r for r in document.results if r.requested and r.status == "failed"]
    return [_element(r.evaluator, "evaluator ran", "error", "failed", r.reason or "") for r in broken]


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
